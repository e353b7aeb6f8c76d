//! Changes in a directory told by a signal: `F_NOTIFY` of fcntl(2).
//!
//! It tells less than inotify(7), and costs a descriptor for each directory; but inotify instances
//! are few (128 for a user is usual), and hundreds of processes that wait at the same time would
//! take them away from all other programs of the user.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

/// The signal that tells. It has to be caught before the first directory is watched, for its
/// default is to end the process.
pub const SIGNAL: i32 = nix::libc::SIGIO;

/// A directory of which the signal tells, until it is dropped.
#[derive(Debug)]
pub struct Told(#[allow(dead_code)] OwnedFd);

/// Has the signal sent whenever an entry of the directory `path` is made, changed or removed.
///
/// # Errors
/// Of open(2); EINVAL where the kernel has no such thing.
pub fn tell(path: &Path) -> Result<Told, Errno> {
    request(path, MODIFIED | CREATED | REMOVED | RENAMED | ATTRIBUTES)
}

/// Has the signal sent whenever an entry of the directory `path` is removed or renamed.
///
/// # Errors
/// As for `tell`.
pub fn tell_of_removal(path: &Path) -> Result<Told, Errno> {
    request(path, REMOVED | RENAMED)
}

// fcntl(2); the last: not only the first time
const MODIFIED: i32 = 0x02;
const CREATED: i32 = 0x04;
const REMOVED: i32 = 0x08;
const RENAMED: i32 = 0x10;
const ATTRIBUTES: i32 = 0x20;
const ALWAYS: i32 = i32::MIN;

fn request(path: &Path, changes: i32) -> Result<Told, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let fd = open(path, flags, Mode::empty())?;
    notify(fd.as_raw_fd(), changes | ALWAYS)?;
    Ok(Told(fd))
}

#[cfg(all(target_os = "linux", not(sysmgr_posix)))]
fn notify(fd: i32, changes: i32) -> Result<(), Errno> {
    // SAFETY: fcntl(2) with F_NOTIFY takes numbers.
    Errno::result(unsafe { nix::libc::fcntl(fd, nix::libc::F_NOTIFY, changes) }).map(drop)
}

#[cfg(not(all(target_os = "linux", not(sysmgr_posix))))]
fn notify(_: i32, _: i32) -> Result<(), Errno> {
    Err(Errno::EINVAL)
}
