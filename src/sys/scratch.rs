//! A file without a name: for what a program tells itself across execve(2).

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::files::{Dir, aside};

/// Makes one that has `content`; in `dir`, where there are none in no directory.
///
/// # Errors
/// Of open(2), unlink(2) and write(2).
pub fn write(dir: &Dir, content: &[u8]) -> Result<OwnedFd, Errno> {
    let mut file = File::from(make(dir)?);
    file.write_all(content).map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
    Ok(file.into())
}

/// In memory: `dir` may be full, or wiped.
#[cfg(all(target_os = "linux", not(sysmgr_posix)))]
fn make(dir: &Dir) -> Result<OwnedFd, Errno> {
    use nix::sys::memfd::{MFdFlags, memfd_create};
    memfd_create(c"sysmgr", MFdFlags::MFD_CLOEXEC).or_else(|_| make_in(dir))
}

#[cfg(not(all(target_os = "linux", not(sysmgr_posix))))]
fn make(dir: &Dir) -> Result<OwnedFd, Errno> {
    make_in(dir)
}

fn make_in(dir: &Dir) -> Result<OwnedFd, Errno> {
    let name = aside("scratch");
    let fd = dir.open_file(&name, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL, 0o600)?;
    nix::unistd::unlinkat(dir.fd(), name.as_str(), nix::unistd::UnlinkatFlags::NoRemoveDir)?;
    Ok(fd)
}

/// What stands in it; nothing if it can't be read.
#[must_use]
pub fn read(fd: OwnedFd) -> Vec<u8> {
    let mut file = File::from(fd);
    let mut content = Vec::new();
    let read = file.rewind().and_then(|()| file.read_to_end(&mut content));
    if read.is_ok() { content } else { Vec::new() }
}
