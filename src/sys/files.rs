//! Files of the run directory, always by a descriptor of their directory, so that no symlink
//! planted in the way is followed.

use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::NixPath;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fchmod, fstat, fstatat, mkdirat, stat};
use nix::unistd::{UnlinkatFlags, geteuid, linkat, unlinkat, write};

use super::exchange;
use super::fault::{Fault, is_passing};
use super::stamp::Stamp;

const DIRECTORY: OFlag = OFlag::O_RDONLY.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// An open directory.
#[derive(Debug)]
pub struct Dir {
    fd: OwnedFd,
    path: PathBuf,
}

impl Dir {
    /// Opens `path`, following symlinks in it: for the directories that the user names.
    ///
    /// # Errors
    /// Of open(2).
    pub fn open(path: &Path) -> Result<Self, Fault> {
        let fd = open(path, DIRECTORY, Mode::empty()).map_err(Fault::of("open", path))?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Opens `path`, after having made it and its parents, 0755 each, as far as they are missing.
    ///
    /// # Errors
    /// Of mkdir(2) and open(2); EPERM when it belongs to another user.
    pub fn make(path: &Path) -> Result<Self, Fault> {
        let dir = Self::open_or_make(path)?;
        dir.check_owner()?;
        Ok(dir)
    }

    fn open_or_make(path: &Path) -> Result<Self, Fault> {
        match Self::open(path) {
            Err(fault) if fault.errno == Errno::ENOENT => {
                if let Some(parent) = path.parent() {
                    drop(Self::open_or_make(parent)?);
                }
                make_at(nix::fcntl::AT_FDCWD, path, path)?;
                Self::open(path)
            }
            other => other,
        }
    }

    /// Opens the directory `name` in this one.
    ///
    /// # Errors
    /// Of open(2); a symlink is ENOTDIR, one of another user EPERM.
    pub fn sub<N: NixPath + AsRef<Path> + ?Sized>(&self, name: &N) -> Result<Self, Fault> {
        let dir = self.see(name)?;
        dir.check_owner()?;
        Ok(dir)
    }

    /// Opens the directory `name` in this one, to change what is in it: as `sub`, but for root, who
    /// may do so in anybody's.
    ///
    /// # Errors
    /// As for `sub`.
    pub fn own<N: NixPath + AsRef<Path> + ?Sized>(&self, name: &N) -> Result<Self, Fault> {
        if geteuid().is_root() { self.see(name) } else { self.sub(name) }
    }

    /// Opens the directory `name` in this one, whoever owns it: to read what is for everybody.
    ///
    /// # Errors
    /// Of open(2); a symlink is ENOTDIR.
    pub fn see<N: NixPath + AsRef<Path> + ?Sized>(&self, name: &N) -> Result<Self, Fault> {
        let path = self.path.join(name);
        let fd =
            openat(&self.fd, name, DIRECTORY | OFlag::O_NOFOLLOW, Mode::empty()).map_err(Fault::of("open", &path))?;
        Ok(Self { fd, path })
    }

    /// Opens the directory `name` in this one, after having made it if it is missing.
    ///
    /// # Errors
    /// Of mkdir(2) and open(2); as for `sub`.
    pub fn make_sub<N: NixPath + AsRef<Path> + ?Sized>(&self, name: &N) -> Result<Self, Fault> {
        make_at(&self.fd, name, &self.path.join(name))?;
        let dir = self.sub(name)?;
        let mode = fstat(&dir.fd).map_err(Fault::of("read the mode of", &dir.path))?.st_mode;
        if mode & 0o7777 != 0o755 {
            fchmod(&dir.fd, Mode::from_bits_truncate(0o755)).map_err(Fault::of("change the mode of", &dir.path))?;
        }
        Ok(dir)
    }

    /// Whether it belongs to the user that we are.
    #[must_use]
    pub fn is_ours(&self) -> bool {
        self.check_owner().is_ok()
    }

    /// A directory of somebody else is no place for what gets believed.
    fn check_owner(&self) -> Result<(), Fault> {
        let owner = fstat(&self.fd).map_err(Fault::of("read the owner of", &self.path))?.st_uid;
        if owner == geteuid().as_raw() {
            Ok(())
        } else {
            Err(Fault { tried: "use another user's directory", path: self.path.clone(), errno: Errno::EPERM })
        }
    }

    /// Its path, as it was when it was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether its path still leads to it.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        match (fstat(&self.fd), stat(&self.path)) {
            (Ok(ours), Ok(there)) => same_file(&ours, &there),
            _ => false,
        }
    }

    /// Opens a file in it, never through a symlink, never waiting for the other end of a FIFO.
    pub(super) fn open_file(&self, name: &str, flags: OFlag, mode: u32) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        // mode_t has 16 bits on some systems and 32 on others
        #[allow(clippy::cast_possible_truncation, clippy::unnecessary_cast)]
        openat(&self.fd, name, flags, Mode::from_bits_truncate(mode as nix::libc::mode_t))
    }

    /// Its descriptor, for other doors.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// What fstatat(2) says of `name`, not following a symlink.
    pub(super) fn look_at<N: NixPath + ?Sized>(&self, name: &N) -> Result<FileStat, Errno> {
        fstatat(&self.fd, name, AtFlags::AT_SYMLINK_NOFOLLOW)
    }

    /// Whether there is anything called `name`.
    #[must_use]
    pub fn has<N: NixPath + ?Sized>(&self, name: &N) -> bool {
        self.look_at(name).is_ok()
    }

    /// The identity and last change of `name`, to be compared with an earlier one.
    #[must_use]
    pub fn stamp<N: NixPath + ?Sized>(&self, name: &N) -> Option<Stamp> {
        self.look_at(name).ok().map(|stat| Stamp::of(&stat))
    }

    /// Reads the beginning of the file `name`, as much as fits. `None` if there is nothing of that
    /// name; what is no file to be read counts as empty.
    ///
    /// # Errors
    /// Of open(2) and read(2), if another time may be better.
    pub fn read_for_certain<'b>(&self, name: &str, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>, Fault> {
        let read = self.open_file(name, OFlag::O_RDONLY, 0).and_then(|fd| nix::unistd::read(&fd, buffer));
        match read {
            Ok(n) => Ok(Some(&buffer[..n])),
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) if is_passing(errno) => Err(Fault::of("read", self.path.join(name))(errno)),
            Err(_) => Ok(self.has(name).then_some(&[])),
        }
    }

    /// As `read_for_certain`, for those who only look; what can't be read just now counts as empty.
    pub fn read<'b>(&self, name: &str, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        self.read_for_certain(name, buffer).unwrap_or(Some(&[]))
    }

    /// Whether the file `name` is as `replace` would make it.
    #[must_use]
    pub fn holds(&self, name: &str, content: &[u8]) -> bool {
        let mut there = vec![0; content.len() + 1];
        let is_file = |stat: FileStat| is_regular(&stat) && stat.st_mode & 0o7777 == 0o644;
        self.look_at(name).is_ok_and(is_file) && self.read(name, &mut there) == Some(content)
    }

    /// Reads the file `name`, up to a million bytes. `None` if it can't be read.
    #[must_use]
    pub fn read_whole(&self, name: &str) -> Option<Vec<u8>> {
        use std::io::Read as _;
        let fd = self.open_file(name, OFlag::O_RDONLY, 0).ok()?;
        let mut content = Vec::new();
        std::fs::File::from(fd).take(1 << 20).read_to_end(&mut content).ok()?;
        Some(content)
    }

    /// Replaces the file `name` by one of mode 0644 that has `content`: a reader sees the old one
    /// or the new one, whole.
    ///
    /// # Errors
    /// Of open(2), write(2) and rename(2). The old file is still there then.
    pub fn replace(&self, name: &str, content: &[u8]) -> Result<(), Fault> {
        let aside = aside(name);
        let written = self.write_aside(&aside, content).and_then(|()| {
            let rename = || renameat(&self.fd, aside.as_str(), &self.fd, name);
            let renamed = match rename() {
                // what is no file has no business there
                Err(Errno::EISDIR) => {
                    self.remove_dir(name);
                    rename()
                }
                other => other,
            };
            renamed.inspect_err(|_| {
                let _ = unlinkat(&self.fd, aside.as_str(), UnlinkatFlags::NoRemoveDir);
            })
        });
        written.map_err(Fault::of("write", self.path.join(name)))
    }

    fn write_aside(&self, aside: &str, content: &[u8]) -> Result<(), Errno> {
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let fd = match self.open_file(aside, flags, 0o644) {
            Err(Errno::EEXIST) => {
                // left by a process of the same number that was killed while it wrote
                unlinkat(&self.fd, aside, UnlinkatFlags::NoRemoveDir)?;
                self.open_file(aside, flags, 0o644)?
            }
            other => other?,
        };
        let written = write(&fd, content).and_then(|n| if n == content.len() { Ok(()) } else { Err(Errno::ENOSPC) });
        if written.is_err() {
            let _ = unlinkat(&self.fd, aside, UnlinkatFlags::NoRemoveDir);
        }
        written
    }

    /// Makes the file `name`, of mode 0644 with `content`, unless there is one already: whether it
    /// was made.
    ///
    /// # Errors
    /// Of open(2), write(2) and link(2).
    pub fn make_file(&self, name: &str, content: &[u8]) -> Result<bool, Fault> {
        let fault = || Fault::of("write", self.path.join(name));
        let aside = aside(name);
        self.write_aside(&aside, content).map_err(fault())?;
        let made = linkat(&self.fd, aside.as_str(), &self.fd, name, AtFlags::empty());
        let _ = unlinkat(&self.fd, aside.as_str(), UnlinkatFlags::NoRemoveDir);
        match made {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) => Ok(false),
            Err(errno) => Err(fault()(errno)),
        }
    }

    /// Removes the file `name` if `expected` agrees with its content: whether it is gone. A file
    /// that took its place meanwhile is not lost.
    ///
    /// # Errors
    /// Of rename(2), link(2) and unlink(2).
    pub fn remove_if(&self, name: &str, expected: impl Fn(&[u8]) -> bool) -> Result<bool, Fault> {
        let fault = || Fault::of("remove", self.path.join(name));
        let aside = aside(name);
        match renameat(&self.fd, name, &self.fd, aside.as_str()) {
            Ok(()) => {}
            Err(Errno::ENOENT) => return Ok(true),
            Err(errno) => return Err(fault()(errno)),
        }
        let mut buffer = [0; 64];
        let agreed = self.read(&aside, &mut buffer).is_none_or(expected);
        if !agreed {
            // unless there is a still newer one by now
            let _ = linkat(&self.fd, aside.as_str(), &self.fd, name, AtFlags::empty());
        }
        unlinkat(&self.fd, aside.as_str(), UnlinkatFlags::NoRemoveDir).map_err(fault())?;
        Ok(agreed)
    }

    /// Replaces the file `name` by `content` if `expected` agrees with what it has: whether that
    /// was so. A file that took its place meanwhile is not lost.
    ///
    /// # Errors
    /// Of open(2), write(2) and rename(2).
    pub fn replace_if(&self, name: &str, expected: impl Fn(&[u8]) -> bool, content: &[u8]) -> Result<bool, Fault> {
        let fault = || Fault::of("write", self.path.join(name));
        let mut buffer = [0; 64];
        if !self.read_for_certain(name, &mut buffer)?.is_some_and(&expected) {
            return Ok(false);
        }
        let aside = aside(name);
        self.write_aside(&aside, content).map_err(fault())?;
        match exchange::files(&self.fd, &aside, name) {
            Ok(()) => {}
            Err(Errno::ENOSYS | Errno::EINVAL) => {
                renameat(&self.fd, aside.as_str(), &self.fd, name).map_err(fault())?;
                return Ok(true);
            }
            Err(errno) => {
                let _ = unlinkat(&self.fd, aside.as_str(), UnlinkatFlags::NoRemoveDir);
                return if errno == Errno::ENOENT { Ok(false) } else { Err(fault()(errno)) };
            }
        }
        let agreed = self.read(&aside, &mut buffer).is_none_or(expected);
        if !agreed {
            exchange::files(&self.fd, &aside, name).map_err(fault())?;
        }
        unlinkat(&self.fd, aside.as_str(), UnlinkatFlags::NoRemoveDir).map_err(fault())?;
        Ok(agreed)
    }

    /// Removes the file `name`; an empty directory of that name too.
    ///
    /// # Errors
    /// Of unlink(2), but that there is none.
    pub fn remove<N: NixPath + AsRef<Path> + ?Sized>(&self, name: &N) -> Result<(), Fault> {
        let removed = match unlinkat(&self.fd, name, UnlinkatFlags::NoRemoveDir) {
            Err(Errno::EISDIR | Errno::EPERM) => unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir),
            other => other,
        };
        match removed {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(Fault::of("remove", self.path.join(name))(errno)),
        }
    }

    /// Removes the empty directory `name`. It stays if something is in it.
    pub fn remove_dir<N: NixPath + ?Sized>(&self, name: &N) {
        let _ = unlinkat(&self.fd, name, UnlinkatFlags::RemoveDir);
    }

    /// The names of all that is in it, but for `.` and `..`.
    ///
    /// # Errors
    /// Of open(2) and readdir(3).
    pub fn names(&self) -> Result<Vec<OsString>, Fault> {
        let fault = |errno| Fault { tried: "list", path: self.path.clone(), errno };
        let mut list = nix::dir::Dir::openat(&self.fd, ".", DIRECTORY, Mode::empty()).map_err(fault)?;
        let mut names = Vec::new();
        for entry in list.iter() {
            let entry = entry.map_err(fault)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name.to_vec()));
            }
        }
        Ok(names)
    }

    /// Which directory it is: device and inode.
    #[must_use]
    pub fn stamp_of_itself(&self) -> Option<Stamp> {
        fstat(&self.fd).ok().map(|stat| Stamp::of(&stat))
    }
}

