//! The supervisor at work: asks the machine, and does what it says.

use std::ffi::{CString, OsStr};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use nix::errno::Errno;

use super::Options;
use super::files::{Files, Opened};
use super::machine::{Effect, Event, Machine, State};
use crate::cli::Verbosity;
use crate::service::ended::Ended;
use crate::service::moment::Moment;
use crate::service::order::Order;
use crate::service::pid::Pid;
use crate::service::record::{BootId, Process, Record, Run, Told};
use crate::service::status::{Phase, Status};
use crate::sys::entry::{self, Entry};
use crate::sys::fault::Fault;
use crate::sys::files::Dir;
use crate::sys::group::{self, Group, Rest};
use crate::sys::owner::{Holder, Owner};
use crate::sys::process::{self, Handle};
use crate::sys::service::Gate;
use crate::sys::wait::Wait;
use crate::sys::{clock, context, message, reap, service, signals, tool};

/// How often is looked where the system does not notify.
const LOOK: Duration = Duration::from_secs(1);

/// Why a service that runs, in a way, is held down.
const DETACHED: &str = "it has put itself in the background, where it can't be supervised; \
    have it stay in the foreground: most daemons have a flag for that, such as -f, -F, -n, -D or --foreground";

/// Supervises a service until it is told to stop.
#[must_use]
pub fn run(options: Options) -> ExitCode {
    context::isolate();
    signals::install();
    let resumed = context::take_resume().and_then(|word| Resume::parse(&word));
    let service = [
        ("SYSDIR", options.sysdir.as_os_str()),
        ("RUNDIR", options.rundir.as_os_str()),
        ("SYSMGR_SERVICE", options.name.as_os_str()),
    ];
    let context = context::Context::take(&service);
    let Ok(path) = service::c_path(&options.sysdir.join(options.name.as_os_str())) else {
        return fail(&options, "its path has a NUL byte in it");
    };
    let (lock, resumed) = resumed.map_or((None, None), |resume| (Some(resume.lock), resume.status));
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
    let mut supervisor = Supervisor {
        machine: Machine::new(options.policy, now),
        options,
        files,
        context,
        path,
        boot: process::boot_id(),
        run: None,
        recorded: None,
        gate: None,
        exec_error: None,
        adopted: None,
        member: None,
        look_at_group: false,
        group_signalled: false,
        reason: None,
        since: (now, clock::wall()),
        faulty: false,
        renew: false,
    };
    if resumed.is_none() && record.is_none() {
        if let Some(other) = supervisor.find_other() {
            return fail(
                &supervisor.options,
                &format!("it has a supervisor already, process {other}; nothing was done"),
            );
        }
    }
    supervisor.take_over(record, resumed);
    supervisor.supervise();
    ExitCode::SUCCESS
}

fn fail(options: &Options, why: &str) -> ExitCode {
    message::say(format_args!("runsyssv: {}: {why}", options.name));
    ExitCode::FAILURE
}

struct Supervisor {
    options: Options,
    files: Files,
    machine: Machine,
    context: context::Context,
    path: CString,
    boot: BootId,
    /// The run whose processes are not all gone.
    run: Option<Run>,
    /// What stands in `.owner`.
    recorded: Option<Record>,
    /// While it is not known whether the service executes.
    gate: Option<Gate>,
    /// Why it did not.
    exec_error: Option<i32>,
    /// The main process, if it is not our child.
    adopted: Option<Handle>,
    /// A process of the group that is not our child, whose end is awaited.
    member: Option<Handle>,
    /// Whether there is something in the group whose end nothing tells.
    look_at_group: bool,
    /// Whether the group was told to end while the main process was still there to vouch for it.
    group_signalled: bool,
    /// Why the service is refused.
    reason: Option<String>,
    /// Since when it is in its state, by the time of day: reckoned once for each state.
    since: (Moment, u64),
    /// Whether something that the system refused has been reported, and is not over.
    faulty: bool,
    /// Whether we are to execute ourselves anew as soon as that can be.
    renew: bool,
}

