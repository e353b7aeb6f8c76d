//! The supervisor at work: asks the machine, and does what it says.

use std::ffi::CStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use nix::errno::Errno;

use super::Options;
use super::files::{Files, Opened};
use super::machine::{Effect, Event, Machine, State};
use super::takeover::Resume;
use crate::cli::Verbosity;
use crate::service::ended::Ended;
use crate::service::errno;
use crate::service::moment::Moment;
use crate::service::order::Order;
use crate::service::record::{BootId, Record, Run, Told};
use crate::sys::fault::Fault;
use crate::sys::process::{self, Handle};
use crate::sys::service::{self, Gate};
use crate::sys::wait::{Wait, insist};
use crate::sys::{clock, context, message, reap, signals};

/// How often is looked at least where the system does not notify; and at first, since what is told to end mostly
/// does so in no time.
const LOOK: Duration = Duration::from_secs(1);
const LOOK_SOON: Duration = Duration::from_millis(20);

/// How long a service that ends with all others has before that is told in its files.
const PARTING: Duration = Duration::from_millis(100);

/// Supervises a service until it is told to stop.
#[must_use]
pub fn run(options: Options) -> u8 {
    context::isolate();
    signals::install();
    let word = context::take_word();
    let resumed = word.as_deref().and_then(Resume::parse);
    // what sysmgr knows of the last run, in case that its record is wiped before we have the lock
    let handed = word.and_then(|word| Record::decode(word.as_bytes()));
    let service = [
        ("SYSDIR", options.sysdir.as_os_str()),
        ("RUNDIR", options.rundir.as_os_str()),
        ("SYSMGR_SERVICE", options.name.as_os_str()),
    ];
    // a service that starts reads it while we go on: it stays as it is for as long as we are
    let context: &'static _ = Box::leak(Box::new(context::Context::take(&service)));
    let Ok(path) = service::c_path(&options.sysdir.join(options.name.as_os_str())) else {
        return fail(&options, "its path has a NUL byte in it");
    };
    let (lock, resumed, own) =
        resumed.map_or((None, None, None), |resume| (Some(resume.lock), resume.status, resume.record));
    let opened = match lock {
        Some(lock) => Files::resume(&options.rundir, &options.name, lock),
        None => Files::open(&options.rundir, &options.name),
    };
    let (files, record) = match opened {
        Ok(Opened::Ours(files, record)) => (files, record),
        Ok(Opened::Held(pid)) => {
            return fail(&options, &format!("it has a supervisor already, process {pid}; nothing was done"));
        }
        Err(fault) => return fail(&options, &fault.to_string()),
    };
    let now = clock::now();
    let boot = insist(process::certain_boot_id, |errno| refused(&options, "learn which boot this is", errno));
    let mut supervisor = Supervisor {
        machine: Machine::new(options.policy, now),
        options,
        files,
        context,
        path: Box::leak(path.into_boxed_c_str()),
        boot,
        run: None,
        recorded: record,
        gate: None,
        exec_error: None,
        adopted: None,
        member: None,
        look_at_group: false,
        group_signalled: false,
        reason: None,
        since: (now, clock::wall()),
        faulty: false,
        fault_said: false,
        renew: false,
    };
    // what we have told ourselves cannot have been wiped
    let known = own.or(record).or(handed);
    if resumed.is_none() && known.is_none() {
        if let Some(other) = supervisor.find_other() {
            return fail(
                &supervisor.options,
                &format!("it has a supervisor already, process {other}; nothing was done"),
            );
        }
    }
    supervisor.take_over(known, resumed);
    supervisor.supervise();
    0
}

/// Says what can't be known now, and is asked again.
pub(super) fn refused(options: &Options, tried: &str, errno: Errno) {
    let why = errno::words(errno as i32);
    message::say(format_args!("sysmgr: {}: cannot {tried}: {why}; it is tried again", options.name));
}

fn fail(options: &Options, why: &str) -> u8 {
    message::say(format_args!("runsyssv: {}: {why}", options.name));
    1
}

pub(super) struct Supervisor {
    pub(super) options: Options,
    pub(super) files: Files,
    pub(super) machine: Machine,
    pub(super) context: &'static context::Context,
    pub(super) path: &'static CStr,
    pub(super) boot: BootId,
    /// The run whose processes are not all gone.
    pub(super) run: Option<Run>,
    /// What stands in `.owner`.
    pub(super) recorded: Option<Record>,
    /// While it is not known whether the service executes.
    pub(super) gate: Option<Gate>,
    /// Why it did not.
    pub(super) exec_error: Option<i32>,
    /// The main process, if it is not our child.
    pub(super) adopted: Option<Handle>,
    /// A process of the group that is not our child, whose end is awaited.
    pub(super) member: Option<Handle>,
    /// Whether there is something in the group whose end nothing tells.
    pub(super) look_at_group: bool,
    /// Whether the group was told to end while the main process was still there to vouch for it.
    pub(super) group_signalled: bool,
    /// Why the service is refused.
    pub(super) reason: Option<String>,
    /// Since when it is in its state, by the time of day: reckoned once for each state.
    pub(super) since: (Moment, u64),
    /// Whether the system has refused something since the files were last looked at.
    pub(super) faulty: bool,
    /// Whether that has been said, and not all works again.
    pub(super) fault_said: bool,
    /// Whether we are to execute ourselves anew as soon as that can be.
    pub(super) renew: bool,
}

