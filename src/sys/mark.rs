//! What processes of one service that wait at the same time share: the directory's lock, and the
//! mark on a file.

use nix::errno::Errno;
use nix::libc;
use nix::sys::stat::UtimensatFlags;
use nix::sys::time::TimeSpec;

use std::os::fd::AsRawFd;
use std::time::Duration;

use super::clock;
use super::files::Dir;

/// How long a change is put off for somebody else's. Everybody who may read the directory may lock
/// it, so that none can be allowed to keep it for longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// Calls `change` while no other process does so in `dir`: to read, change and replace a file.
pub fn alone<T>(dir: &Dir, change: impl FnOnce() -> T) -> T {
    let end = clock::now() + PATIENCE;
    while flock(dir, libc::LOCK_EX | libc::LOCK_NB) == Err(Errno::EWOULDBLOCK) && clock::now() < end {
        std::thread::sleep(Duration::from_millis(2));
    }
    let result = change();
    let _ = flock(dir, libc::LOCK_UN);
    result
}

/// flock(2), since locks of fcntl(2) need a file that is open for writing.
fn flock(dir: &Dir, how: libc::c_int) -> Result<(), Errno> {
    // SAFETY: flock(2) takes two numbers.
    Errno::result(unsafe { libc::flock(dir.fd().as_raw_fd(), how) }).map(drop)
}

/// When `name` in `dir` was last changed: whole seconds, and nanoseconds.
#[must_use]
pub fn changed(dir: &Dir, name: &str) -> Option<(i64, u32)> {
    let stat = dir.look_at(name).ok()?;
    #[cfg(not(target_os = "netbsd"))]
    let nanoseconds = stat.st_mtime_nsec;
    #[cfg(target_os = "netbsd")]
    let nanoseconds = stat.st_mtimensec;
    // the fields have other widths on other systems
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    Some((stat.st_mtime as i64, u32::try_from(nanoseconds).ok()?))
}

/// Makes now, with `nanoseconds` as its fraction, the time when `name` in `dir` was last changed.
///
/// # Errors
/// Of utimensat(2).
pub fn set_changed(dir: &Dir, name: &str, nanoseconds: u32) -> Result<(), Errno> {
    let time = TimeSpec::from(Duration::new(clock::wall(), nanoseconds));
    let flags = UtimensatFlags::NoFollowSymlink;
    nix::sys::stat::utimensat(dir.fd(), name, &time, &time, flags)
}
