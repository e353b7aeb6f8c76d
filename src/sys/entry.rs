//! The entries of the service directory: which can be services.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access, geteuid};

use super::fault::is_passing;
use super::stamp::Stamp;
use crate::service::errno;
use crate::service::name::Printable;

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A service can be started from it.
    Service(Stamp),
    /// There is no such entry.
    Missing,
    /// It is there but can't be a service as it is.
    Refused(Refusal),
    /// The system can't look just now.
    Unknown(Errno),
}

/// Why an entry is no service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is a directory.
    Directory,
    /// It is a FIFO, a socket or a device.
    Special,
    /// It is a link that leads nowhere.
    Dangling(PathBuf),
    /// Nobody, or not its user, may execute it.
    NotExecutable,
    /// It can't be looked at.
    Unreadable(String),
    /// A file or directory, by its path, that somebody else than root owns.
    Owner(PathBuf, u32),
    /// A file or directory, by its path, that group or others may write.
    Writable(PathBuf, u32),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |path: &Path| Printable(path.as_os_str().as_bytes()).to_string();
        match self {
            Self::Directory => f.write_str("it is a directory; a service is an executable file"),
            Self::Special => f.write_str("it is not a regular file; a service is an executable file"),
            Self::Dangling(target) => {
                write!(f, "it is a link to {}, which is not there", shown(target))
            }
            Self::NotExecutable => f.write_str("it is not executable (chmod +x makes it a service)"),
            Self::Unreadable(error) => write!(f, "it cannot be looked at: {error}"),
            Self::Owner(path, uid) => {
                write!(
                    f,
                    "{} belongs to user {uid}, and root runs only what belongs to root (chown root mends it)",
                    shown(path)
                )
            }
            Self::Writable(path, mode) => write!(
                f,
                "{} can be written by others than its owner (mode {mode:04o}; chmod go-w mends it)",
                shown(path)
            ),
        }
    }
}

/// Looks at the entry `name` of the service directory `sysdir`. With `owner_check`, root refuses
/// what others than root could have written.
#[must_use]
pub fn look(sysdir: &Path, name: &Path, owner_check: bool) -> Entry {
    let path = sysdir.join(name);
    let itself = match path.symlink_metadata() {
        Ok(itself) => itself,
        Err(error) if matches!(error.raw_os_error(), Some(nix::libc::ENOENT | nix::libc::ENOTDIR)) => {
            return Entry::Missing;
        }
        // the directory is closed to us: nothing is known of what is in it
        Err(error) => return unreadable(&error),
    };
    let is_link = itself.file_type().is_symlink();
    let file = match if is_link { path.metadata() } else { Ok(itself) } {
        Ok(file) => file,
        Err(error) if is_link && error.raw_os_error() == Some(nix::libc::ENOENT) => {
            return Entry::Refused(Refusal::Dangling(target(&path)));
        }
        Err(error) => return unreadable(&error),
    };
    let refusal = if file.is_dir() {
        Some(Refusal::Directory)
    } else if file.file_type().is_fifo() || !file.is_file() {
        Some(Refusal::Special)
    } else if file.mode() & 0o111 == 0 || access(&path, AccessFlags::X_OK).is_err() {
        Some(Refusal::NotExecutable)
    } else if is_strict(owner_check) {
        distrust(sysdir, &path, &file, is_link)
    } else {
        None
    };
    refusal.map_or_else(|| Entry::Service(stamp(&file)), Entry::Refused)
}

fn unreadable(error: &std::io::Error) -> Entry {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(errno) if is_passing(errno) => Entry::Unknown(errno),
        _ => Entry::Refused(Refusal::Unreadable(error.raw_os_error().map_or_else(|| error.to_string(), errno::words))),
    }
}

/// Whether we refuse what others than root could have written: if that is wanted, and we are root.
#[must_use]
pub fn is_strict(owner_check: bool) -> bool {
    owner_check && geteuid().is_root()
}

/// Looks at an entry in a hurry: its stamp, if it is no link and plainly a service by itself.
#[must_use]
pub fn glance(path: &Path, strict: bool) -> Option<Stamp> {
    let file = path.symlink_metadata().ok()?;
    let executable = file.is_file() && file.mode() & 0o111 != 0;
    let trusted = !strict || file.uid() == 0 && file.mode() & 0o022 == 0;
    (executable && trusted).then(|| stamp(&file))
}

/// What others than root could have written: the file, the service directory, or the directory of
/// a link's target.
fn distrust(sysdir: &Path, path: &Path, file: &std::fs::Metadata, is_link: bool) -> Option<Refusal> {
    let mut refusal = writable_by_others(path, file);
    let mut directories = vec![sysdir.to_owned()];
    if is_link {
        directories.extend(path.canonicalize().ok().and_then(|target| Some(target.parent()?.to_owned())));
    }
    for directory in directories {
        refusal = refusal.or_else(|| writable_by_others(&directory, &directory.metadata().ok()?));
    }
    refusal
}

fn writable_by_others(path: &Path, file: &std::fs::Metadata) -> Option<Refusal> {
    if file.uid() != 0 {
        Some(Refusal::Owner(path.to_owned(), file.uid()))
    } else if file.mode() & 0o022 != 0 {
        Some(Refusal::Writable(path.to_owned(), file.mode() & 0o7777))
    } else {
        None
    }
}

/// The first directory, of those that the path goes through, in which what it leads to can change.
#[must_use]
pub fn target(link: &Path) -> PathBuf {
    let target = link.read_link().unwrap_or_default();
    link.parent().map_or_else(|| target.clone(), |parent| parent.join(&target))
}

fn stamp(file: &std::fs::Metadata) -> Stamp {
    Stamp {
        file: (file.dev(), file.ino()),
        changed: (file.ctime(), file.ctime_nsec()),
        length: i64::try_from(file.len()).unwrap_or(i64::MAX),
    }
}
