//! What a process has from whoever started it, and what of it a service gets.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use nix::errno::Errno;
use nix::libc;

/// A file mode creation mask, as umask(2) has it.
pub type Umask = libc::mode_t;

/// What a service gets, besides what every process passes on.
#[derive(Debug)]
pub struct Context {
    /// The file mode creation mask that we had before we set our own to 0.
    pub umask: Umask,
    /// The environment, for execve(2): pointers into our own and `_own`, and a null pointer.
    pub environment: Vec<*const libc::c_char>,
    _own: Vec<CString>,
}

impl Context {
    /// Takes it from this process, whose own umask becomes 0: so that files get the very mode
    /// that is asked for. `set` are variables to be set for the service.
    #[must_use]
    pub fn take(set: &[(&str, &OsStr)]) -> Self {
        Self::with_umask(set, clear_umask())
    }

    /// Our own environment, with `word` for a tool of ours.
    #[must_use]
    pub fn with_word(word: &OsStr, umask: Umask) -> Self {
        Self::with_umask(&[(WORD, word)], umask)
    }

    fn with_umask(set: &[(&str, &OsStr)], umask: Umask) -> Self {
        let own: Vec<CString> =
            set.iter().filter_map(|(key, value)| assignment(key.as_bytes(), value.as_bytes())).collect();
        let there = environment();
        // no more than that: it stays as long as we do
        let mut environment = Vec::with_capacity(there.len() + own.len() + 1);
        let inherited = there.iter().copied().filter(|string| {
            // SAFETY: a string of the environment, which nobody changes.
            let string = unsafe { CStr::from_ptr(*string) }.to_bytes();
            let name = string.split(|byte| *byte == b'=').next();
            !set.iter().any(|(key, _)| name == Some(key.as_bytes()))
        });
        environment.extend(inherited.chain(own.iter().map(|string| string.as_ptr())).chain([std::ptr::null()]));
        Self { umask, environment, _own: own }
    }
}

unsafe extern "C" {
    static environ: *const *const libc::c_char;
}

/// The strings of our own environment: not copied, since they are there as long as we are.
fn environment() -> &'static [*const libc::c_char] {
    // SAFETY: a list of strings that ends in null, or null itself; this program has one thread, and
    // changes its environment only before it looks at it here.
    unsafe {
        if environ.is_null() {
            return &[];
        }
        let mut length = 0;
        while !(*environ.add(length)).is_null() {
            length += 1;
        }
        std::slice::from_raw_parts(environ, length)
    }
}

fn assignment(key: &[u8], value: &[u8]) -> Option<CString> {
    CString::new([key, b"=", value].concat()).ok()
}

/// The variable in which a program leaves word for itself across execve(2), or for what it starts.
const WORD: &str = "SYSMGR_RESUME";

/// Takes the word that was left for us, so that nobody else gets to see it.
#[must_use]
pub fn take_word() -> Option<OsString> {
    take_variable(WORD)
}

/// Takes a variable out of our environment, which is that of what we start too.
#[must_use]
pub fn take_variable(key: &str) -> Option<OsString> {
    let value = std::env::var_os(key)?;
    // SAFETY: this program has one thread.
    unsafe { std::env::remove_var(key) };
    Some(value)
}

/// Executes `path` in the place of this process, with the same arguments, `word` for itself and the
/// umask that we were started with. Our signals stay blocked, so that none is lost. Returns only if
/// that could not be done, and all is as before.
#[must_use]
pub fn execute_anew(path: &Path, word: &OsStr, umask: Umask) -> Errno {
    let arguments: Vec<CString> =
        super::program::arguments().into_iter().filter_map(|argument| CString::new(argument.into_vec()).ok()).collect();
    let mut argv: Vec<_> = arguments.iter().map(|argument| argument.as_ptr()).collect();
    argv.push(std::ptr::null());
    let Ok(path) = super::service::c_path(path) else { return Errno::EINVAL };
    let context = Context::with_word(word, umask);
    // what has come while the new file was tried is not for us any more
    super::signals::send_back();
    // SAFETY: umask(2) takes a number; both lists end in null and live across the call.
    unsafe {
        libc::umask(umask);
        libc::execve(path.as_ptr(), argv.as_ptr(), context.environment.as_ptr());
        let errno = Errno::last();
        libc::umask(0);
        errno
    }
}

/// Lets `fd` survive the next execve(2); gives its number.
///
/// # Errors
/// Of fcntl(2).
pub fn pass_on(fd: &OwnedFd) -> Result<i32, Errno> {
    nix::fcntl::fcntl(fd, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))?;
    Ok(fd.as_raw_fd())
}

/// The descriptor `raw` that came through execve(2), closed at the next one.
#[must_use]
pub fn inherited(raw: i32) -> Option<OwnedFd> {
    // SAFETY: fcntl(2) takes numbers, and fails for what is no descriptor; nobody else has this one.
    unsafe { (raw > 2 && libc::fcntl(raw, libc::F_SETFD, libc::FD_CLOEXEC) == 0).then(|| OwnedFd::from_raw_fd(raw)) }
}

/// Sets our own file mode creation mask to 0 and gives the one before.
#[must_use]
pub fn clear_umask() -> Umask {
    // SAFETY: umask(2) takes and gives a number and can't fail.
    unsafe { libc::umask(0) }
}

/// Makes standard input `/dev/null`, and keeps all but the three standard descriptors from being
/// passed on.
pub fn isolate() {
    if let Ok(null) = std::fs::File::open("/dev/null") {
        // SAFETY: dup2(2) takes two numbers.
        unsafe { libc::dup2(null.as_raw_fd(), 0) };
    }
    close_on_exec();
}

#[cfg(all(target_os = "linux", not(sysmgr_posix)))]
fn close_on_exec() {
    const CLOSE_RANGE_CLOEXEC: libc::c_uint = 4;
    // SAFETY: close_range(2) takes three numbers and, with this flag, closes nothing.
    if unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, CLOSE_RANGE_CLOEXEC) } != 0 {
        close_on_exec_one_by_one();
    }
}

#[cfg(not(all(target_os = "linux", not(sysmgr_posix))))]
fn close_on_exec() {
    close_on_exec_one_by_one();
}

/// For systems that can't do it at once.
fn close_on_exec_one_by_one() {
    // SAFETY: sysconf(3) only reads a setting, fcntl(2) takes numbers; EBADF means that there is none.
    unsafe {
        let end = libc::sysconf(libc::_SC_OPEN_MAX).clamp(256, 65536);
        for fd in 3..i32::try_from(end).unwrap_or(256) {
            libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC);
        }
    }
}
