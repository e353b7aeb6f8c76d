//! By kqueue(2).

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};

use crate::service::pid::Pid;

/// A queue that gets one event, when the process ends.
#[derive(Debug)]
pub(super) struct End {
    queue: Kqueue,
    has_come: Cell<bool>,
}

impl End {
    /// That of the process that has the number `pid` now; `None` if there is none.
    pub(super) fn of(pid: Pid) -> Option<Self> {
        let queue = Kqueue::new().ok()?;
        fcntl(&queue, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).ok()?;
        let exit = event(pid.raw(), EvFlags::EV_ADD, FilterFlag::NOTE_EXIT);
        queue.kevent(&[exit], &mut [], None).ok()?;
        Some(Self { queue, has_come: Cell::new(false) })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }

    /// Whether it has told that the process has ended.
    pub(super) fn has_come(&self) -> bool {
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        if !self.has_come.get() {
            let mut events = [event(0, EvFlags::empty(), FilterFlag::empty())];
            self.has_come.set(self.queue.kevent(&[], &mut events, Some(now)).is_ok_and(|n| n > 0));
        }
        self.has_come.get()
    }

    /// It is no way to send a signal.
    #[allow(clippy::unused_self)]
    pub(super) fn signal(&self, _: i32) -> Option<Result<(), Errno>> {
        None
    }
}

fn event(pid: i32, flags: EvFlags, filter: FilterFlag) -> KEvent {
    KEvent::new(usize::try_from(pid).unwrap_or(0), EventFilter::EVFILT_PROC, flags, filter, 0, 0)
}
