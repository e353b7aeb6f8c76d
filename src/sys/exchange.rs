//! Two files that change names.

use std::os::fd::OwnedFd;

use nix::errno::Errno;

/// Lets two files change names, at once.
#[cfg(all(target_os = "linux", not(sysmgr_posix)))]
pub(super) fn files(dir: &OwnedFd, a: &str, b: &str) -> Result<(), Errno> {
    use std::ffi::CString;
    use std::os::fd::AsRawFd as _;

    const RENAME_EXCHANGE: nix::libc::c_uint = 2;
    let (a, b) = (CString::new(a).map_err(|_| Errno::EINVAL)?, CString::new(b).map_err(|_| Errno::EINVAL)?);
    let dir = dir.as_raw_fd();
    // SAFETY: renameat2(2) takes descriptors and strings that live across the call.
    let n = unsafe { nix::libc::syscall(nix::libc::SYS_renameat2, dir, a.as_ptr(), dir, b.as_ptr(), RENAME_EXCHANGE) };
    Errno::result(n).map(drop)
}

/// Lets two files change names, at once: not known here.
#[cfg(not(all(target_os = "linux", not(sysmgr_posix))))]
pub(super) fn files(_: &OwnedFd, _: &str, _: &str) -> Result<(), Errno> {
    Err(Errno::ENOSYS)
}
