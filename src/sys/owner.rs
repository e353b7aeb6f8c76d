//! Who supervises: the lock on `.owner`, and the record in it.
//!
//! The lock is one of fcntl(2). The kernel drops it when its holder dies, and also when the holder
//! closes *any* descriptor of the file: so a holder opens the file once, and never again.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::libc;
use nix::sys::stat::{Mode, fchmod, fstat};
use nix::sys::uio::{pread, pwrite};
use nix::unistd::geteuid;

use super::fault::{Fault, is_passing};
use super::files::{Dir, is_regular, same_file};
use super::lock::{Lock, ask, write_lock};
use super::process::{self, Handle};
use crate::service::files::OWNER;
use crate::service::pid::Pid;
use crate::service::record::{LENGTH, Record};

/// The lock, held by this process, on the `.owner` of a directory.
#[derive(Debug)]
pub struct Owner {
    fd: OwnedFd,
}

/// What came of asking for the lock.
#[derive(Debug)]
pub enum Claim {
    /// It is ours now; with what our predecessor had on record.
    Ours(Owner, Option<Record>),
    /// A living process has it: its process id, 0 if that is not known here.
    Held(i32),
}

/// Who has the lock of a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// There is no `.owner` of ours.
    Nothing,
    /// Nobody; the last one left this record.
    Nobody(Option<Record>),
    /// A living process: its id, 0 if that is not known here; and the record.
    Process(i32, Option<Record>),
}

impl Owner {
    /// Takes the lock of `dir`, whose `.owner` is made if there is none. One that others could
    /// have opened, and so lock at will, is replaced.
    ///
    /// # Errors
    /// Of open(2), fcntl(2) and stat(2).
    pub fn claim(dir: &Dir) -> Result<Claim, Fault> {
        let path = dir.path().join(OWNER);
        loop {
            let fd = dir.open_file(OWNER, OFlag::O_RDWR | OFlag::O_CREAT, 0o600);
            let fd = match fd {
                // a symlink, a directory or a file that is closed to us stands in its place
                Err(Errno::ELOOP | Errno::EISDIR | Errno::EACCES | Errno::EMLINK) => {
                    dir.remove(OWNER)?;
                    continue;
                }
                other => other.map_err(Fault::of("open", &path))?,
            };
            let ours = fstat(&fd).map_err(Fault::of("read the state of", &path))?;
            if !is_regular(&ours) || ours.st_uid != geteuid().as_raw() {
                dir.remove(OWNER)?;
                continue;
            }
            match fcntl(&fd, FcntlArg::F_SETLK(&write_lock())) {
                Ok(_) => {}
                Err(Errno::EAGAIN | Errno::EACCES) => {
                    match ask(&fd).map_err(Fault::of("ask for the lock of", &path))? {
                        Some(pid) if is_trusted(pid, ours.st_uid) => return Ok(Claim::Held(pid)),
                        // somebody else has got hold of it while its mode was another
                        Some(_) => dir.remove(OWNER)?,
                        None => {}
                    }
                    continue;
                }
                Err(errno) => return Err(Fault::of("lock", &path)(errno)),
            }
            if ours.st_mode & 0o777 != 0o600 {
                // others may have it open, and lock it when we are gone
                dir.remove(OWNER)?;
                continue;
            }
            // it may have been removed or replaced while we waited for nothing
            if dir.look_at(OWNER).is_ok_and(|there| same_file(&ours, &there)) {
                let owner = Self { fd };
                let record = read_record(&owner.fd).map_err(Fault::of("read", &path))?;
                owner.allocate(ours.st_size).map_err(Fault::of("write", &path))?;
                return Ok(Claim::Ours(owner, record));
            }
        }
    }

    /// Takes over a lock that came through execve(2) with the descriptor `fd`, and the record.
    ///
    /// # Errors
    /// Of pread(2).
    pub fn inherited(fd: OwnedFd) -> Result<(Self, Option<Record>), Errno> {
        let record = read_record(&fd)?;
        Ok((Self { fd }, record))
    }

