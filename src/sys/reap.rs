//! Children that have ended.

use nix::errno::Errno;
use nix::libc;

use crate::service::ended::Ended;
use crate::service::pid::Pid;

/// A child that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dead {
    /// Its process id: still its own until it is reaped.
    pub pid: i32,
    /// How it ended.
    pub ended: Ended,
}

/// A child that has ended, if there is one; it is not reaped (`WNOWAIT` of waitid(2)).
#[must_use]
pub fn next_dead() -> Option<Dead> {
    wait(libc::P_ALL, 0, libc::WNOHANG | libc::WNOWAIT).ok().flatten()
}

/// Waits until the child `pid` has ended; it is not reaped. How it ended; `None` if it is no child of ours.
pub(super) fn await_dead(pid: i32) -> Option<Ended> {
    loop {
        #[allow(clippy::cast_sign_loss)]
        match wait(libc::P_PID, pid as libc::id_t, libc::WNOWAIT) {
            Err(Errno::EINTR) => {}
            dead => return dead.ok().flatten().map(|dead| dead.ended),
        }
    }
}

/// Reaps the child `pid`, which has ended or does nothing more than that.
pub fn reap(pid: i32) {
    // also one whose end is not signalled
    #[cfg(all(target_os = "linux", not(sysmgr_posix)))]
    const ANY: libc::c_int = libc::__WALL;
    #[cfg(not(all(target_os = "linux", not(sysmgr_posix))))]
    const ANY: libc::c_int = 0;
    #[allow(clippy::cast_sign_loss)]
    while wait(libc::P_PID, pid as libc::id_t, ANY) == Err(Errno::EINTR) {}
}

/// Whether `pid` is a child of ours, living or not.
#[must_use]
pub fn is_child(pid: Pid) -> bool {
    #[allow(clippy::cast_sign_loss)]
    wait(libc::P_PID, pid.raw() as libc::id_t, libc::WNOHANG | libc::WNOWAIT).is_ok()
}

/// Whether a child of ours, living or not, is in the group `group`.
#[must_use]
pub fn has_child_in_group(group: i32) -> bool {
    #[allow(clippy::cast_sign_loss)]
    wait(libc::P_PGID, group as libc::id_t, libc::WNOHANG | libc::WNOWAIT).is_ok()
}

/// Whether there is any child of ours, living or not.
#[must_use]
pub fn has_child() -> bool {
    wait(libc::P_ALL, 0, libc::WNOHANG | libc::WNOWAIT).is_ok()
}

fn wait(kind: libc::idtype_t, id: libc::id_t, how: libc::c_int) -> Result<Option<Dead>, Errno> {
    // SAFETY: a siginfo_t is plain numbers, for which zero is a value.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` is valid for the time of the call.
    Errno::result(unsafe { libc::waitid(kind, id, &raw mut info, libc::WEXITED | how) })?;
    // SAFETY: waitid(2) has filled in the fields of a child, or left them zero when there is none.
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    if pid == 0 {
        return Ok(None);
    }
    let ended = match info.si_code {
        libc::CLD_EXITED => Ended::Code(status),
        code => Ended::Signal { number: status, core: code == libc::CLD_DUMPED },
    };
    Ok(Some(Dead { pid, ended }))
}
