//! Not at all.

use std::convert::Infallible;
use std::os::fd::BorrowedFd;
use std::path::Path;

use nix::errno::Errno;

use super::Change;

/// A directory that is watched: there is none.
pub type Watched = Infallible;

/// Where changes come from: nowhere.
#[derive(Debug)]
pub struct Watch(Infallible);

#[allow(clippy::missing_const_for_fn, clippy::unused_self)]
impl Watch {
    /// Nothing can be watched.
    ///
    /// # Errors
    /// ENOSYS.
    pub fn new() -> Result<Self, Errno> {
        Err(Errno::ENOSYS)
    }

    /// Watches the directory `path`.
    ///
    /// # Errors
    /// None: there is no `Watch`.
    pub fn add(&self, _: &Path) -> Result<Watched, Errno> {
        match self.0 {}
    }

    /// Watches it no longer.
    pub fn remove(&self, watched: Watched) {
        match watched {}
    }

    /// What becomes readable when something has happened.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        match self.0 {}
    }

    /// What has happened since the last call.
    #[must_use]
    pub fn changes(&self) -> Vec<Change> {
        match self.0 {}
    }
}
