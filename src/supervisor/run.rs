//! One run of the service: its start, its end, and what it leaves behind.

use std::ffi::{CStr, OsStr};
use std::path::Path;

use nix::errno::Errno;

use super::driver::Supervisor;
use super::machine::{Event, State};
use crate::cli::Verbosity;
use crate::service::ended::Ended;
use crate::service::pid::Pid;
use crate::service::record::Run;
use crate::sys::entry::{self, Entry};
use crate::sys::fault::Fault;
use crate::sys::group::{self, Group, Rest, rest_of};
use crate::sys::process::{self, Handle};
use crate::sys::{clock, reap, service, signals};

/// Why a service that runs, in a way, is held down.
const DETACHED: &str = "it has put itself in the background, where it can't be supervised; \
    daemons have a flag to stay in the foreground, such as -f, -F, -n, -D or --foreground";

impl Supervisor {
    pub(super) fn spawn(&mut self) {
        let now = clock::now();
        match self.entry() {
            Entry::Service(_) => {}
            Entry::Missing => return self.refuse("it is not in the service directory".to_owned()),
            Entry::Refused(refusal) => return self.refuse(refusal.to_string()),
            Entry::Unknown(errno) => {
                self.report(Err(Fault::of("look at", service_path(self.path))(errno)));
                return self.step(Event::NotSpawned(errno as i32));
            }
        }
        let waiting = match service::fork(self.path, self.context) {
            Ok(waiting) => waiting,
            Err(errno) => {
                self.report(Err(Fault::of("make a process for", service_path(self.path))(errno)));
                return self.step(Event::NotSpawned(errno as i32));
            }
        };
        let (pid, group) = (waiting.pid, waiting.group());
        let process = match process::certain_identity(pid) {
            Ok(process) => process,
            Err(errno) => {
                self.report(Err(Fault::of("look at the process of", service_path(self.path))(errno)));
                return self.step(Event::NotSpawned(errno as i32));
            }
        };
        self.run = Some(Run { process, group, session: group::own_session() });
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

    pub(super) fn refuse(&mut self, reason: String) {
        if self.reason.as_ref() != Some(&reason) {
            self.say(Verbosity::Quiet, format_args!("not started: {reason}"));
        }
        self.reason = Some(reason);
        self.step(Event::Refused);
    }

    fn entry(&self) -> Entry {
        let name = Path::new(self.options.name.as_os_str());
        entry::look(&self.options.sysdir, name, self.options.owner_check)
    }

    /// A refused file may be right by now: there may have been no sysmgr to tell that it has changed.
    pub(super) fn look_at_entry(&mut self) {
        if self.machine.state == State::Refused && matches!(self.entry(), Entry::Service(_)) {
            self.step(Event::Hurry);
        }
    }

    /// The gate tells that the service executes, or why it does not.
    pub(super) fn learn_of_exec(&mut self) {
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

    /// The main process has ended; if it is our child, it is not reaped yet.
    pub(super) fn main_ended(&mut self, ended: Ended) {
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
    pub(super) fn check_group(&mut self) {
        self.look_at_group = false;
        if !matches!(self.machine.state, State::Clearing(_)) {
            self.member = None;
            return;
        }
        if self.member.as_ref().is_some_and(Handle::lives) {
            return;
        }
        self.member = None;
        match self.run.map(rest_of) {
            None | Some(Rest::Nothing) => {
                self.run = None;
                self.step(Event::Cleared);
            }
            Some(Rest::Member(handle)) => self.member = Some(handle),
            Some(Rest::Unknown) => self.look_at_group = true,
            Some(Rest::Children) => {}
        }
    }

    pub(super) fn signal_main(&mut self, pid: Pid, signals: &[i32]) {
        for signal in signals {
            let sent = match &self.adopted {
                Some(handle) => handle.signal(*signal),
                None => process::kill(pid, *signal),
            };
            if let Err(errno) = sent.or_else(|errno| if errno == Errno::ESRCH { Ok(()) } else { Err(errno) }) {
                self.report(Err(Fault::of("signal", service_path(self.path))(errno)));
            }
        }
    }

    pub(super) fn signal_group(&mut self, signals: &[i32]) {
        if let Some(Err(errno)) = self.run.map(|run| group_of(run).signal(signals)) {
            if errno != Errno::ESRCH {
                self.report(Err(Fault::of("end what is left of", service_path(self.path))(errno)));
            }
        }
    }
}

/// Whether a process that has come to us lives in another session than ours.
fn has_stranger() -> bool {
    let (own, session) = (std::process::id(), group::own_session());
    let strangers =
        process::find(|_, facts| u32::try_from(facts.parent) == Ok(own) && facts.session != session && !facts.zombie);
    strangers.is_ok_and(|strangers| !strangers.is_empty())
}

pub(super) fn group_of(run: Run) -> Group {
    Group { id: run.group, session: run.session }
}

pub(super) fn service_path(path: &CStr) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(OsStr::from_bytes(path.to_bytes()))
}
