//! The runsyssv of the services: finding them, signalling them, noticing their end.

use nix::errno::Errno;

use super::clearing::Clearing;
use super::left::record_of;
use super::plan;
use super::services::{Services, Supervisor};
use crate::cli::Verbosity;
use crate::service::ended::Ended;
use crate::service::files::OWNER;
use crate::service::name::Name;
use crate::service::pid::Pid;
use crate::service::record::{Record, Run};
use crate::sys::fault::{Fault, is_passing};
use crate::sys::files::Dir;
use crate::sys::group::lives;
use crate::sys::owner::{Claim, Owner, record_held_by};
use crate::sys::process::{self, Handle};
use crate::sys::{clock, signals};

impl Services {
    /// Notes the runsyssv of `name`.
    pub fn set_supervisor(&mut self, name: &Name, supervisor: Supervisor) {
        if matches!(supervisor, Supervisor::Adopted(_) | Supervisor::Lost(_) | Supervisor::Clearing(_)) {
            self.others.insert(name.clone());
        } else {
            self.others.remove(name);
        }
        self.know(name).supervisor = supervisor;
    }

    /// Whether `name` has a runsyssv, or what one has left is being dealt with.
    #[must_use]
    pub fn is_supervised(&self, name: &Name) -> bool {
        self.all.get(name).is_some_and(|service| !matches!(service.supervisor, Supervisor::None))
    }

    /// A runsyssv that lives though we have not started it, or not as this sysmgr.
    pub(super) fn find_supervisor(&mut self, name: &Name, dir: Option<&Dir>) -> Result<(), Fault> {
        match &self.know(name).supervisor {
            Supervisor::None => {}
            Supervisor::Adopted(handle) if handle.is_provisional() => {}
            Supervisor::Adopted(_) | Supervisor::Child(..) | Supervisor::Lost(_) | Supervisor::Clearing(_) => {
                return Ok(());
            }
        }
        let Some(dir) = dir else { return Ok(()) };
        if let Some(handle) = Owner::hold(dir)? {
            self.set_supervisor(name, Supervisor::Adopted(handle));
            self.remember(name);
            // there may be an order that nobody told it of
            self.signal(name, &[signals::SIGALRM]);
        }
        Ok(())
    }

    /// The process that has the lock of `name`.
    #[must_use]
    pub fn holder(&self, name: &Name) -> Option<Pid> {
        Owner::held_by(&self.rundir.sub(name.as_os_str()).ok()?).ok().flatten()
    }

    /// Sends signals to the runsyssv of `name`, if there is one.
    pub fn signal(&mut self, name: &Name, signals: &[i32]) {
        for signal in signals {
            let _ = match self.all.get(name).map(|service| &service.supervisor) {
                // unreaped, so that the number is still its own
                Some(Supervisor::Child(pid, _)) => process::kill(*pid, *signal),
                Some(Supervisor::Adopted(handle)) => handle.signal(*signal),
                Some(Supervisor::None | Supervisor::Lost(_) | Supervisor::Clearing(_)) | None => Ok(()),
            };
        }
    }

    /// A child has ended, and is not reaped yet. Whether it was a runsyssv.
    pub fn child_ended(&mut self, pid: Pid, ended: Ended) -> bool {
        let Some(name) = self.children.remove(&pid) else {
            return false;
        };
        let now = clock::now();
        let Supervisor::Child(_, since) = self.know(&name).supervisor else {
            return false;
        };
        let well = ended == Ended::Code(0);
        self.set_supervisor(&name, Supervisor::None);
        let crashes = plan::crashes(self.know(&name).crashes, now.since(since), well);
        self.know(&name).crashes = crashes;
        let brief = plan::crashes(self.know(&name).brief, now.since(since), !well);
        self.know(&name).brief = brief;
        if !well {
            let wait = plan::delay(crashes);
            self.know(&name).held_until = Some(now + wait);
            let words = ended.in_words();
            let next = if wait.is_zero() { "the next one takes over" } else { "it is backed off" };
            self.say(Verbosity::Quiet, &name, format_args!("its runsyssv has ended: {words}; {next}"));
        }
        if well && self.ending {
            // it has left nothing that lives, and what it has left in files is removed at the end
            self.ended.push(name);
        } else {
            self.lost(&name, pid);
        }
        true
    }

    /// An adopted runsyssv has ended.
    pub fn adopted_ended(&mut self, name: &Name) {
        let service = self.know(name);
        if let Supervisor::Adopted(handle) = std::mem::replace(&mut service.supervisor, Supervisor::None) {
            self.lost(name, handle.process().pid);
        }
    }

