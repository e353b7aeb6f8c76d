//! A hold on a process.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;

use super::super::lock::{Held, Lock};
use super::{End, Facts, exists, kill, lives, session_of};
use crate::service::pid::Pid;
use crate::service::record::Process;

/// A hold on a process that is not our child: the number in it can't become another's unnoticed.
#[derive(Debug)]
pub struct Handle {
    process: Process,
    proof: Proof,
    /// What tells of its end, where there is such a thing.
    end: Option<End>,
}

/// How it is known that a number is still that of the same process.
#[derive(Debug)]
enum Proof {
    /// By when the process was started.
    Start,
    /// It is in this session, as only it and what belongs to it are.
    Session(i32),
    /// It has the lock.
    Lock(Lock),
    /// Not at all: good enough to wait for its end.
    Number,
}

impl Handle {
    /// Takes hold of `process`; `None` if it does not live, or start times can't be had.
    ///
    /// # Errors
    /// What kept us from looking just now.
    pub fn take(process: Process) -> Result<Option<Self>, Errno> {
        let end = End::of(process.pid);
        // only now: a number that has changed its process before is seen, one that does so later
        // does not matter
        Ok(lives(process)?.then_some(Self { process, proof: Proof::Start, end }))
    }

    /// Takes hold of `process`, only to wait for its end; `None` if it does not live or one can't look
    /// just now.
    #[must_use]
    pub fn to_await(process: Process) -> Option<Self> {
        if process.start != 0 {
            return Self::take(process).ok().flatten();
        }
        let end = End::of(process.pid);
        exists(process.pid).then_some(Self { process, proof: Proof::Number, end })
    }

    /// Takes hold of one of a list of processes.
    pub(super) fn of_listed(pid: Pid, facts: &Facts) -> Result<Option<Self>, Errno> {
        let process = Process { pid, start: facts.start };
        if facts.start != 0 {
            return Self::take(process);
        }
        let handle = Self { process, proof: Proof::Session(facts.session), end: End::of(pid) };
        Ok(Some(handle).filter(Self::lives))
    }

    /// Takes hold of the process `pid`, which has the lock, as long as it has.
    pub(in super::super) fn of_holder(pid: Pid, lock: Lock) -> Option<Self> {
        let end = End::of(pid);
        let proof = Proof::Lock(lock);
        Some(Self { process: Process { pid, start: 0 }, proof, end }).filter(|handle| handle.is_certain() == Ok(true))
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> Process {
        self.process
    }

    /// What becomes readable when it ends; `None` where one has to look.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.end.as_ref().map(End::fd)
    }

    /// Whether there is better proof to be had, as soon as it has its lock.
    #[must_use]
    pub fn is_provisional(&self) -> bool {
        matches!(self.proof, Proof::Session(_))
    }

    /// Whether it still lives. What may live does.
    #[must_use]
    pub fn lives(&self) -> bool {
        let has_ended = self.end.as_ref().is_some_and(End::has_come);
        !has_ended && self.is_certain().unwrap_or_else(|_| exists(self.process.pid))
    }

    /// Whether it lives for certain, or has ended for certain; else an error.
    fn is_certain(&self) -> Result<bool, Errno> {
        let pid = self.process.pid;
        match &self.proof {
            Proof::Start => lives(self.process),
            Proof::Session(session) => match session_of(pid) {
                Ok(now) => Ok(now == *session),
                Err(Errno::ESRCH) => Ok(false),
                Err(errno) => Err(errno),
            },
            Proof::Lock(lock) => match lock.is_held_by(pid) {
                Held::Yes => Ok(true),
                Held::No => Ok(false),
                Held::Unknown => Err(Errno::EAGAIN),
            },
            Proof::Number => Err(Errno::EAGAIN),
        }
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// ESRCH if it has ended or that can't be told just now, EPERM if it is not ours to signal.
    pub fn signal(&self, signal: i32) -> Result<(), Errno> {
        if let Some(sent) = self.end.as_ref().and_then(|end| end.signal(signal)) {
            return sent;
        }
        match self.is_certain() {
            Ok(true) => kill(self.process.pid, signal),
            Ok(false) | Err(_) => Err(Errno::ESRCH),
        }
    }
}
