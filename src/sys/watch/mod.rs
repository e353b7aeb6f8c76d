//! Directories that are watched for changes. POSIX has nothing of the kind: where the system has not,
//! there is never a `Watch`, and directories are looked at instead.

#[cfg(all(target_os = "linux", not(sysmgr_posix)))]
#[path = "inotify.rs"]
mod os;
#[cfg(sysmgr_bsd)]
#[path = "kqueue.rs"]
mod os;
#[cfg(not(any(all(target_os = "linux", not(sysmgr_posix)), sysmgr_bsd)))]
#[path = "looking.rs"]
mod os;

use std::ffi::OsString;

pub use os::{Watch, Watched};

/// Whether a watched directory tells all that happens to its entries, so that nobody has to look.
pub const TELLS_ALL: bool = cfg!(not(sysmgr_bsd));

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Something about the entry `name` of a watched directory.
    Entry {
        /// The directory.
        of: Watched,
        /// The entry.
        name: OsString,
        /// What.
        what: What,
    },
    /// Entries of a watched directory may have been made, moved or removed: which, is not told.
    Inside(Watched),
    /// The directory itself was changed, moved or removed.
    Directory(Watched),
    /// It is no longer watched: it is gone, or its file system.
    Ended(Watched),
    /// Too much at once: anything may have happened.
    Overflow,
}

/// What has happened to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// It was made; a file has no content yet.
    Created,
    /// A file that was open for writing was closed.
    Written,
    /// It was moved to here, whole.
    Arrived,
    /// It was replaced in the way of `Dir::replace`: by one of ours.
    Replaced,
    /// Its mode or owner was changed, or a link to it.
    Attributes,
    /// It was removed or moved away.
    Removed,
}
