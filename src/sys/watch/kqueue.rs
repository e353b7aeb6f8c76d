//! By kqueue(2), which tells that a directory has changed, but not what of it, and nothing of what is done to its
//! files: these have to be looked at all the same.

use std::cell::RefCell;
use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::libc;
use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};
use nix::sys::stat::{Mode, fstat};

use super::super::stamp::Stamp;
use super::Change;

/// A directory that is watched, by a number that no other gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Watched(isize);

/// Where changes come from.
#[derive(Debug)]
pub struct Watch {
    queue: Kqueue,
    /// By device and inode: a directory is watched as long as it is open.
    open: RefCell<HashMap<(u64, u64), (Watched, OwnedFd)>>,
    /// How many may be: half of the descriptors that this process may have.
    most: usize,
    /// How many have been so far.
    count: RefCell<isize>,
}

impl Watch {
    /// Begins to watch nothing.
    ///
    /// # Errors
    /// Of kqueue(2).
    pub fn new() -> Result<Self, Errno> {
        let queue = Kqueue::new()?;
        fcntl(&queue, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        // SAFETY: sysconf(3) only reads a setting.
        let most = unsafe { libc::sysconf(libc::_SC_OPEN_MAX) } / 2;
        let most = usize::try_from(most).unwrap_or(64);
        Ok(Self { queue, open: RefCell::default(), most, count: RefCell::new(0) })
    }

    /// Watches the directory `path`; a second time gives the same.
    ///
    /// # Errors
    /// Of open(2) and kevent(2): EMFILE if there are too many.
    pub fn add(&self, path: &Path) -> Result<Watched, Errno> {
        let dir = open(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
        let identity = Stamp::of(&fstat(&dir)?).file;
        let mut open = self.open.borrow_mut();
        if let Some((watched, _)) = open.get(&identity) {
            return Ok(*watched);
        }
        if open.len() >= self.most {
            return Err(Errno::EMFILE);
        }
        let number = *self.count.borrow() + 1;
        let what = FilterFlag::NOTE_WRITE
            | FilterFlag::NOTE_ATTRIB
            | FilterFlag::NOTE_DELETE
            | FilterFlag::NOTE_RENAME
            | FilterFlag::NOTE_REVOKE;
        let ident = usize::try_from(dir.as_raw_fd()).map_err(|_| Errno::EBADF)?;
        let event = KEvent::new(ident, EventFilter::EVFILT_VNODE, EvFlags::EV_ADD | EvFlags::EV_CLEAR, what, 0, number);
        self.queue.kevent(&[event], &mut [], None)?;
        self.count.replace(number);
        open.insert(identity, (Watched(number), dir));
        Ok(Watched(number))
    }

    /// Watches it no longer.
    pub fn remove(&self, watched: Watched) {
        self.open.borrow_mut().retain(|_, (other, _)| *other != watched);
    }

    /// What becomes readable when something has happened.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }

    /// What has happened since the last call.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        let now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        let none = KEvent::new(0, EventFilter::EVFILT_VNODE, EvFlags::empty(), FilterFlag::empty(), 0, 0);
        let mut events = [none; 16];
        while let Ok(count @ 1..) = self.queue.kevent(&[], &mut events, Some(now)) {
            for event in &events[..count] {
                let (of, what) = (Watched(event.udata()), event.fflags());
                if what.intersects(FilterFlag::NOTE_DELETE | FilterFlag::NOTE_REVOKE) {
                    self.remove(of);
                    changes.push(Change::Ended(of));
                    continue;
                }
                if what.intersects(FilterFlag::NOTE_ATTRIB | FilterFlag::NOTE_RENAME) {
                    changes.push(Change::Directory(of));
                }
                if what.contains(FilterFlag::NOTE_WRITE) {
                    changes.push(Change::Inside(of));
                }
            }
        }
        changes
    }
}
