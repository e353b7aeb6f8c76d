//! The run directory of sysmgr itself: its lock, its process id, and keeping them.

use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;

use crate::service::files::{OWNER, PID};
use crate::service::record::{BootId, Record};
use crate::sys::fault::Fault;
use crate::sys::files::Dir;
use crate::sys::owner::{Claim, Owner};

/// The run directory, under our lock.
#[derive(Debug)]
pub struct RunDir {
    owner: Owner,
}

/// What came of taking it.
pub enum Taken {
    /// It is ours.
    Ours(Dir, RunDir),
    /// Another sysmgr has it: its process id, 0 if that is not known.
    Held(i32),
}

impl RunDir {
    /// Takes the run directory `path`, made as needed.
    ///
    /// # Errors
    /// What the system refused.
    pub fn take(path: &Path, boot: BootId) -> Result<Taken, Fault> {
        Self::claim(Dir::make(path)?, boot)
    }

    /// Takes it again when it was removed; nothing if it is ours again, since it was only moved away for a moment: to
    /// claim what we have would drop the lock.
    ///
    /// # Errors
    /// What the system refused.
    pub fn take_again(&self, path: &Path, boot: BootId) -> Result<Option<Taken>, Fault> {
        let dir = Dir::make(path)?;
        if self.owner.is_in(&dir) { Ok(None) } else { Self::claim(dir, boot).map(Some) }
    }

    fn claim(dir: Dir, boot: BootId) -> Result<Taken, Fault> {
        match Owner::claim(&dir)? {
            Claim::Held(pid) => Ok(Taken::Held(pid)),
            Claim::Ours(owner, _) => {
                let record = Record::of(boot, None);
                owner.write(&record).map_err(Fault::of("write", dir.path().join(OWNER)))?;
                write_pid(&dir)?;
                Ok(Taken::Ours(dir, Self { owner }))
            }
        }
    }

    /// Goes on with a lock that came through execve(2).
    ///
    /// # Errors
    /// What the system refused.
    pub fn resume(path: &Path, lock: OwnedFd) -> Result<Taken, Fault> {
        let dir = Dir::make(path)?;
        let (owner, _) = Owner::inherited(lock).map_err(Fault::of("read", dir.path().join(OWNER)))?;
        Ok(Taken::Ours(dir, Self { owner }))
    }

    /// Lets the lock survive the next execve(2), or not; gives the number of its descriptor.
    ///
    /// # Errors
    /// What the system refused.
    pub fn inherit(&self, inherit: bool) -> Result<i32, Errno> {
        self.owner.inherit(inherit)
    }

    /// Whether it is still the one at its path, under our lock. If it is, it must not be taken
    /// again: that would open `.owner` a second time.
    #[must_use]
    pub fn is_ours(&self, dir: &Dir) -> bool {
        dir.is_in_place() && self.owner.is_in(dir)
    }

    /// Puts back the process id, if it does not stand there.
    ///
    /// # Errors
    /// What the system refused.
    pub fn restore_pid(dir: &Dir) -> Result<(), Fault> {
        let pid = format!("{}\n", std::process::id());
        if dir.read(PID, &mut [0; 32]).is_some_and(|there| there == pid.as_bytes()) {
            return Ok(());
        }
        write_pid(dir)
    }
}

/// Writes the process id of sysmgr.
///
/// # Errors
/// What the system refused.
fn write_pid(dir: &Dir) -> Result<(), Fault> {
    dir.replace(PID, format!("{}\n", std::process::id()).as_bytes())
}
