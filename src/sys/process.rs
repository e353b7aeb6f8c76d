//! Processes that may be nobody's child of ours: whether they live, waiting for their end, and
//! signals that reach them and no other.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;

use super::fault::is_passing;
use crate::service::pid::Pid;
use crate::service::record::{BootId, Process};

/// What the system tells of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether it has ended and only waits to be reaped.
    pub zombie: bool,
    /// The process id of its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its session.
    pub session: i32,
    /// When it was started, in clock ticks since boot.
    pub start: u64,
}

#[cfg(all(target_os = "linux", not(sysmgr_posix)))]
mod os {
    use super::{BootId, Errno, Facts, answer};
    use std::fs::File;
    use std::io::Read as _;

    pub fn boot_id() -> Result<BootId, Errno> {
        let mut text = [0; 64];
        let text = read("/proc/sys/kernel/random/boot_id", &mut text)?;
        Ok(text.and_then(BootId::parse).unwrap_or(BootId::UNKNOWN))
    }

    /// From `/proc/PID/stat`, which may be read where more private files of a process may not.
    pub fn facts(pid: i32) -> Result<Option<Facts>, Errno> {
        let mut text = [0; 1024];
        Ok(read(&format!("/proc/{pid}/stat"), &mut text)?.and_then(parse))
    }

    fn read<'b>(path: &str, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>, Errno> {
        let n = answer(File::open(path).and_then(|mut file| file.read(buffer)))?;
        Ok(n.map(|n| &buffer[..n]))
    }

    /// The fields are numbered in proc(5); the second is a name that may have anything in it, so
    /// they are counted from its closing parenthesis.
    fn parse(text: &[u8]) -> Option<Facts> {
        let after = text.iter().rposition(|b| *b == b')')? + 2;
        let rest = std::str::from_utf8(text.get(after..)?).ok()?;
        let mut fields = rest.split(' ');
        let state = fields.next()?;
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let session = fields.next()?.parse().ok()?;
        let start = fields.nth(22 - 7)?.parse().ok()?;
        Some(Facts { zombie: matches!(state, "Z" | "X"), parent, group, session, start })
    }

    #[cfg(test)]
    mod tests {
        #[test]
        fn a_name_with_parentheses_and_spaces_is_no_trouble() {
            let text = b"42 (a) Z 1 (b)) S 7 40 39 0 -1 4194304 98 0 0 0 0 0 0 0 20 0 1 0 11813 3133440 382";
            let facts = super::parse(text).expect("it is well formed");
            assert_eq!((facts.parent, facts.group, facts.session, facts.start), (7, 40, 39, 11813));
            assert!(!facts.zombie);
            assert_eq!(super::parse(b"42 (a) S 7"), None);
            assert_eq!(super::parse(b""), None);
        }
    }
}

#[cfg(not(all(target_os = "linux", not(sysmgr_posix))))]
mod os {
    use super::{BootId, Errno, Facts};

    pub fn boot_id() -> Result<BootId, Errno> {
        Ok(BootId::UNKNOWN)
    }

    pub fn facts(_: i32) -> Result<Option<Facts>, Errno> {
        Ok(None)
    }
}

/// What was read, or that there is nothing; not being able to look just now is neither.
fn answer<T>(read: std::io::Result<T>) -> Result<Option<T>, Errno> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) => match error.raw_os_error().map(Errno::from_raw) {
            Some(errno) if is_passing(errno) => Err(errno),
            _ => Ok(None),
        },
    }
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

/// What the system tells of the process `pid`; `None` if there is none, or nothing is told.
///
/// # Errors
/// What kept us from looking just now: it must not be taken for dead then.
pub fn certain_facts(pid: Pid) -> Result<Option<Facts>, Errno> {
    os::facts(pid.raw())
}

/// What the system tells of the process `pid`, for those who only look.
#[must_use]
pub fn facts(pid: Pid) -> Option<Facts> {
    os::facts(pid.raw()).ok().flatten()
}

/// Our own child `pid`, as it will be known to whoever comes after us.
///
/// # Errors
/// What kept us from looking just now.
pub fn certain_identity(pid: Pid) -> Result<Process, Errno> {
    Ok(Process { pid, start: certain_facts(pid)?.map_or(0, |facts| facts.start) })
}

/// The process `pid`, for those who only look.
#[must_use]
pub fn identify(pid: Pid) -> Process {
    Process { pid, start: facts(pid).map_or(0, |facts| facts.start) }
}

/// Whether `process` lives: the number is still that of the same process, and it is no zombie.
/// Never true where start times can't be had.
fn lives(process: Process) -> Result<bool, Errno> {
    let is_it = |facts: Facts| facts.start == process.start && !facts.zombie;
    Ok(process.start != 0 && certain_facts(process.pid)?.is_some_and(is_it))
}

/// Whether `process` lives, never true where start times can't be had. If one can't look just now, any
/// process of its number counts: what lives must not be taken for dead.
#[must_use]
pub fn is_alive(process: Process) -> bool {
    lives(process).unwrap_or_else(|_| kill(process.pid, 0) != Err(Errno::ESRCH))
}

/// Whether `process` seems to live: as `is_alive`, but where start times can't be had any process of
/// its number will do. For what is shown and awaited, not for what is signalled.
#[must_use]
pub fn seems_alive(process: Process) -> bool {
    if process.start == 0 {
        return kill(process.pid, 0) != Err(Errno::ESRCH);
    }
    is_alive(process)
}

