//! What the system refused.

use std::fmt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use crate::service::errno;
use crate::service::name::Printable;

/// A system call that failed, as a sentence for people: what was tried, with what, and why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// What was tried, as it follows "cannot".
    pub tried: &'static str,
    /// With what.
    pub path: PathBuf,
    /// The system's reason.
    pub errno: Errno,
}

impl Fault {
    /// For `map_err`: the fault of having `tried` something with `path`.
    pub fn of(tried: &'static str, path: impl AsRef<Path>) -> impl FnOnce(Errno) -> Self {
        move |errno| Self { tried, path: path.as_ref().to_owned(), errno }
    }
}

/// Whether `errno` says that the system could not, just now: what was asked for may be there or not.
#[must_use]
pub fn is_passing(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS | Errno::EIO | Errno::EINTR | Errno::EAGAIN
    )
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use std::os::unix::ffi::OsStrExt;
        let path = Printable(self.path.as_os_str().as_bytes());
        write!(f, "cannot {} {path}: {}", self.tried, errno::words(self.errno as i32))
    }
}

impl std::error::Error for Fault {}
