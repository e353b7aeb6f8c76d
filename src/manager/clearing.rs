//! Ending what lives in the session of a runsyssv that died and left no record.

use crate::service::moment::Moment;
use crate::service::pid::Pid;
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
    /// Tells all that lives in `session` to end; `None` if there is nothing.
    #[must_use]
    pub fn of_session(session: Pid, kill_at: Moment) -> Option<Self> {
        let members = members(session);
        for member in &members {
            let _ = member.signal(signals::SIGTERM);
            let _ = member.signal(signals::SIGCONT);
        }
        (!members.is_empty()).then_some(Self { session, members, kill_at })
    }

    /// Whether all of them are gone. What does not go in time is killed.
    pub fn is_over(&mut self, now: Moment) -> bool {
        self.members.retain(Handle::lives);
        if self.members.is_empty() {
            self.members = members(self.session);
        }
        if now >= self.kill_at {
            self.kill_at = now + RETRY;
            for member in &self.members {
                let _ = member.signal(signals::SIGKILL);
            }
        }
        self.members.is_empty()
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

fn members(session: Pid) -> Vec<Handle> {
    let found = process::find(|pid, facts| pid != session && facts.session == session.raw() && !facts.zombie);
    found.into_iter().filter_map(Handle::of).collect()
}