    /// The runsyssv `pid` of `name` is gone. If it has left no record, what lives in its session is
    /// ended before another one may start.
    pub(super) fn lost(&mut self, name: &Name, pid: Pid) {
        match self.what_is_lost(name, pid) {
            Ok(None) => self.set_supervisor(name, Supervisor::None),
            Ok(Some(clearing)) => {
                self.say(Verbosity::Quiet, name, format_args!("its record is gone too; what it ran is ended first"));
                self.set_supervisor(name, Supervisor::Clearing(clearing));
                if let Err(fault) = self.record_clearing(name) {
                    self.say(Verbosity::Quiet, name, format_args!("{fault}"));
                }
            }
            Err(fault) => {
                self.set_supervisor(name, Supervisor::Lost(pid));
                return self.put_off(name, &fault);
            }
        }
        if self.ending {
            self.ended.push(name.clone());
        }
        // not at once: in the same moment many may be lost, and are dealt with one after the other
        self.attend_at(name, clock::now());
    }
}

impl Services {
    fn what_is_lost(&mut self, name: &Name, pid: Pid) -> Result<Option<Clearing>, Fault> {
        let dir = match self.rundir.sub(name.as_os_str()) {
            Ok(dir) => Some(dir),
            Err(fault) if is_passing(fault.errno) => return Err(fault),
            Err(_) => None,
        };
        // remembered at once: it may be wiped before the next one is started
        let record = dir.as_ref().map(record_of).transpose()?.flatten();
        let run = self.last_run_by(name, record);
        if record.is_some() || run.is_some_and(lives) {
            return Ok(None);
        }
        let fault = || Fault::of("look at what is left of", name.as_os_str());
        let kill_at = clock::now() + self.options.stop_timeout;
        let others = self.carriers(name).map_err(fault())?;
        Clearing::of_session(pid, others, kill_at).map_err(fault())
    }

    /// What has the name of `name` from its runsyssv, but for other services' that were started from it.
    fn carriers(&self, name: &Name) -> Result<Vec<Handle>, Errno> {
        let variables = [("RUNDIR", self.options.rundir.as_os_str()), ("SYSMGR_SERVICE", name.as_os_str())];
        let is_supervisor = |handle: &Handle| {
            let pid = handle.process().pid;
            self.children.contains_key(&pid)
                || self.others.iter().filter_map(|other| self.all.get(other)).any(
                    |service| matches!(&service.supervisor, Supervisor::Adopted(other) if other.process().pid == pid),
                )
        };
        let mut carriers = process::find_carriers(&variables)?;
        carriers.retain(|handle| !is_supervisor(handle));
        Ok(carriers)
    }

    /// The last run of `name` in this boot: as it stands on record, or stood there when it was last
    /// looked at.
    ///
    /// # Errors
    /// What kept us from reading it just now.
    pub(super) fn last_run(&mut self, name: &Name, dir: Option<&Dir>) -> Result<Option<Run>, Fault> {
        let record = dir.map(record_of).transpose()?.flatten();
        Ok(self.last_run_by(name, record))
    }

    fn last_run_by(&mut self, name: &Name, record: Option<Record>) -> Option<Run> {
        let boot = self.boot;
        let service = self.know(name);
        if let Some(record) = record {
            service.run = record.run.filter(|_| record.boot == boot);
        }
        service.run
    }

    /// Remembers the run of `name` that is on record now.
    pub(super) fn remember(&mut self, name: &Name) {
        if let Ok(dir) = self.rundir.sub(name.as_os_str()) {
            // what can't be read now is read with the next change
            let _ = self.last_run(name, Some(&dir));
        }
    }

    /// Remembers the run that `pid`, which supervises `name`, has on record, also if that was removed.
    pub(super) fn remember_by(&mut self, name: &Name, pid: Pid) {
        self.remember(name);
        let boot = self.boot;
        let service = self.know(name);
        if service.run.is_none() {
            service.run = record_held_by(pid).filter(|record| record.boot == boot).and_then(|record| record.run);
        }
    }

    /// Puts on record what is being ended, so that the next sysmgr ends it too, should this one die
    /// before. It has no main process any more.
    pub(super) fn record_clearing(&mut self, name: &Name) -> Result<(), Fault> {
        let Some(Supervisor::Clearing(clearing)) = self.all.get(name).map(|service| &service.supervisor) else {
            return Ok(());
        };
        let run = clearing.run();
        let dir = self.rundir.make_sub(name.as_os_str())?;
        if let Claim::Ours(owner, _) = Owner::claim(&dir)? {
            let record = Record::of(self.boot, run);
            owner.write(&record).map_err(Fault::of("write", dir.path().join(OWNER)))?;
        }
        Ok(())
    }
}