fn make_at<Fd: AsFd, N: NixPath + ?Sized>(at: Fd, name: &N, path: &Path) -> Result<(), Fault> {
    match mkdirat(&at, name, Mode::from_bits_truncate(0o755)) {
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(Fault::of("make the directory", path)(errno)),
    }
}

/// Whether both are of one file.
pub(super) fn same_file(a: &FileStat, b: &FileStat) -> bool {
    a.st_dev == b.st_dev && a.st_ino == b.st_ino
}

/// Whether it is a file with content.
pub(super) fn is_regular(stat: &FileStat) -> bool {
    stat.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits()
}

/// The name under which a file is written before it gets its own.
pub(super) fn aside(name: &str) -> String {
    format!(".{name}.{}.tmp", std::process::id())
}

/// Whether `name` is that of the file `of` while it is written by any process.
#[must_use]
pub fn is_aside_of(name: &std::ffi::OsStr, of: &str) -> bool {
    let rest = name.as_bytes().strip_prefix(b".").and_then(|rest| rest.strip_prefix(of.as_bytes()));
    let pid = rest.and_then(|rest| rest.strip_prefix(b".")).and_then(|rest| rest.strip_suffix(b".tmp"));
    pid.is_some_and(|pid| !pid.is_empty() && pid.iter().all(u8::is_ascii_digit))
}

/// Whether `name` is one that a file has while it is written.
#[must_use]
pub fn is_aside(name: &std::ffi::OsStr) -> bool {
    name.as_bytes().starts_with(b".") && name.as_bytes().ends_with(b".tmp")
}
