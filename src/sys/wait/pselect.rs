//! By pselect(2), which knows descriptors of low numbers only.

use std::time::Duration;

use nix::libc;
use nix::sys::time::TimeSpec;

/// How often is looked at what pselect(2) does not know.
const LOOK: Duration = Duration::from_millis(100);

/// Waits with no signal blocked: one that has arrived before ends it at once.
pub(super) fn poll(fds: &mut [libc::pollfd], limit: Option<Duration>) -> libc::c_int {
    let is_known = |fd: &libc::pollfd| usize::try_from(fd.fd).is_ok_and(|fd| fd < libc::FD_SETSIZE);
    let limit = if fds.iter().all(is_known) { limit } else { Some(limit.map_or(LOOK, |limit| limit.min(LOOK))) };
    let time = limit.map(TimeSpec::from);
    let time = time.as_ref().map_or(std::ptr::null(), |time| std::ptr::from_ref(time.as_ref()));
    // SAFETY: all that is pointed to lives across the calls; the sets are made complete before they are
    // used, and only asked for descriptors that fit in them.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        let mut readable: libc::fd_set = std::mem::zeroed();
        let mut exceptional: libc::fd_set = std::mem::zeroed();
        libc::FD_ZERO(&raw mut readable);
        libc::FD_ZERO(&raw mut exceptional);
        let mut end = 0;
        for fd in fds.iter().filter(|fd| is_known(fd)) {
            let set = if fd.events & libc::POLLPRI == 0 { &raw mut readable } else { &raw mut exceptional };
            libc::FD_SET(fd.fd, set);
            end = end.max(fd.fd + 1);
        }
        let n =
            libc::pselect(end, &raw mut readable, std::ptr::null_mut(), &raw mut exceptional, time, &raw const none);
        if n >= 0 {
            for fd in fds.iter_mut() {
                let is_set =
                    || libc::FD_ISSET(fd.fd, &raw const readable) || libc::FD_ISSET(fd.fd, &raw const exceptional);
                // what could not be asked may be ready
                fd.revents = if !is_known(fd) || is_set() { fd.events } else { 0 };
            }
            return libc::c_int::try_from(fds.len()).unwrap_or(libc::c_int::MAX);
        }
        n
    }
}