    /// Who has the lock of `dir`. Not for one that this process holds itself.
    ///
    /// # Errors
    /// Of open(2) and fcntl(2): EACCES for whoever is not its user.
    pub fn holder(dir: &Dir) -> Result<Holder, Fault> {
        let path = dir.path().join(OWNER);
        let fd = match dir.open_file(OWNER, OFlag::O_RDONLY, 0) {
            Ok(fd) => fd,
            Err(Errno::ENOENT | Errno::ELOOP | Errno::EMLINK) => return Ok(Holder::Nothing),
            Err(errno) => return Err(Fault::of("open", &path)(errno)),
        };
        let stat = fstat(&fd).map_err(Fault::of("read the state of", &path))?;
        if !is_regular(&stat) || stat.st_uid != geteuid().as_raw() && !geteuid().is_root() {
            return Ok(Holder::Nothing);
        }
        let record = read_record(&fd).map_err(Fault::of("read", &path))?;
        let holder = ask(&fd).map_err(Fault::of("ask for the lock of", &path))?;
        // anybody may have got hold of a file whose mode was once another
        let holder = holder.filter(|pid| is_trusted(*pid, stat.st_uid));
        Ok(holder.map_or(Holder::Nobody(record), |pid| Holder::Process(pid, record)))
    }

    /// Takes hold of the process that has the lock of `dir`. Not for one that this process holds itself.
    ///
    /// # Errors
    /// Of open(2) and fcntl(2); what kept us from looking at the process just now.
    pub fn hold(dir: &Dir) -> Result<Option<Handle>, Fault> {
        let Some(pid) = Self::held_by(dir)? else { return Ok(None) };
        let fault = || Fault::of("look at the supervisor of", dir.path());
        let process = process::certain_identity(pid).map_err(fault())?;
        if process.start == 0 {
            return Ok(Handle::of_holder(pid, Lock::of(dir)?));
        }
        let handle = Handle::take(process).map_err(fault())?;
        // it may have died, and its number be another's, before we took hold of it
        Ok(handle.filter(|_| Self::held_by(dir) == Ok(Some(pid))))
    }

    /// The process that has the lock of `dir`, if its id is known here. Not for one that this process holds itself.
    ///
    /// # Errors
    /// Of open(2) and fcntl(2).
    pub fn held_by(dir: &Dir) -> Result<Option<Pid>, Fault> {
        Ok(match Self::holder(dir)? {
            Holder::Process(pid, _) => Pid::new(pid),
            Holder::Nothing | Holder::Nobody(_) => None,
        })
    }

    /// Whether the file that we have locked is still the `.owner` of `dir`; others are kept out of
    /// it if it is.
    #[must_use]
    pub fn is_in(&self, dir: &Dir) -> bool {
        match (fstat(&self.fd), dir.look_at(OWNER)) {
            (Ok(ours), Ok(there)) if same_file(&ours, &there) => {
                if there.st_mode & 0o777 != 0o600 {
                    let _ = fchmod(&self.fd, Mode::from_bits_truncate(0o600));
                }
                true
            }
            (Ok(_), Ok(_)) => false,
            // not taken again for not having been seen just now: that would drop the lock
            (Err(errno), _) | (_, Err(errno)) => is_passing(errno),
        }
    }

    /// Writes the record, in place, into space that the file has already.
    ///
    /// # Errors
    /// Of pwrite(2).
    pub fn write(&self, record: &Record) -> Result<(), Errno> {
        match pwrite(&self.fd, &record.encode(), 0)? {
            LENGTH => Ok(()),
            _ => Err(Errno::ENOSPC),
        }
    }

    /// Makes the file as long as a record is, on the disk.
    fn allocate(&self, size: libc::off_t) -> Result<(), Errno> {
        let length = usize::try_from(size).unwrap_or(0);
        if length < LENGTH {
            // newlines, since zeros may be stored as nothing
            pwrite(&self.fd, &[b'\n'; LENGTH][length..], size)?;
        }
        Ok(())
    }

    /// Lets the descriptor survive the next execve(2), or not; gives its number.
    ///
    /// # Errors
    /// Of fcntl(2).
    pub fn inherit(&self, inherit: bool) -> Result<i32, Errno> {
        let flags = if inherit { FdFlag::empty() } else { FdFlag::FD_CLOEXEC };
        fcntl(&self.fd, FcntlArg::F_SETFD(flags))?;
        Ok(self.fd.as_raw_fd())
    }
}

/// What the supervisor `pid` has on record, in a file that may have been removed.
#[must_use]
pub fn record_held_by(pid: Pid) -> Option<Record> {
    process::open_files(pid, OWNER).iter().find_map(|file| read_record(file).ok().flatten())
}

pub(super) fn read_record(fd: &OwnedFd) -> Result<Option<Record>, Errno> {
    let mut content = [0; LENGTH];
    let n = pread(fd, &mut content, 0)?;
    Ok(Record::decode(&content[..n]))
}

/// Whether the process with the lock is one of the `owner` of the file, who alone can open it, or of root.
fn is_trusted(pid: i32, owner: u32) -> bool {
    process::user_of(pid).is_none_or(|user| user == 0 || user == owner)
}
