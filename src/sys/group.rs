//! Process groups: what a service has left behind.
//!
//! The number of a group is nobody else's as long as the group has a member, and an unreaped zombie
//! is one. A group is signalled only while we know of such a member: the service's own unreaped main
//! process, a child of ours that has just joined it, or one whose group and session are those on
//! record.

use nix::errno::Errno;
use nix::libc::{self, c_int, c_void};

use super::child;
use super::process::{self, Handle};
use super::reap;
use crate::service::ended::Ended;
use crate::service::pid::Pid;
use crate::service::record::Run;

/// A process group as it stands in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// The number of the group.
    pub id: Pid,
    /// The session to which it belongs; 0 if its leader is in an outer PID namespace.
    pub session: i32,
}

impl Group {
    /// Whether any process, zombies included, is in a group of this number.
    #[must_use]
    pub fn exists(self) -> bool {
        !matches!(kill_group(self.id, 0), Err(Errno::ESRCH))
    }

    /// Sends `signals` to all in it, while `main`, an unreaped child of ours, is in it. Nothing
    /// is sent if it has left the group, and the answer is false.
    #[must_use]
    pub fn signal_with_member(self, main: Pid, signals: &[i32]) -> bool {
        // SAFETY: getpgid(2) takes and gives a number.
        let certain = unsafe { libc::getpgid(main.raw()) } == self.id.raw();
        if certain {
            for signal in signals {
                let _ = kill_group(self.id, *signal);
            }
        }
        certain
    }

    /// Sends `signals` to all that is in it.
    ///
    /// # Errors
    /// Of fork(2); EPERM if all of its members belong to other users.
    pub fn signal(self, signals: &[i32]) -> Result<(), Errno> {
        if self.session == own_session() {
            let Some(member) = join(self.id)? else {
                return Ok(());
            };
            let mut sent = Ok(());
            for signal in signals {
                sent = kill_group(self.id, *signal);
            }
            reap::reap(member.raw());
            return sent;
        }
        if self.members()?.is_empty() {
            return Ok(());
        }
        signals.iter().try_for_each(|signal| kill_group(self.id, *signal))
    }

    /// What there is still of it.
    #[must_use]
    pub fn rest(self) -> Rest {
        if !self.exists() {
            Rest::Nothing
        } else if reap::has_child_in_group(self.id.raw()) {
            Rest::Children
        } else if process::knows() {
            // zombies whose parents don't reap them are no processes any more
            match self.members().map(|members| members.into_iter().next()) {
                Ok(Some(handle)) => Rest::Member(handle),
                Ok(None) if !self.may_be_hidden() => Rest::Nothing,
                Ok(None) | Err(_) => Rest::Unknown,
            }
        } else {
            Rest::Unknown
        }
    }

    /// Whether it may be that there are members which only are not shown to us: none is ours.
    fn may_be_hidden(self) -> bool {
        kill_group(self.id, 0) == Err(Errno::EPERM) && !process::shows_all()
    }

    fn members(self) -> Result<Vec<Handle>, Errno> {
        process::find(|_, facts| facts.group == self.id.raw() && facts.session == self.session && !facts.zombie)
    }
}

/// What there is of a group.
#[derive(Debug)]
pub enum Rest {
    /// Nothing that lives.
    Nothing,
    /// Children of ours: their end is signalled.
    Children,
    /// Processes that are no children of ours, such as this one.
    Member(Handle),
    /// Perhaps something; one has to look again.
    Unknown,
}

/// What there is of a run that nobody supervises. Where it can't be told, a process that has the number of its main
/// process and has left the group may be that.
#[must_use]
pub fn rest_of(run: Run) -> Rest {
    match (Group { id: run.group, session: run.session }).rest() {
        Rest::Nothing if !process::knows() && process::may_lead(run.process.pid) => Rest::Unknown,
        rest => rest,
    }
}

/// Whether anything still lives of a run that nobody supervises.
#[must_use]
pub fn lives(run: Run) -> bool {
    process::is_alive(run.process) || !matches!(rest_of(run), Rest::Nothing)
}

/// The leader of a new group in our session: it does nothing more than to end, and is not reaped. As long
/// as that is so, others may join.
#[derive(Debug)]
pub struct Leader(Pid);

impl Leader {
    /// Makes it.
    ///
    /// # Errors
    /// Of fork(2).
    pub fn make() -> Result<Self, Errno> {
        if let Some(pid) = child::that_ends()?.and_then(Pid::new) {
            let leader = Self(pid);
            // SAFETY: setpgid(2) takes two numbers. On Linux a child that has ended may be moved too.
            Errno::result(unsafe { libc::setpgid(pid.raw(), 0) })?;
            return Ok(leader);
        }
        loop {
            if let Some(leader) = helper(0)? {
                return Ok(Self(leader));
            }
        }
    }

    /// The number of the group.
    #[must_use]
    pub fn group(&self) -> Pid {
        self.0
    }
}

/// It is reaped.
impl Drop for Leader {
    fn drop(&mut self) {
        reap::reap(self.0.raw());
    }
}

/// Lets a child of ours join the group `id` of our session and end; it is not reaped yet.
/// `None` if there is no such group in our session.
fn join(id: Pid) -> Result<Option<Pid>, Errno> {
    helper(id.raw())
}

/// A child that enters a group (a new one of its own for 0) and ends. It is left unreaped if it
/// could enter.
fn helper(mut group: i32) -> Result<Option<Pid>, Errno> {
    extern "C" fn enter(group: *mut c_void) -> c_int {
        // SAFETY: two system calls, with a number that lives in our parent.
        unsafe { libc::_exit(c_int::from(libc::setpgid(0, *group.cast::<i32>()) != 0)) }
    }
    // SAFETY: this program has one thread; the argument is what the child takes.
    let pid = unsafe { child::run(enter, (&raw mut group).cast()) }?;
    let entered = if child::RUN_WAITS {
        // SAFETY: getpgid(2) takes and gives a number; on Linux it knows those of the dead too.
        unsafe { libc::getpgid(pid) == if group == 0 { pid } else { group } }
    } else {
        reap::await_dead(pid) == Some(Ended::Code(0))
    };
    if !entered {
        reap::reap(pid);
    }
    Ok(Pid::new(pid).filter(|_| entered))
}

/// The session of this process; 0 if its leader is in an outer PID namespace.
#[must_use]
pub fn own_session() -> i32 {
    // SAFETY: getsid(2) of ourselves can't fail.
    unsafe { libc::getsid(0) }
}

fn kill_group(id: Pid, signal: i32) -> Result<(), Errno> {
    // SAFETY: kill(2) takes two numbers; a `Pid` negated is -2 or less: always one group.
    Errno::result(unsafe { libc::kill(-id.raw(), signal) }).map(drop)
}
