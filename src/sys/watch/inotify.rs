//! By inotify(7).

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use super::super::files;
use super::{Change, What};

/// A directory that is watched, by its number.
pub type Watched = WatchDescriptor;

/// Where changes come from.
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
}

impl Watch {
    /// Begins to watch nothing.
    ///
    /// # Errors
    /// EMFILE if the user has too many such already (128 is usual), ENOMEM.
    pub fn new() -> Result<Self, Errno> {
        Ok(Self { inotify: Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)? })
    }

    /// Watches the directory `path`; a second time gives the same.
    ///
    /// # Errors
    /// Of inotify_add_watch(2): ENOSPC if there are too many.
    pub fn add(&self, path: &Path) -> Result<Watched, Errno> {
        let mask = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_MOVED_FROM
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        self.inotify.add_watch(path, mask)
    }

    /// Watches it no longer.
    pub fn remove(&self, watched: Watched) {
        let _ = self.inotify.rm_watch(watched);
    }

    /// What becomes readable when something has happened.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }

    /// What has happened since the last call.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        let mut changes = Vec::new();
        // both halves of a rename have one cookie, and come one after the other
        let mut aside = None;
        while let Ok(events) = self.inotify.read_events() {
            for event in events {
                if event.name.as_deref().is_some_and(files::is_aside) {
                    aside = Some(event.cookie).filter(|cookie| *cookie != 0);
                    continue;
                }
                let replaced = aside.take().is_some_and(|cookie| cookie == event.cookie);
                changes.extend(change(event.wd, event.mask, event.name, replaced));
            }
        }
        changes
    }
}

fn change(of: Watched, mask: AddWatchFlags, name: Option<OsString>, replaced: bool) -> Option<Change> {
    if mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
        return Some(Change::Overflow);
    }
    if mask.contains(AddWatchFlags::IN_IGNORED) {
        return Some(Change::Ended(of));
    }
    let Some(name) = name else {
        return Some(Change::Directory(of));
    };
    let what = if mask.contains(AddWatchFlags::IN_CREATE) {
        What::Created
    } else if mask.contains(AddWatchFlags::IN_CLOSE_WRITE) {
        What::Written
    } else if mask.contains(AddWatchFlags::IN_MOVED_TO) {
        if replaced { What::Replaced } else { What::Arrived }
    } else if mask.contains(AddWatchFlags::IN_ATTRIB) {
        What::Attributes
    } else if mask.intersects(AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM) {
        What::Removed
    } else {
        return None;
    };
    Some(Change::Entry { of, name, what })
}
