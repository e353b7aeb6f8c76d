//! The terminal.

use nix::libc;

/// The number of columns of the terminal on standard output; `None` if that is no terminal.
#[must_use]
pub fn width() -> Option<usize> {
    // SAFETY: a winsize is plain numbers, for which zero is a value.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: TIOCGWINSZ of ioctl(2) fills in a winsize.
    let got = unsafe { libc::ioctl(1, libc::TIOCGWINSZ, &raw mut size) };
    // a serial line does not know how wide it is and says 0
    (got == 0).then_some(match usize::from(size.ws_col) {
        0 => 80,
        columns => columns,
    })
}
