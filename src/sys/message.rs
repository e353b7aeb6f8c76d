//! Messages on standard error.

use std::fmt;
use std::io::Write as _;

use nix::libc;

/// Writes one line, whole or not at all. A standard error that is closed, full or blocked loses the
/// line; it never stalls the program.
pub fn say(line: fmt::Arguments<'_>) {
    let mut text = Vec::with_capacity(256);
    if writeln!(text, "{line}").is_err() {
        return;
    }
    let mut ready = libc::pollfd { fd: 2, events: libc::POLLOUT, revents: 0 };
    // SAFETY: `ready` is one pollfd that lives across the call; a zero timeout never blocks.
    let n = unsafe { libc::poll(&raw mut ready, 1, 0) };
    if n == 1 && ready.revents & libc::POLLOUT != 0 {
        // SAFETY: the buffer is valid for the length given. What could not be written is lost.
        unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
    }
}
