//! Doing what was decided about a service.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;

use super::left::{read_order, record_of, remove_files};
use super::plan::{self, Facts};
use super::services::{Services, Supervisor};
use crate::cli::Verbosity;
use crate::service::ended::Ended;
use crate::service::files::{self, LOCK, OWNER, PID, STATUS, SYSPID};
use crate::service::moment::Moment;
use crate::service::name::Name;
use crate::service::order::Order;
use crate::service::pid::Pid;
use crate::service::record::Record;
use crate::service::status::{Phase, Status};
use crate::sys::entry::Entry;
use crate::sys::fault::Fault;
use crate::sys::files::Dir;
use crate::sys::owner::{Claim, Owner};
use crate::sys::{clock, signals, tool};

impl Services {
    pub(super) fn start(&mut self, name: &Name, now: Moment) {
        // there is no time for long waits when all is to end
        let latest = if self.ending { now + plan::REST } else { Moment(u64::MAX) };
        if let Some(until) = self.know(name).held_until.map(|until| until.min(latest)) {
            self.know(name).held_until = Some(until);
            if until > now {
                self.attend_at(name, until);
                return;
            }
        }
        match self.start_runsyssv(name) {
            Ok(pid) => {
                self.children.insert(pid, name.clone());
                self.set_supervisor(name, Supervisor::Child(pid, now));
                let service = self.know(name);
                service.held_until = None;
                service.reported = None;
            }
            Err(fault) => self.put_off(name, &fault),
        }
    }

    pub(super) fn start_runsyssv(&mut self, name: &Name) -> Result<Pid, Fault> {
        if self.runsyssv.as_ref().is_none_or(|path| !tool::is_executable(path)) {
            self.runsyssv = tool::find("runsyssv");
        }
        let Some(path) = &self.runsyssv else {
            return Err(Fault::of("find beside sysmgr or in PATH", "runsyssv")(Errno::ENOENT));
        };
        let (sysdir, rundir) = (self.options.sysdir.as_os_str(), self.options.rundir.as_os_str());
        let mut arguments: Vec<&OsStr> =
            vec!["runsyssv".as_ref(), "--sysdir".as_ref(), sysdir, "--rundir".as_ref(), rundir];
        match self.options.verbosity {
            Verbosity::Quiet => arguments.push("-q".as_ref()),
            Verbosity::Normal => {}
            Verbosity::Verbose => arguments.push("-v".as_ref()),
        }
        arguments.push(name.as_os_str());
        let run = self.all.get(name).and_then(|service| service.run);
        let record = run.map(|run| Record::of(self.boot, Some(run)).encode());
        let word = record.as_ref().map(|record| OsStr::from_bytes(record));
        tool::start(path, &arguments, self.umask, word).map_err(Fault::of("start", path))
    }

    pub(super) fn unlock(&mut self, name: &Name, dir: Option<&Dir>, order: Option<Order>) -> Result<(), Fault> {
        if let Some(dir) = dir {
            dir.remove_if(LOCK, |text| Some(Order::parse(text)) == order)?;
        }
        self.signal(name, &[signals::SIGALRM]);
        Ok(())
    }

    /// Stops a service whose entry is gone.
    pub(super) fn dismiss(&mut self, name: &Name, dir: Option<&Dir>, facts: Facts) -> Result<(), Fault> {
        let Some(dir) = dir else { return Ok(()) };
        if self.know(name).dismissed {
            return Ok(());
        }
        // an order that keeps it down may stay, one that would have it started is void
        let mut tell = signals::SIGTERM;
        if facts.order.is_none_or(Order::starts) {
            let gone = format!("{}\n", Order::Gone.word());
            dir.replace(LOCK, gone.as_bytes())?;
            // to look is enough, and is nothing when the entry is back by then
            tell = signals::SIGALRM;
        }
        if !facts.supervised {
            self.start(name, clock::now());
        }
        // who is not there yet is told at another time
        if self.is_supervised(name) {
            self.signal(name, &[tell]);
            self.know(name).dismissed = true;
            self.say(Verbosity::Normal, name, format_args!("removed from the service directory; it is stopped"));
        }
        Ok(())
    }

    /// Removes what there is of a service that is gone.
    pub fn forget(&mut self, name: &Name, dir: Option<&Dir>) {
        if let Some(dir) = dir {
            remove_files(dir, &files::OF_SERVICE);
            self.rundir.remove_dir(name.as_os_str());
        }
        if let Some(service) = self.all.remove(name) {
            if let (Some(watched), Some(watch)) = (service.watched, &self.run_watch) {
                self.watched.remove(&watched);
                watch.remove(watched);
            }
        }
    }

    /// Says why a service can't be started.
    pub(super) fn refuse(&mut self, name: &Name, dir: Option<&Dir>) -> Result<(), Fault> {
        let Entry::Refused(refusal) = &self.know(name).entry else { return Ok(()) };
        let reason = refusal.to_string();
        if let Some(dir) = dir {
            // what has no owner is not known to be ours
            if record_of(dir)?.is_none() {
                if let Claim::Ours(owner, _) = Owner::claim(dir)? {
                    let none = Record::of(self.boot, None);
                    owner.write(&none).map_err(Fault::of("write", dir.path().join(OWNER)))?;
                }
            }
            let there = dir.read(STATUS, &mut [0; 4096]).and_then(Status::decode);
            let same = |status: &Status| status.phase == Phase::Refused && status.reason.as_ref() == Some(&reason);
            if !there.as_ref().is_some_and(same) {
                let boot = self.boot.as_str().to_owned();
                let mut status = Status::new(Phase::Refused, clock::wall(), clock::now(), boot);
                status.order = read_order(dir)?.map(|order| order.word().to_owned());
                status.reason = Some(reason.clone());
                dir.replace(STATUS, status.to_string().as_bytes())?;
            }
        }
        if self.know(name).reported.as_ref() != Some(&reason) {
            self.say(Verbosity::Quiet, name, format_args!("not started: {reason}"));
            self.know(name).reported = Some(reason);
        }
        Ok(())
    }
}

/// What a runsyssv that was killed has left in the files of a service that is to have none: process ids
/// that nobody has any more, and perhaps somebody else has soon; and that its file is refused, if it is not (`refused`)
/// any more.
pub(super) fn tidy(dir: &Dir, refused: bool) {
    if !dir.has(OWNER) {
        return;
    }
    for file in [PID, SYSPID] {
        if dir.has(file) {
            let _ = dir.remove(file);
        }
    }
    let status = dir.read(STATUS, &mut [0; 4096]).and_then(Status::decode);
    let keeps = |phase| phase == Phase::Down || refused && phase == Phase::Refused;
    if let Some(mut status) = status.filter(|status| !keeps(status.phase)) {
        if std::mem::replace(&mut status.phase, Phase::Down) == Phase::Refused {
            status.reason = None;
        }
        (status.since, status.since_ms) = (clock::wall(), clock::now());
        if status.pid.take().is_some() {
            status.last_exit = Some(Ended::Unknown);
            status.last_run_ms = None;
        }
        status.start_time = None;
        status.next_try_ms = None;
        let _ = dir.replace(STATUS, status.to_string().as_bytes());
    }
}
