//! By ppoll(2), which has come to POSIX only in 2024.

use std::time::Duration;

use nix::libc;
use nix::sys::time::TimeSpec;

/// Waits with no signal blocked: one that has arrived before ends it at once.
pub(super) fn poll(fds: &mut [libc::pollfd], limit: Option<Duration>) -> libc::c_int {
    let time = limit.map(TimeSpec::from);
    let time = time.as_ref().map_or(std::ptr::null(), |time| std::ptr::from_ref(time.as_ref()));
    // SAFETY: all that is pointed to lives across the call, with the lengths given.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        #[allow(clippy::cast_possible_truncation)]
        libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, time, &raw const none)
    }
}
