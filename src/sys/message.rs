//! Messages on standard error, and what is printed.

use std::fmt::{self, Write as _};

use nix::libc;

/// Writes one line, whole or not at all. A standard error that is closed, full or blocked loses the
/// line; it never stalls the program.
pub fn say(line: fmt::Arguments<'_>) {
    let mut text = String::with_capacity(256);
    if writeln!(text, "{line}").is_ok() {
        write(text.as_bytes());
    }
}

/// Writes to standard output, all of it: whether that could be done.
#[must_use]
pub fn print(text: &str) -> bool {
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        // SAFETY: the buffer is valid for the length given.
        match usize::try_from(unsafe { libc::write(1, rest.as_ptr().cast(), rest.len()) }) {
            Ok(n) => rest = &rest[n..],
            Err(_) if nix::errno::Errno::last() == nix::errno::Errno::EINTR => {}
            Err(_) => return false,
        }
    }
    true
}

/// Where others write to the same pipe, room that was there a moment ago may be gone: so a pipe or a
/// socket is written to without waiting, and only for the rest it has to do to ask first.
fn write(text: &[u8]) {
    // SAFETY: a stat is plain numbers, for which zero is a value.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is valid for the time of the call.
    if unsafe { libc::fstat(2, &raw mut stat) } != 0 {
        return;
    }
    match stat.st_mode & libc::S_IFMT {
        // SAFETY: the buffer is valid for the length given, here and below.
        libc::S_IFSOCK => unsafe {
            libc::send(2, text.as_ptr().cast(), text.len(), libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL);
        },
        libc::S_IFIFO if write_pipe(text) => {}
        _ => {
            let mut ready = libc::pollfd { fd: 2, events: libc::POLLOUT, revents: 0 };
            // SAFETY: `ready` is one pollfd that lives across the call; a zero timeout never blocks.
            let n = unsafe { libc::poll(&raw mut ready, 1, 0) };
            if n == 1 && ready.revents & libc::POLLOUT != 0 {
                // SAFETY: as above. What could not be written is lost.
                unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
            }
        }
    }
}

/// Writes to a pipe without waiting, and without changing the pipe for others; whether that is
/// something that the system can do.
#[cfg(all(target_os = "linux", not(sysmgr_posix)))]
fn write_pipe(text: &[u8]) -> bool {
    const RWF_NOWAIT: libc::c_int = 8;
    let part = libc::iovec { iov_base: text.as_ptr().cast_mut().cast(), iov_len: text.len() };
    // SAFETY: pwritev2(2) reads one part that lives across the call; an offset of -1, in two halves,
    // means the current one.
    let n = unsafe { libc::syscall(libc::SYS_pwritev2, 2, &raw const part, 1, -1_i64, -1_i64, RWF_NOWAIT) };
    n >= 0 || nix::errno::Errno::last() == nix::errno::Errno::EAGAIN
}

/// Writes to a pipe without waiting: not known here.
#[cfg(not(all(target_os = "linux", not(sysmgr_posix))))]
fn write_pipe(_: &[u8]) -> bool {
    false
}