impl Supervisor {
    /// A living supervisor of this service whose files are gone. Only for who is started by hand:
    /// sysmgr knows those that live.
    fn find_other(&self) -> Option<Pid> {
        let parent = std::os::unix::process::parent_id();
        let manager = Dir::open(&self.options.rundir).and_then(|dir| Owner::holder(&dir));
        if matches!(manager, Ok(Holder::Process(pid, _)) if u32::try_from(pid) == Ok(parent)) {
            return None;
        }
        let rundir = ["--rundir".as_ref(), self.options.rundir.as_os_str()];
        let living = tool::find_living("runsyssv", &rundir);
        living.into_iter().find(|(_, name)| *name == self.options.name.as_os_str()).map(|(other, _)| other.pid)
    }

    /// Goes on where a predecessor, or this supervisor before it executed itself anew, has left off.
    fn take_over(&mut self, record: Option<Record>, resumed: Option<Status>) {
        let now = clock::now();
        self.recorded = record;
        process::adopt_orphans();
        let here = |status: &Status| status.boot == self.boot.as_str();
        let is_resumed = resumed.is_some();
        if let Some(old) = resumed.or_else(|| self.files.read_status()).filter(here) {
            self.machine.starts = old.starts;
            self.machine.failures = old.failures;
            self.machine.last = old.last_exit;
            self.machine.last_run = old.last_run_ms.map(Duration::from_millis);
            self.reason.clone_from(&old.reason);
            if is_resumed {
                self.machine = self.machine.resume(self.state_of(&old), old.since_ms, old.since_ms);
            }
        }
        let own = Pid::new(i32::try_from(std::process::id()).unwrap_or(0));
        let written = self.files.write_syspid(own);
        self.report(written);
        let record = record.filter(|record| record.boot == self.boot);
        self.run = record.and_then(|record| record.run);
        self.take_over_run(now, is_resumed);
        self.look();
        // what was told may not have come into the lock; but who wants it started by now is newer
        if let Some(told) = record.and_then(|record| record.told) {
            if !self.machine.order.is_some_and(Order::starts) {
                self.step(Event::Told(told));
            }
        }
    }

    /// The processes of the run on record.
    fn take_over_run(&mut self, now: Moment, is_resumed: bool) {
        let main = self.run.map(|run| run.process);
        // a child of ours, living or not, is still to be reaped
        let own = std::process::id();
        let facts = main.and_then(|main| process::facts(main.pid).filter(|facts| facts.start == main.start));
        let is_child = facts.is_some_and(|facts| u32::try_from(facts.parent) == Ok(own));
        let handle = main.filter(|_| !is_child).and_then(Handle::of);
        let lives = is_child || handle.is_some();
        let written = self.files.write_pid(main.map(|main| main.pid).filter(|_| lives));
        self.report(written);
        let Some(run) = self.run else { return };
        if lives {
            let started = now - process::age(run.process);
            if self.machine.main().is_none() {
                self.machine = self.machine.adopt(run.process.pid, started);
            } else {
                self.machine = self.machine.resume(self.machine.state, self.machine.since, started);
            }
            self.adopted = handle;
            if !is_resumed {
                let pid = run.process.pid;
                self.say(Verbosity::Normal, format_args!("its supervisor was gone; process {pid} goes on"));
            }
        } else if matches!(group_of(run).rest(), Rest::Nothing) {
            self.run = None;
            if self.machine.main().is_some() || !is_resumed {
                self.machine = self.machine.resume(State::Down, now, now);
                self.machine.last = Some(Ended::Unknown);
            }
        } else if !matches!(self.machine.state, State::Clearing(_)) {
            let (machine, effect) = self.machine.adopt_rest(now);
            self.machine = machine;
            self.perform(effect);
        }
    }

    /// The state that a status tells of.
    fn state_of(&self, status: &Status) -> State {
        let killing = self.recorded.is_some_and(|record| record.told == Some(Told::Kill));
        let told = if killing { Told::Kill } else { Told::Stop };
        match (status.phase, status.pid) {
            (Phase::Starting | Phase::Up, Some(pid)) => State::Up(pid),
            (Phase::Stopping, Some(pid)) => State::Stopping(pid, told),
            (Phase::Clearing, _) => State::Clearing(clock::now() + self.options.policy.stop_timeout),
            (Phase::Backoff, _) => State::Backoff(status.next_try_ms.unwrap_or_default()),
            (Phase::Refused, _) => State::Refused,
            (Phase::Starting | Phase::Up | Phase::Stopping, None) | (Phase::Down, _) => State::Down,
        }
    }

