//! The terminal.

use nix::libc;

/// How many columns and rows the terminal on standard output has; `None` if that is no terminal.
#[must_use]
pub fn size() -> Option<(usize, usize)> {
    // SAFETY: a winsize is plain numbers, for which zero is a value.
    let mut size: libc::winsize = unsafe { std::mem::zeroed() };
    // SAFETY: TIOCGWINSZ of ioctl(2) fills in a winsize.
    let got = unsafe { libc::ioctl(1, libc::TIOCGWINSZ, &raw mut size) };
    // a serial line does not know its size and says 0
    let known = |number: libc::c_ushort, usual| if number == 0 { usual } else { usize::from(number) };
    (got == 0).then(|| (known(size.ws_col, 80), known(size.ws_row, 24)))
}