/// How long ago `process` was started, where that can be known.
#[cfg(all(target_os = "linux", not(sysmgr_posix)))]
#[must_use]
pub fn age(process: Process) -> std::time::Duration {
    // SAFETY: sysconf(3) only reads a setting.
    let ticks = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100).max(1);
    let started = std::time::Duration::from_millis(process.start.saturating_mul(1000) / ticks);
    super::clock::uptime().saturating_sub(started)
}

/// How long ago `process` was started, where that can be known.
#[cfg(not(all(target_os = "linux", not(sysmgr_posix))))]
#[must_use]
pub fn age(_: Process) -> std::time::Duration {
    std::time::Duration::ZERO
}

/// The processes of which `wanted` is true, of all that the system shows. A look at all of them is
/// dear: never one for each service.
///
/// # Errors
/// What kept us from looking just now.
pub fn find(mut wanted: impl FnMut(Pid, &Facts) -> bool) -> Result<Vec<Process>, Errno> {
    let mut found = Vec::new();
    let Some(all) = answer(std::fs::read_dir("/proc"))? else { return Ok(found) };
    for entry in all {
        let Some(entry) = answer(entry)? else { continue };
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(pid) = number.and_then(Pid::new) else { continue };
        if let Some(facts) = certain_facts(pid)?.filter(|facts| wanted(pid, facts)) {
            found.push(Process { pid, start: facts.start });
        }
    }
    Ok(found)
}

/// The arguments of a process, each with a NUL byte behind it; `None` if it has none, or is gone.
///
/// # Errors
/// What kept us from looking just now.
pub fn command_line(pid: Pid) -> Result<Option<Vec<u8>>, Errno> {
    Ok(answer(std::fs::read(format!("/proc/{pid}/cmdline")))?.filter(|line| !line.is_empty()))
}

/// The effective user of the process `pid`, where the system shows it.
#[must_use]
pub fn user_of(pid: i32) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(format!("/proc/{pid}")).ok().map(|meta| meta.uid())
}

/// A hold on a process that is not our child: the number in it can't become another's unnoticed.
#[derive(Debug)]
pub struct Handle {
    process: Process,
    /// A pidfd, where there are such; else the start time has to do.
    fd: Option<OwnedFd>,
}

impl Handle {
    /// Takes hold of `process`; `None` if it does not live.
    ///
    /// # Errors
    /// What kept us from looking just now.
    pub fn take(process: Process) -> Result<Option<Self>, Errno> {
        let fd = pidfd(process.pid);
        // only now: a number that has changed its process before is seen, one that does so later
        // does not matter to a pidfd
        Ok(lives(process)?.then_some(Self { process, fd }))
    }

    /// Takes hold of `process`; `None` if it does not live or one can't look just now.
    #[must_use]
    pub fn of(process: Process) -> Option<Self> {
        Self::take(process).ok().flatten()
    }

    /// The process.
    #[must_use]
    pub fn process(&self) -> Process {
        self.process
    }

    /// What becomes readable when it ends; `None` where one has to look.
    #[must_use]
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().map(AsFd::as_fd)
    }

    /// Whether it still lives.
    #[must_use]
    pub fn lives(&self) -> bool {
        is_alive(self.process)
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// ESRCH if it has ended, EPERM if it is not ours to signal.
    pub fn signal(&self, signal: i32) -> Result<(), Errno> {
        match &self.fd {
            Some(fd) => signal_pidfd(fd, signal),
            None if lives(self.process)? => kill(self.process.pid, signal),
            None => Err(Errno::ESRCH),
        }
    }
}

/// Sends a signal to `process`. Where start times can't be had, to whatever has its number: the
/// caller must know that this was the one just before.
///
/// # Errors
/// ESRCH if it has ended, EPERM if it is not ours to signal.
pub fn signal(process: Process, signal: i32) -> Result<(), Errno> {
    match Handle::of(process) {
        Some(handle) => handle.signal(signal),
        None if process.start == 0 => kill(process.pid, signal),
        None => Err(Errno::ESRCH),
    }
}

#[cfg(all(target_os = "linux", not(sysmgr_posix)))]
fn pidfd(pid: Pid) -> Option<OwnedFd> {
    use std::os::fd::{FromRawFd, RawFd};
    // SAFETY: pidfd_open(2) takes two numbers and gives a new descriptor, with close-on-exec set.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.raw(), 0) };
    let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the descriptor is new, and nobody else's.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

#[cfg(all(target_os = "linux", not(sysmgr_posix)))]
fn signal_pidfd(fd: &OwnedFd, signal: i32) -> Result<(), Errno> {
    use std::os::fd::AsRawFd;
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: pidfd_send_signal(2) takes a descriptor, a number and no siginfo.
    let n = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd.as_raw_fd(), signal, none, 0) };
    Errno::result(n).map(drop)
}

#[cfg(not(all(target_os = "linux", not(sysmgr_posix))))]
fn pidfd(_: Pid) -> Option<OwnedFd> {
    None
}

#[cfg(not(all(target_os = "linux", not(sysmgr_posix))))]
fn signal_pidfd(_: &OwnedFd, _: i32) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}

/// Sends a signal to a process whose number can't have changed its owner: an unreaped child.
///
/// # Errors
/// Of kill(2).
pub fn kill(pid: Pid, signal: i32) -> Result<(), Errno> {
    // SAFETY: kill(2) takes two numbers; a `Pid` is never one that means many processes.
    Errno::result(unsafe { libc::kill(pid.raw(), signal) }).map(drop)
}

/// Makes this process the one to which orphaned descendants come, where there is such a thing.
pub fn adopt_orphans() {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: PR_SET_CHILD_SUBREAPER of prctl(2) takes a number.
        unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    }
}
