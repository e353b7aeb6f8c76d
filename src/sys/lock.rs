//! The lock on an `.owner`, as others than its holder see it: where start times can't be had, it is what proves
//! that a number is still that of the same process.

use std::cell::RefCell;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::libc;

use super::fault::Fault;
use super::files::Dir;
use super::owner::read_record;
use super::process;
use crate::service::files::OWNER;
use crate::service::pid::Pid;

/// An `.owner` that is kept open, and so can be asked for its lock also when it was removed.
#[derive(Debug)]
pub(super) struct Lock {
    dir: PathBuf,
    file: RefCell<OwnedFd>,
}

/// Whether a process has a lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Held {
    Yes,
    No,
    /// It has not; but it may be a process whose file was removed twice before one could look.
    Unknown,
}

impl Lock {
    /// That of `dir`.
    ///
    /// # Errors
    /// Of open(2).
    pub(super) fn of(dir: &Dir) -> Result<Self, Fault> {
        let file = open(dir).map_err(Fault::of("open", dir.path().join(OWNER)))?;
        Ok(Self { dir: dir.path().to_owned(), file: RefCell::new(file) })
    }

    /// Whether the process `pid` has it, or the one that is in its place now: when its files were removed, a
    /// supervisor takes the new lock before it gives up the old one.
    pub(super) fn is_held_by(&self, pid: Pid) -> Held {
        let has = |fd: &OwnedFd| ask(fd) == Ok(Some(pid.raw()));
        if has(&self.file.borrow()) {
            return Held::Yes;
        }
        let there = Dir::open(&self.dir).ok().and_then(|dir| open(&dir).ok());
        match there {
            Some(file) if has(&file) => {
                self.file.replace(file);
                Held::Yes
            }
            Some(file) if matches!(read_record(&file), Ok(Some(_))) => Held::No,
            Some(_) | None if process::exists(pid) => Held::Unknown,
            Some(_) | None => Held::No,
        }
    }
}

fn open(dir: &Dir) -> Result<OwnedFd, Errno> {
    dir.open_file(OWNER, OFlag::O_RDONLY, 0)
}

/// The process that has the lock on `fd`, which is not us.
pub(super) fn ask(fd: &OwnedFd) -> Result<Option<i32>, Errno> {
    let mut lock = write_lock();
    fcntl(fd, FcntlArg::F_GETLK(&mut lock))?;
    // the constants have other widths on other systems
    #[allow(clippy::cast_possible_truncation, clippy::unnecessary_cast)]
    let unlocked = lock.l_type == libc::F_UNLCK as libc::c_short;
    Ok(if unlocked { None } else { Some(lock.l_pid.max(0)) })
}

pub(super) fn write_lock() -> libc::flock {
    // SAFETY: a flock is plain numbers, for which zero is a value.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    #[allow(clippy::cast_possible_truncation, clippy::unnecessary_cast)]
    {
        lock.l_type = libc::F_WRLCK as libc::c_short;
        lock.l_whence = libc::SEEK_SET as libc::c_short;
    }
    lock
}
