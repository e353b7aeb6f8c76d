//! The start of another tool of ours.

use std::ffi::{CStr, CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc::{self, c_int, c_void};

use super::child;
use super::clock;
use super::context::{Context, Umask};
use super::reap;
use crate::service::pid::Pid;

/// Where the executable `name` is: in the directory of this one, else the first in PATH.
#[must_use]
pub fn find(name: &str) -> Option<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(name)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).filter(|dir| dir.is_absolute()).map(|dir| dir.join(name));
    beside.into_iter().chain(in_path).find(|candidate| is_executable(candidate))
}

/// The file that this program was started from, or what has been installed in its place.
#[must_use]
pub fn own_file() -> Option<PathBuf> {
    let path = std::env::current_exe().ok()?;
    // so Linux shows a file that was removed or replaced, see proc(5)
    let installed =
        path.as_os_str().as_bytes().strip_suffix(b" (deleted)").map(|path| PathBuf::from(OsStr::from_bytes(path)));
    Some(installed.unwrap_or(path))
}

/// Whether we may execute the file `path`.
#[must_use]
pub fn is_executable(path: &Path) -> bool {
    path.is_file() && nix::unistd::access(path, nix::unistd::AccessFlags::X_OK).is_ok()
}

/// Starts `path` with `arguments` (the first is its name) as the leader of a session of its own.
/// Its signals stay blocked as ours are, so that none is lost before it handles them; `umask` is
/// what it gets for its services, and `word` is for itself, see `context::take_word`.
///
/// # Errors
/// Of fork(2) and execve(2).
pub fn start(path: &Path, arguments: &[&OsStr], umask: Umask, word: Option<&OsStr>) -> Result<Pid, Errno> {
    let path = super::service::c_path(path)?;
    let strings: Vec<CString> =
        arguments.iter().filter_map(|argument| CString::new(argument.as_bytes()).ok()).collect();
    let mut argv: Vec<*const libc::c_char> = strings.iter().map(|string| string.as_ptr()).collect();
    argv.push(std::ptr::null());
    let context = word.map(|word| Context::with_word(word, umask));
    // SAFETY: nobody changes it: this program has one thread.
    let environment = context.as_ref().map_or(unsafe { environ }, |context| context.environment.as_ptr());
    start_in_session(&path, &argv, environment, umask)
}

/// Whether `path` can be executed and says its version: a file that was not installed whole, or whose
/// libraries are missing, does not. It gets two seconds. Signals stay pending meanwhile, for whoever waits next.
#[must_use]
pub fn is_sound(path: &Path) -> bool {
    let mut command = std::process::Command::new(path);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let Ok(mut child) = command.spawn() else { return false };
    let deadline = clock::now() + Duration::from_secs(2);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if clock::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return false;
            }
        }
    }
}

unsafe extern "C" {
    static environ: *const *const libc::c_char;
}

/// What the child that becomes the tool needs, and what it tells when it can't.
struct Start<'a> {
    path: &'a CStr,
    arguments: &'a [*const libc::c_char],
    environment: *const *const libc::c_char,
    umask: Umask,
    errno: c_int,
}

/// Not by posix_spawn(3), since that can't set the umask.
fn start_in_session(
    path: &CStr,
    arguments: &[*const libc::c_char],
    environment: *const *const libc::c_char,
    umask: Umask,
) -> Result<Pid, Errno> {
    extern "C" fn become_tool(start: *mut c_void) -> c_int {
        // SAFETY: only system calls, on what lives in our parent as long as we do.
        unsafe {
            let start = &mut *start.cast::<Start<'_>>();
            libc::setsid();
            libc::umask(start.umask);
            libc::execve(start.path.as_ptr(), start.arguments.as_ptr(), start.environment);
            start.errno = Errno::last_raw();
            libc::_exit(126)
        }
    }
    let mut start = Start { path, arguments, environment, umask, errno: 0 };
    // SAFETY: this program has one thread; the argument is what the child takes.
    let pid = unsafe { child::run(become_tool, (&raw mut start).cast()) }?;
    // SAFETY: where memory is shared, the child may have written it.
    let errno = unsafe { (&raw const start.errno).read_volatile() };
    if errno != 0 {
        reap::reap(pid);
        return Err(Errno::from_raw(errno));
    }
    Pid::new(pid).ok_or(Errno::EAGAIN)
}
