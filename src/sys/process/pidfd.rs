//! By a pidfd, see pidfd_open(2).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;

use crate::service::pid::Pid;

/// A descriptor of a process, to which a number that changes its process later does not matter.
#[derive(Debug)]
pub(super) struct End(OwnedFd);

impl End {
    /// That of the process that has the number `pid` now; `None` if there is none, or before Linux 5.3.
    pub(super) fn of(pid: Pid) -> Option<Self> {
        // SAFETY: pidfd_open(2) takes two numbers and gives a new descriptor, with close-on-exec set.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.raw(), 0) };
        let fd = RawFd::try_from(fd).ok().filter(|fd| *fd >= 0)?;
        // SAFETY: the descriptor is new, and nobody else's.
        Some(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Whether it tells that the process has ended.
    pub(super) fn has_come(&self) -> bool {
        let mut fd = libc::pollfd { fd: self.0.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: poll(2) takes one descriptor, which lives across the call, and does not wait.
        unsafe { libc::poll(&raw mut fd, 1, 0) > 0 }
    }

    /// Sends the process a signal, and no other; `None` where that can't be done.
    pub(super) fn signal(&self, signal: i32) -> Option<Result<(), Errno>> {
        let none = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: pidfd_send_signal(2) takes a descriptor, a number and no siginfo.
        let n = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal, none, 0) };
        Some(Errno::result(n).map(drop))
    }
}
