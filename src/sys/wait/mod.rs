//! The one wait for everything.

#[cfg(not(any(sysmgr_posix, target_vendor = "apple", target_os = "illumos", target_os = "solaris")))]
#[path = "ppoll.rs"]
mod os;
#[cfg(any(sysmgr_posix, target_vendor = "apple", target_os = "illumos", target_os = "solaris"))]
#[path = "pselect.rs"]
mod os;

use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::libc;

/// Between two tries of `insist`.
const PAUSE: Duration = Duration::from_millis(100);

/// What is waited for besides signals, gathered anew for each wait.
#[derive(Debug, Default)]
pub struct Wait {
    fds: Vec<libc::pollfd>,
}

impl Wait {
    /// Forgets all that was added.
    pub fn clear(&mut self) {
        self.fds.clear();
    }

    /// Adds a descriptor that may become readable, or be hung up; gives its place.
    pub fn add(&mut self, fd: BorrowedFd<'_>) -> usize {
        self.fds.push(libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
        self.fds.len() - 1
    }

    /// As `add`, for what is told as an exceptional condition.
    pub fn add_exceptional(&mut self, fd: BorrowedFd<'_>) -> usize {
        self.fds.push(libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLPRI, revents: 0 });
        self.fds.len() - 1
    }

    /// Whether something happened at the descriptor that was added at `place`.
    #[must_use]
    pub fn is_ready(&self, place: usize) -> bool {
        self.fds.get(place).is_some_and(|fd| fd.revents != 0)
    }

    /// Waits until a signal arrives, a descriptor is ready or the time is over; for ever without
    /// one. What the system refuses (no memory) is as if nothing had happened.
    pub fn wait(&mut self, limit: Option<Duration>) {
        for fd in &mut self.fds {
            fd.revents = 0;
        }
        if os::poll(&mut self.fds, limit) <= 0 {
            for fd in &mut self.fds {
                fd.revents = 0;
            }
        }
    }
}

/// Asks until there is an answer: what must be known is not guessed. `refused` is told once why there is
/// none yet. Signals stay pending, since whoever asks does not look at them before it waits the next time.
pub fn insist<T, E>(mut ask: impl FnMut() -> Result<T, E>, refused: impl FnOnce(E)) -> T {
    let mut refused = Some(refused);
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(why) => {
                if let Some(refused) = refused.take() {
                    refused(why);
                }
                std::thread::sleep(PAUSE);
            }
        }
    }
}
