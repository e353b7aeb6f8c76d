//! Processes that may be nobody's child of ours: whether they live, waiting for their end, and
//! signals that reach them and no other.

mod handle;

/// What the system tells of processes.
#[allow(clippy::unnecessary_wraps)] // what can fail differs
#[cfg(all(target_os = "linux", not(sysmgr_posix)))]
#[path = "proc.rs"]
mod os;
#[allow(clippy::unnecessary_wraps)]
#[cfg(not(all(target_os = "linux", not(sysmgr_posix))))]
#[path = "ps.rs"]
mod os;

/// What the system tells of one process alone.
#[cfg(all(sysmgr_bsd, not(target_vendor = "apple")))]
#[path = "sysctl.rs"]
mod one;
#[allow(clippy::unnecessary_wraps)]
#[cfg(not(any(all(target_os = "linux", not(sysmgr_posix)), all(sysmgr_bsd, not(target_vendor = "apple")))))]
#[path = "nothing.rs"]
mod one;

/// The end of a process that is not our child.
#[allow(clippy::unnecessary_wraps)]
#[cfg(all(target_os = "linux", not(sysmgr_posix)))]
#[path = "pidfd.rs"]
mod end;
#[cfg(sysmgr_bsd)]
#[path = "kqueue.rs"]
mod end;
#[cfg(not(any(all(target_os = "linux", not(sysmgr_posix)), sysmgr_bsd)))]
#[path = "looking.rs"]
mod end;

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;

use end::End;
pub use handle::Handle;
pub(super) use os::{knows, shows_all};

use crate::service::pid::Pid;
use crate::service::record::{BootId, Process};

/// What the system tells of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether it has ended and only waits to be reaped.
    pub zombie: bool,
    /// Whether it is suspended, as by SIGSTOP.
    pub suspended: bool,
    /// The process id of its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its session.
    pub session: i32,
    /// When it was started, in clock ticks since boot.
    pub start: u64,
}

/// The id of this boot; `UNKNOWN` where the system has none.
///
/// # Errors
/// What kept us from looking just now.
pub fn certain_boot_id() -> Result<BootId, Errno> {
    os::boot_id()
}

/// The id of this boot, for those who only look; `UNKNOWN` where it can't be had.
#[must_use]
pub fn boot_id() -> BootId {
    os::boot_id().unwrap_or(BootId::UNKNOWN)
}

/// Our own child `pid`, as it will be known to whoever comes after us.
///
/// # Errors
/// What kept us from looking just now.
pub fn certain_identity(pid: Pid) -> Result<Process, Errno> {
    Ok(Process { pid, start: os::facts(pid)?.map_or(0, |facts| facts.start) })
}

/// The process `pid`, for those who only look.
#[must_use]
pub fn identify(pid: Pid) -> Process {
    Process { pid, start: os::facts(pid).ok().flatten().map_or(0, |facts| facts.start) }
}

/// Whether `process` lives: the number is still that of the same process, and it is no zombie.
/// Never true where start times can't be had.
fn lives(process: Process) -> Result<bool, Errno> {
    let is_it = |facts: Facts| facts.start == process.start && !facts.zombie;
    Ok(process.start != 0 && os::facts(process.pid)?.is_some_and(is_it))
}

/// Whether `process` lives, never true where start times can't be had. If one can't look just now, any
/// process of its number counts: what lives must not be taken for dead.
#[must_use]
pub fn is_alive(process: Process) -> bool {
    lives(process).unwrap_or_else(|_| exists(process.pid))
}

/// How a process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It runs, as far as is known.
    Runs,
    /// It is suspended, as by SIGSTOP.
    Suspended,
}

/// Whether and how `process` seems to live: as `is_alive`, but where start times can't be had any
/// process of its number will do. For what is shown and awaited, not for what is signalled.
#[must_use]
pub fn life(process: Process) -> Option<Life> {
    let any = || exists(process.pid).then_some(Life::Runs);
    if process.start == 0 {
        return any();
    }
    match os::facts(process.pid) {
        Ok(Some(facts)) if facts.start == process.start && !facts.zombie => {
            Some(if facts.suspended { Life::Suspended } else { Life::Runs })
        }
        Ok(_) => None,
        Err(_) => any(),
    }
}

/// Whether `process` seems to live.
#[must_use]
pub fn seems_alive(process: Process) -> bool {
    life(process).is_some()
}

/// As `seems_alive`, but one that has ended and is not reaped counts too.
#[must_use]
pub fn seems_there(process: Process) -> bool {
    match os::facts(process.pid) {
        Ok(Some(facts)) => facts.start == process.start,
        Ok(None) if process.start != 0 => false,
        Ok(None) | Err(_) => exists(process.pid),
    }
}

