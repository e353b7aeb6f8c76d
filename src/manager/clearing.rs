//! Ending what a runsyssv that died and left no record has left: what lives in the session that it led, and what
//! has made a session of its own.

use nix::errno::Errno;

use crate::service::moment::Moment;
use crate::service::pid::Pid;
use crate::service::record::{Process, Run};
use crate::supervisor::machine::RETRY;
use crate::sys::process::{self, Handle};
use crate::sys::signals;

/// The processes that are being ended.
#[derive(Debug)]
pub struct Clearing {
    session: Pid,
    members: Vec<Handle>,
    kill_at: Moment,
}

impl Clearing {
    /// Tells all that lives in `session`, and `others`, to end; `None` if there is nothing.
    ///
    /// # Errors
    /// What kept us from looking just now.
    pub fn of_session(session: Pid, others: Vec<Handle>, kill_at: Moment) -> Result<Option<Self>, Errno> {
        let mut members = members(session)?;
        members.extend(others);
        for member in &members {
            let _ = member.signal(signals::SIGTERM);
            let _ = member.signal(signals::SIGCONT);
        }
        Ok((!members.is_empty()).then_some(Self { session, members, kill_at }))
    }

    /// Whether all of them are gone. What does not go in time is killed.
    pub fn is_over(&mut self, now: Moment) -> bool {
        self.members.retain(Handle::lives);
        if self.members.is_empty() {
            let Ok(members) = members(self.session) else { return false };
            self.members = members;
        }
        if now >= self.kill_at {
            self.kill_at = now + RETRY;
            for member in &self.members {
                let _ = member.signal(signals::SIGKILL);
            }
        }
        self.members.is_empty()
    }

    /// It as a run: one whose main process is gone, see `Machine::lost`.
    #[must_use]
    pub fn run(&self) -> Option<Run> {
        let places = |member: &Handle| {
            let pid = member.process().pid;
            Some((Pid::new(process::group_of(pid).ok()?)?, process::session_of(pid).ok()?))
        };
        let (group, session) = self.members.iter().find_map(places)?;
        Some(Run { process: Process { pid: self.session, start: 0 }, group, session })
    }

    /// A process whose end is awaited.
    #[must_use]
    pub fn member(&self) -> Option<&Handle> {
        self.members.first()
    }

    /// When the rest is killed.
    #[must_use]
    pub fn kill_at(&self) -> Moment {
        self.kill_at
    }
}

fn members(session: Pid) -> Result<Vec<Handle>, Errno> {
    process::find(|pid, facts| pid != session && facts.session == session.raw() && !facts.zombie)
}