    /// Executes the installed file in our place. Only when it is known whether the service executes,
    /// since that is told to this program alone.
    fn execute_anew(&mut self) {
        if self.gate.is_some() {
            return;
        }
        self.renew = false;
        let Some(file) = tool::own_file() else { return };
        self.publish();
        let errno = match self.files.inherit(true) {
            Ok(lock) => context::execute_anew(&file, &Resume::write(lock, &self.status()), self.context.umask),
            Err(errno) => errno,
        };
        let _ = self.files.inherit(false);
        let fault = Fault::of("execute", &file)(errno);
        self.say(Verbosity::Quiet, format_args!("{fault}; its supervisor goes on as it is"));
    }

    fn supervise(&mut self) {
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
            self.publish();
            if self.renew {
                self.execute_anew();
            }
            wait.clear();
            let gate = self.gate.as_ref().map(|gate| wait.add(gate.fd()));
            let adopted = self.adopted.as_ref().and_then(|handle| handle.fd().map(|fd| wait.add(fd)));
            if let Some(fd) = self.member.as_ref().and_then(Handle::fd) {
                wait.add(fd);
            }
            wait.wait(self.limit(adopted.is_some()));
            if self.faulty {
                self.restore();
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

    /// How long to wait at most.
    fn limit(&self, adopted_is_watched: bool) -> Option<Duration> {
        let due = self.machine.deadline().map(|at| at.since(clock::now()));
        let must_look = self.faulty
            || self.adopted.is_some() && !adopted_is_watched
            || self.look_at_group
            || self.member.as_ref().is_some_and(|member| member.fd().is_none());
        match due {
            Some(due) if must_look => Some(due.min(LOOK)),
            None if must_look => Some(LOOK),
            due => due,
        }
    }

    fn take_signals(&mut self) {
        let arrived = signals::take();
        if arrived.has(signals::SIGCHLD) {
            self.reap();
        }
        if arrived.has(signals::SIGALRM) {
            self.restore();
            self.look();
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

    fn step(&mut self, event: Event) {
        if let Some(effect) = self.machine.step(event, clock::now()) {
            self.perform(effect);
        }
    }

    /// Reads the lock.
    fn look(&mut self) {
        self.step(Event::Ordered(self.files.read_order()));
    }

    fn perform(&mut self, effect: Effect) {
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

    fn saved(&mut self, result: Result<(), Fault>) {
        let event = Event::Saved(result.is_ok());
        self.report(result);
        self.step(event);
    }

    fn spawn(&mut self) {
        let now = clock::now();
        let name = Path::new(self.options.name.as_os_str());
        match entry::look(&self.options.sysdir, name, self.options.owner_check) {
            Entry::Service(_) => {}
            Entry::Missing => return self.refuse("it is not in the service directory".to_owned()),
            Entry::Refused(refusal) => return self.refuse(refusal.to_string()),
        }
        let waiting = match service::fork(&self.path, &self.context) {
            Ok(waiting) => waiting,
            Err(errno) => {
                self.report(Err(Fault::of("make a process for", service_path(&self.path))(errno)));
                return self.step(Event::NotSpawned(errno as i32));
            }
        };
        let (pid, group) = (waiting.pid, waiting.group);
        self.run = Some(Run { process: process::identify(pid), group, session: group::own_session() });
        self.recorded = None;
        if let Err(fault) = self.files.write_record(&self.to_record()) {
            // the gate closes, and the child exits
            drop(waiting);
            self.run = None;
            let errno = fault.errno as i32;
            self.report(Err(fault));
            return self.step(Event::NotSpawned(errno));
        }
        self.recorded = Some(self.to_record());
        self.exec_error = None;
        self.reason = None;
        self.group_signalled = false;
        if let Some(effect) = self.machine.step(Event::Spawned(pid), now) {
            self.perform(effect);
        }
        self.files.remove_ready();
        let written = self.files.write_pid(Some(pid));
        self.report(written);
        self.publish();
        self.gate = Some(waiting.release());
        self.say(Verbosity::Verbose, format_args!("started, process {pid}"));
    }

    fn refuse(&mut self, reason: String) {
        if self.reason.as_ref() != Some(&reason) {
            self.say(Verbosity::Quiet, format_args!("not started: {reason}"));
        }
        self.reason = Some(reason);
        self.step(Event::Refused);
    }

    /// The gate tells that the service executes, or why it does not.
    fn learn_of_exec(&mut self) {
        let Some(gate) = self.gate.take() else { return };
        self.exec_error = gate.error();
        if self.exec_error.is_none() && self.main_lives() {
            self.step(Event::Executed);
        }
    }

    /// Whether our child, the main process, has not ended yet.
    fn main_lives(&self) -> bool {
        reap::next_dead().is_none_or(|dead| Pid::new(dead.pid) != self.machine.main())
    }

    fn reap(&mut self) {
        while let Some(dead) = reap::next_dead() {
            let main = self.machine.main().filter(|_| self.adopted.is_none());
            if main.is_some_and(|main| main.raw() == dead.pid) {
                self.main_ended(dead.ended);
            } else {
                reap::reap(dead.pid);
            }
        }
    }

    /// The main process has ended; if it is our child, it is not reaped yet.
    fn main_ended(&mut self, ended: Ended) {
        let Some(pid) = self.machine.main() else {
            return;
        };
        // before the number can become somebody else's
        let removed = self.files.write_pid(None);
        self.report(removed);
        if self.gate.is_some() {
            self.learn_of_exec();
        }
        let group = self.run.map(group_of);
        if self.adopted.take().is_none() {
            let signals = [signals::SIGTERM, signals::SIGCONT];
            self.group_signalled = group.is_some_and(|group| group.signal_with_member(pid, &signals));
            reap::reap(pid.raw());
            let asked = matches!(self.machine.state, State::Stopping(..));
            if ended == Ended::Code(0) && !asked && reap::has_child() && has_stranger() {
                self.step(Event::Detached);
            }
        }
        self.look();
        let left = group.is_some_and(|group| !matches!(group.rest(), Rest::Nothing));
        if !left {
            self.run = None;
        }
        match self.exec_error.take() {
            Some(errno) if errno == Errno::ETXTBSY as i32 => self.refuse("it is still being written".to_owned()),
            Some(errno) => {
                self.step(Event::Ended(Ended::Exec(errno), left));
                self.tell_of_end();
            }
            None => {
                self.step(Event::Ended(ended, left));
                self.reason = self.machine.detached.then(|| DETACHED.to_owned());
                self.tell_of_end();
            }
        }
    }

    /// While what is left behind is being ended: whether it is gone, and by what its end is told.
    fn check_group(&mut self) {
        self.look_at_group = false;
        if !matches!(self.machine.state, State::Clearing(_)) {
            self.member = None;
            return;
        }
        if self.member.as_ref().is_some_and(Handle::lives) {
            return;
        }
        self.member = None;
        match self.run.map(|run| group_of(run).rest()) {
            None | Some(Rest::Nothing) => {
                self.run = None;
                self.step(Event::Cleared);
            }
            Some(Rest::Member(handle)) => self.member = Some(handle),
            Some(Rest::Unknown) => self.look_at_group = true,
            Some(Rest::Children) => {}
        }
    }

    fn signal_main(&mut self, pid: Pid, signals: &[i32]) {
        for signal in signals {
            let sent = match &self.adopted {
                Some(handle) => handle.signal(*signal),
                None => process::kill(pid, *signal),
            };
            if let Err(errno) = sent.or_else(|errno| if errno == Errno::ESRCH { Ok(()) } else { Err(errno) }) {
                self.report(Err(Fault::of("signal", service_path(&self.path))(errno)));
            }
        }
    }

    fn signal_group(&mut self, signals: &[i32]) {
        if let Some(Err(errno)) = self.run.map(|run| group_of(run).signal(signals)) {
            if errno != Errno::ESRCH {
                self.report(Err(Fault::of("end what is left of", service_path(&self.path))(errno)));
            }
        }
    }

    fn to_record(&self) -> Record {
        Record { boot: self.boot, run: self.run, told: self.machine.told }
    }

    /// Brings the record up to date, if it is not.
    fn record(&mut self) {
        let record = self.to_record();
        if self.recorded != Some(record) {
            let written = self.files.write_record(&record);
            if written.is_ok() {
                self.recorded = Some(record);
            }
            self.report(written);
        }
    }

    /// Puts back what others have taken away.
    fn restore(&mut self) {
        let restored = self.files.restore(&self.options.rundir, &self.options.name, &self.to_record());
        self.report(restored);
    }

    /// Brings record and status up to date.
    fn publish(&mut self) {
        self.record();
        if self.since.0 != self.machine.since {
            let ago = clock::now().since(self.machine.since).as_secs();
            self.since = (self.machine.since, clock::wall().saturating_sub(ago));
        }
        let status = self.status();
        let written = self.files.write_status(&status);
        self.report(written);
    }

    fn status(&self) -> Status {
        let machine = &self.machine;
        let phase = match machine.state {
            State::Down => Phase::Down,
            State::Starting(_) => Phase::Starting,
            State::Up(_) => Phase::Up,
            State::Stopping(..) => Phase::Stopping,
            State::Clearing(_) => Phase::Clearing,
            State::Backoff(_) => Phase::Backoff,
            State::Refused => Phase::Refused,
        };
        let (since_ms, since) = self.since;
        let mut status = Status::new(phase, since, since_ms, self.boot.as_str().to_owned());
        let main: Option<Process> = self.run.map(|run| run.process).filter(|_| machine.main().is_some());
        status.pid = main.map(|main| main.pid);
        status.start_time = main.map(|main| main.start);
        status.starts = machine.starts;
        status.failures = machine.failures;
        status.last_exit = machine.last;
        status.last_run_ms = machine.last_run.map(|run| u64::try_from(run.as_millis()).unwrap_or(u64::MAX));
        if let State::Backoff(at) = machine.state {
            status.next_try_ms = Some(at);
        }
        status.order = machine.order.map(|order| order.word().to_owned());
        status.reason.clone_from(&self.reason);
        status
    }

    /// Says how a run has ended, and what happens now, unless it was asked for.
    fn tell_of_end(&self) {
        let Some(last) = self.machine.last else {
            return;
        };
        let ended = last.in_words();
        let run = self.machine.last_run.unwrap_or_default().as_secs_f32();
        match self.machine.state {
            _ if !self.machine.is_wanted() => {
                self.say(Verbosity::Verbose, format_args!("{ended} after {run:.1} s, as it was told"));
            }
            State::Backoff(at) => {
                let wait = at.since(clock::now()).as_secs_f32();
                if wait > 0.0 {
                    let failures = self.machine.failures;
                    self.say(
                        Verbosity::Normal,
                        format_args!("{ended} after {run:.1} s, {failures} times in a row; tried again in {wait:.1} s"),
                    );
                } else {
                    self.say(Verbosity::Normal, format_args!("{ended} after {run:.1} s; started again"));
                }
            }
            State::Clearing(_) => {
                self.say(Verbosity::Normal, format_args!("{ended} after {run:.1} s; what it left behind is ended"));
            }
            _ => {}
        }
    }

    fn finish(&mut self) {
        self.run = None;
        self.machine.told = None;
        self.publish();
        let removed = self.files.write_pid(None).and_then(|()| self.files.write_syspid(None));
        self.report(removed);
        self.say(Verbosity::Verbose, format_args!("down"));
    }

    /// Reports what the system refused, once until all works again.
    fn report(&mut self, result: Result<(), Fault>) {
        if let Err(fault) = result {
            if !self.faulty {
                self.say(Verbosity::Quiet, format_args!("{fault}; it is tried again"));
            }
            self.faulty = true;
        }
    }

    fn say(&self, least: Verbosity, what: std::fmt::Arguments<'_>) {
        if self.options.verbosity >= least {
            message::say(format_args!("sysmgr: {}: {what}", self.options.name));
        }
    }
}

/// What a supervisor tells itself across execve(2): the descriptor of its lock, and its status.
struct Resume {
    lock: OwnedFd,
    status: Option<Status>,
}

impl Resume {
    fn write(lock: i32, status: &Status) -> String {
        format!("{lock}\n{status}")
    }

    fn parse(word: &OsStr) -> Option<Self> {
        let (lock, status) = word.to_str()?.split_once('\n')?;
        Some(Self { lock: context::inherited(lock.parse().ok()?)?, status: Status::decode(status.as_bytes()) })
    }
}

/// Whether a process that has come to us lives in another session than ours.
fn has_stranger() -> bool {
    let (own, session) = (std::process::id(), group::own_session());
    let strangers =
        process::find(|_, facts| u32::try_from(facts.parent) == Ok(own) && facts.session != session && !facts.zombie);
    !strangers.is_empty()
}

fn group_of(run: Run) -> Group {
    Group { id: run.group, session: run.session }
}

fn service_path(path: &CString) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(OsStr::from_bytes(path.as_bytes()))
}