/// Whether there is any process of the number `pid`.
pub(super) fn exists(pid: Pid) -> bool {
    kill(pid, 0) != Err(Errno::ESRCH)
}

/// Whether the process `pid` leads a group of its own, or may.
pub(super) fn may_lead(pid: Pid) -> bool {
    match group_of(pid) {
        Ok(group) => group == pid.raw(),
        Err(errno) => errno != Errno::ESRCH,
    }
}

/// The group of the process `pid`.
///
/// # Errors
/// Of getpgid(2): ESRCH if there is no such process.
pub fn group_of(pid: Pid) -> Result<i32, Errno> {
    // SAFETY: getpgid(2) takes and gives a number.
    Errno::result(unsafe { libc::getpgid(pid.raw()) })
}

/// The session of the process `pid`.
///
/// # Errors
/// Of getsid(2): ESRCH if there is no such process.
pub fn session_of(pid: Pid) -> Result<i32, Errno> {
    // SAFETY: getsid(2) takes and gives a number.
    Errno::result(unsafe { libc::getsid(pid.raw()) })
}

/// How long ago `process` was started; zero where that can't be known.
#[must_use]
pub fn age(process: Process) -> Duration {
    os::age(process.start)
}

/// Takes hold of the processes of which `wanted` is true, of all that the system shows. A look at all of them is
/// dear: never one for each service.
///
/// # Errors
/// What kept us from looking just now.
pub fn find(wanted: impl Fn(Pid, &Facts) -> bool) -> Result<Vec<Handle>, Errno> {
    let found = os::list()?.into_iter().filter(|(pid, facts)| wanted(*pid, facts));
    found.filter_map(|(pid, facts)| Handle::of_listed(pid, &facts).transpose()).collect()
}

/// Takes hold of the other processes that were executed with all of these variables, but for those whose parents were
/// too. None where the system does not tell.
///
/// # Errors
/// What kept us from looking just now.
pub fn find_carriers(variables: &[(&str, &OsStr)]) -> Result<Vec<Handle>, Errno> {
    let mut all = os::list()?;
    all.retain(|(pid, facts)| !facts.zombie && !is_own(*pid) && os::carries(*pid, variables));
    let is_carrier = |raw: i32| all.iter().any(|(pid, _)| pid.raw() == raw);
    let first = all.iter().filter(|(_, facts)| !is_carrier(facts.parent));
    first.filter_map(|(pid, facts)| Handle::of_listed(*pid, facts).transpose()).collect()
}

/// Takes hold of the processes of ours that run the tool `name` with `arguments` among theirs, one behind the
/// other; with the last argument of each.
///
/// # Errors
/// What kept us from looking just now.
pub fn find_tools(name: &str, arguments: &[&OsStr]) -> Result<Vec<(Handle, OsString)>, Errno> {
    let found = os::list_tools(name, arguments)?.into_iter();
    let others = found.filter(|(pid, ..)| !is_own(*pid));
    let taken = others.map(|(pid, facts, last)| Ok(Handle::of_listed(pid, &facts)?.map(|handle| (handle, last))));
    taken.filter_map(Result::transpose).collect()
}

fn is_own(pid: Pid) -> bool {
    u32::try_from(pid.raw()) == Ok(std::process::id())
}

/// The files called `name` that the process `pid` has open, removed or not, where the system shows them.
pub(super) fn open_files(pid: Pid, name: &str) -> Vec<OwnedFd> {
    os::open_files(pid, name)
}

/// Where the standard error of the process `pid` goes, if that is a file or a device and the system shows it.
#[must_use]
pub fn standard_error_of(pid: Pid) -> Option<PathBuf> {
    os::standard_error_of(pid).filter(|path| path.is_absolute())
}

/// The effective user of the process `pid`, where the system shows it.
#[must_use]
pub fn user_of(pid: i32) -> Option<u32> {
    os::user_of(pid)
}

/// Sends a signal to `process`. Where start times can't be had, to whatever has its number: the
/// caller must know that this was the one just before.
///
/// # Errors
/// ESRCH if it has ended, EPERM if it is not ours to signal.
pub fn signal(process: Process, signal: i32) -> Result<(), Errno> {
    match Handle::take(process).ok().flatten() {
        Some(handle) => handle.signal(signal),
        None if process.start == 0 => kill(process.pid, signal),
        None => Err(Errno::ESRCH),
    }
}

/// Sends a signal to a process whose number can't have changed its owner: an unreaped child.
///
/// # Errors
/// Of kill(2).
pub fn kill(pid: Pid, signal: i32) -> Result<(), Errno> {
    // SAFETY: kill(2) takes two numbers; a `Pid` is never one that means many processes.
    Errno::result(unsafe { libc::kill(pid.raw(), signal) }).map(drop)
}
