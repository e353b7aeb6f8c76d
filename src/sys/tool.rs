//! The start of another tool of ours.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::libc;

use crate::service::pid::Pid;

/// Where the executable `name` is: in the directory of this one, else the first in PATH.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(name)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(name));
    beside.into_iter().chain(in_path).find(|candidate| is_executable(candidate))
}

/// Whether we may execute the file `path`.
#[must_use]
pub fn is_executable(path: &Path) -> bool {
    path.is_file() && nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok()
}

/// Starts `path` with `arguments` (the first is its name) as the leader of a session of its own.
/// Its signals stay blocked as ours are, so that none is lost before it handles them; `umask` is
/// what it gets for its services.
///
/// # Errors
/// Of fork(2) and execve(2).
pub fn start(path: &Path, arguments: &[&OsStr], umask: libc::mode_t) -> Result<Pid, Errno> {
    let path = super::service::c_path(path)?;
    let strings: Vec<CString> =
        arguments.iter().filter_map(|argument| CString::new(argument.as_bytes()).ok()).collect();
    let mut argv: Vec<*const libc::c_char> = strings.iter().map(|string| string.as_ptr()).collect();
    argv.push(std::ptr::null());
    start_in_session(&path, &argv, umask)
}

unsafe extern "C" {
    static mut environ: *const *const libc::c_char;
}

/// A fork, since posix_spawn(3) can't set the umask.
fn start_in_session(path: &CString, argv: &[*const libc::c_char], umask: libc::mode_t) -> Result<Pid, Errno> {
    // SAFETY: this program has one thread; the child only makes system calls, on what was made
    // before.
    unsafe {
        let pid = Errno::result(libc::fork())?;
        if pid == 0 {
            libc::setsid();
            libc::umask(umask);
            libc::execve(path.as_ptr(), argv.as_ptr(), environ);
            libc::_exit(126);
        }
        Pid::new(pid).ok_or(Errno::EAGAIN)
    }
}