impl Supervisor {
    pub(super) fn supervise(&mut self) {
        let mut wait = Wait::default();
        loop {
            self.check_group();
            while let Some(effect) = self.machine.pursue(clock::now()) {
                if effect == Effect::Finish {
                    self.finish();
                    return;
                }
                self.perform(effect);
            }
            let parting = self.is_parting();
            if !parting {
                self.publish();
            }
            if self.renew {
                self.execute_anew();
            }
            self.fault_said &= self.faulty || self.machine.is_trying();
            wait.clear();
            let gate = self.gate.as_ref().map(|gate| wait.add(gate.fd()));
            let adopted = self.adopted.as_ref().and_then(|handle| handle.fd().map(|fd| wait.add(fd)));
            if let Some(fd) = self.member.as_ref().and_then(Handle::fd) {
                wait.add(fd);
            }
            let limit = self.limit(adopted.is_some());
            wait.wait(if parting { Some(limit.map_or(PARTING, |limit| limit.min(PARTING))) } else { limit });
            if std::mem::take(&mut self.faulty) {
                self.restore();
                self.look();
            }
            self.take_signals();
            if gate.is_some_and(|place| wait.is_ready(place)) {
                self.learn_of_exec();
            }
            if self.adopted.as_ref().is_some_and(|handle| !handle.lives()) {
                self.main_ended(Ended::Unknown);
            }
            self.step(Event::Tick);
        }
    }

    /// Whether all is being shut down, and the service may be gone in a moment: then its files, which
    /// sysmgr removes at the end, need not say each step.
    fn is_parting(&self) -> bool {
        matches!(self.machine.state, State::Stopping(..))
            && self.machine.order == Some(Order::Shutdown)
            && clock::now().since(self.machine.since) < PARTING
    }

    /// How long to wait at most.
    pub(super) fn limit(&self, adopted_is_watched: bool) -> Option<Duration> {
        let due = self.machine.deadline().map(|at| at.since(clock::now()));
        let must_look = self.faulty
            || self.adopted.is_some() && !adopted_is_watched
            || self.look_at_group
            || self.member.as_ref().is_some_and(|member| member.fd().is_none());
        let look = clock::now().since(self.machine.since).clamp(LOOK_SOON, LOOK);
        match due {
            Some(due) if must_look => Some(due.min(look)),
            None if must_look => Some(look),
            due => due,
        }
    }

    pub(super) fn take_signals(&mut self) {
        let arrived = signals::take();
        if arrived.has(signals::SIGCHLD) {
            self.reap();
        }
        if arrived.has(signals::SIGALRM) {
            self.restore();
            self.look();
            self.look_at_entry();
        }
        if arrived.has(signals::SIGCONT) {
            self.step(Event::Hurry);
        }
        self.renew |= arrived.has(signals::SIGUSR2);
        if arrived.has(signals::SIGUSR1) {
            self.look();
            self.step(Event::Told(Told::Kill));
        } else if arrived.has_stop() {
            self.look();
            self.step(Event::Told(Told::Stop));
        }
    }

    pub(super) fn step(&mut self, event: Event) {
        if let Some(effect) = self.machine.step(event, clock::now()) {
            self.perform(effect);
        }
    }

    /// Reads the lock.
    pub(super) fn look(&mut self) {
        match self.files.read_order() {
            Ok(order) => self.step(Event::Ordered(order)),
            Err(fault) => self.report(Err(fault)),
        }
    }

    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn => self.spawn(),
            Effect::Terminate(pid) => {
                // on record before it is done, so that a successor goes on with it
                self.record();
                self.signal_main(pid, &[signals::SIGTERM, signals::SIGCONT]);
            }
            Effect::Kill(pid) => {
                self.record();
                self.signal_main(pid, &[signals::SIGKILL]);
            }
            Effect::TerminateGroup if self.group_signalled => {}
            Effect::TerminateGroup => self.signal_group(&[signals::SIGTERM, signals::SIGCONT]),
            Effect::KillGroup => self.signal_group(&[signals::SIGKILL]),
            Effect::Save(order) => {
                self.record();
                let saved = self.files.write_order(order);
                self.saved(saved);
            }
            Effect::RemoveLock => {
                let removed = self.files.remove_restart();
                self.saved(removed);
            }
            Effect::Finish => {}
        }
    }

    pub(super) fn saved(&mut self, result: Result<(), Fault>) {
        let event = Event::Saved(result.is_ok());
        self.report(result);
        self.step(event);
    }

    pub(super) fn reap(&mut self) {
        while let Some(dead) = reap::next_dead() {
            let main = self.machine.main().filter(|_| self.adopted.is_none());
            if main.is_some_and(|main| main.raw() == dead.pid) {
                self.main_ended(dead.ended);
            } else {
                reap::reap(dead.pid);
            }
        }
    }

    pub(super) fn finish(&mut self) {
        self.run = None;
        self.machine.told = None;
        if self.machine.order == Some(Order::Shutdown) {
            self.record();
        } else {
            self.publish();
            let removed = self.files.write_pid(None).and_then(|()| self.files.write_syspid(None));
            self.report(removed);
        }
        self.say(Verbosity::Verbose, format_args!("down"));
    }
}
