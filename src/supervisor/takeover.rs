//! Taking over a service: from a dead predecessor, or from ourselves before we executed a new file.

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::driver::{Supervisor, refused};
use super::machine::{Event, State};
use crate::cli::Verbosity;
use crate::service::moment::Moment;
use crate::service::order::Order;
use crate::service::pid::Pid;
use crate::service::record::{Record, Told};
use crate::service::status::{Phase, Status};
use crate::sys::fault::Fault;
use crate::sys::files::Dir;
use crate::sys::group::{Rest, rest_of};
use crate::sys::owner::{Holder, Owner};
use crate::sys::process::{self, Handle};
use crate::sys::wait::insist;
use crate::sys::{clock, context, orphans, reap, tool};

impl Supervisor {
    /// A living supervisor of this service whose files are gone. Only for who is started by hand:
    /// sysmgr knows those that live.
    pub(super) fn find_other(&self) -> Option<Pid> {
        let parent = std::os::unix::process::parent_id();
        let manager = Dir::open(&self.options.rundir).and_then(|dir| Owner::holder(&dir));
        if matches!(manager, Ok(Holder::Process(pid, _)) if u32::try_from(pid) == Ok(parent)) {
            return None;
        }
        let rundir = ["--rundir".as_ref(), self.options.rundir.as_os_str()];
        let living = insist(
            || process::find_tools("runsyssv", &rundir),
            |errno| refused(&self.options, "list processes", errno),
        );
        living
            .into_iter()
            .find(|(_, name)| *name == self.options.name.as_os_str())
            .map(|(other, _)| other.process().pid)
    }

    /// Goes on where a predecessor, or this supervisor before it executed itself anew, has left off.
    pub(super) fn take_over(&mut self, record: Option<Record>, resumed: Option<Status>) {
        let now = clock::now();
        orphans::adopt();
        let record = record.filter(|record| record.boot == self.boot);
        let told = record.and_then(|record| record.told);
        let here = |status: &Status| status.boot == self.boot.as_str();
        let is_resumed = resumed.is_some();
        if let Some(old) = resumed.or_else(|| self.files.read_status()).filter(here) {
            self.machine.starts = old.starts;
            self.machine.failures = old.failures;
            self.machine.last = old.last_exit;
            self.machine.last_run = old.last_run_ms.map(Duration::from_millis);
            self.machine.by_order = old.by_order;
            self.reason.clone_from(&old.reason);
            if is_resumed {
                self.since = (old.since_ms, old.since);
                self.machine = self.machine.resume(self.state_of(&old, told), old.since_ms, old.since_ms);
            }
        }
        let own = Pid::new(i32::try_from(std::process::id()).unwrap_or(0));
        let written = self.files.write_syspid(own);
        self.report(written);
        self.run = record.and_then(|record| record.run);
        self.take_over_run(now, is_resumed);
        let locked = record.is_some_and(|record| record.locked);
        if locked {
            // the lock says whether it still counts
            (self.machine.told, self.machine.locked) = (told, true);
        }
        self.look();
        // what was told may not have come into the lock; but who wants it started by now is newer
        if let Some(told) = told.filter(|_| !locked) {
            if !self.machine.order.is_some_and(Order::starts) {
                self.step(Event::Told(told));
            }
        }
    }

    /// The processes of the run on record.
    pub(super) fn take_over_run(&mut self, now: Moment, is_resumed: bool) {
        let main = self.run.map(|run| run.process);
        // a child of ours, living or not, is still to be reaped
        let is_child = main.is_some_and(|main| reap::is_child(main.pid));
        let tell = |errno| refused(&self.options, "learn whether its process lives", errno);
        let handle = main.filter(|_| !is_child).and_then(|main| insist(|| Handle::take(main), tell));
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
        } else if self.machine.main().is_some() || !is_resumed {
            let left = !matches!(rest_of(run), Rest::Nothing);
            if !left {
                self.run = None;
            }
            let (machine, effect) = self.machine.lost(now - process::age(run.process), left, now);
            self.machine = machine;
            if let Some(effect) = effect {
                self.perform(effect);
            }
        }
    }

    /// The state that a status tells of.
    pub(super) fn state_of(&self, status: &Status, told: Option<Told>) -> State {
        let told = told.unwrap_or(Told::Stop);
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
    pub(super) fn execute_anew(&mut self) {
        if self.gate.is_some() {
            return;
        }
        self.renew = false;
        let Some(file) = tool::own_file() else { return };
        self.publish();
        let errno = match self.files.inherit(true) {
            Ok(lock) => {
                let word = Resume::write(lock, &self.status(), &self.to_record());
                context::execute_anew(&file, word.as_ref(), self.context.umask)
            }
            Err(errno) => errno,
        };
        let _ = self.files.inherit(false);
        let fault = Fault::of("execute", &file)(errno);
        self.say(Verbosity::Quiet, format_args!("{fault}; its supervisor goes on as it is"));
    }
}

/// What a supervisor tells itself across execve(2): the descriptor of its lock, its status, and its record, as one
/// more line of the status.
pub(super) struct Resume {
    pub(super) lock: OwnedFd,
    pub(super) status: Option<Status>,
    pub(super) record: Option<Record>,
}

const RECORD: &str = "record='";

impl Resume {
    pub(super) fn write(lock: i32, status: &Status, record: &Record) -> String {
        let record = record.encode();
        let record = String::from_utf8_lossy(&record);
        format!("{lock}\n{status}{RECORD}{}'\n", record.trim_ascii_end())
    }

    pub(super) fn parse(word: &OsStr) -> Option<Self> {
        let (lock, status, record) = read(word.to_str()?)?;
        Some(Self { lock: context::inherited(lock)?, status, record })
    }
}

/// The number of a descriptor, and what is told beside it.
fn read(word: &str) -> Option<(i32, Option<Status>, Option<Record>)> {
    let (lock, status) = word.split_once('\n')?;
    let line = status.lines().find_map(|line| line.strip_prefix(RECORD)?.strip_suffix('\''));
    let record = line.and_then(|line| Record::decode(format!("{line}\n").as_bytes()));
    Some((lock.parse().ok()?, Status::decode(status.as_bytes()), record))
}

#[cfg(test)]
mod tests {
    use super::{Moment, Phase, Pid, Record, Resume, Status, Told, read};
    use crate::service::record::{BootId, Process, Run};
    use crate::service::rubbish::variations;

    #[test]
    fn what_is_told_is_understood_and_rubbish_is_not() {
        let pid = |raw| Pid::new(raw).expect("a number from a test");
        let mut status = Status::new(Phase::Up, 1, Moment(2), "3fa1-x".to_owned());
        status.pid = Some(pid(7));
        status.reason = Some("it's\nrecord='x'".to_owned());
        let run = Run { process: Process { pid: pid(7), start: 8 }, group: pid(9), session: 10 };
        let record = Record { told: Some(Told::Kill), ..Record::of(BootId::UNKNOWN, Some(run)) };
        let word = Resume::write(5, &status, &record);
        let (lock, status, told) = read(&word).expect("it is whole");
        assert_eq!((lock, status.and_then(|status| status.pid), told), (5, Some(pid(7)), Some(record)));
        variations(&[word.as_bytes(), b"5\n", b"-1\nrecord='sysmgr 1 - 1 1 1 1 -'\n"], |content| {
            let told = std::str::from_utf8(content).ok().and_then(read);
            if let Some((_, _, Some(record))) = told {
                assert_eq!(Record::decode(&record.encode()), Some(record), "{content:?}");
            }
        });
    }
}
