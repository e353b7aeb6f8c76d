//! A lookout over some directories, which may not be there yet: for tools that wait.

use std::fs::{File, Metadata};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;

use super::dnotify::{self, Told};
use super::process::Handle;
use super::signals;
use super::wait::Wait;
use super::watch::{Change, TELLS_ALL, Watch, Watched};

/// How directories are watched.
#[derive(Debug)]
enum Means {
    /// By inotify(7): any number of directories, but few such instances for a user. By kqueue(2) elsewhere.
    Watch(Watch),
    /// By dnotify: a descriptor for each directory.
    Signals,
    /// Not at all: one has to look.
    Looks,
}

/// What one directory is watched by.
#[derive(Debug)]
enum Eye {
    /// Nothing, for the moment.
    Closed,
    /// The watch on the directory itself.
    Itself(Watched),
    /// The watch on the nearest of its parents that is there.
    Parent(Watched),
    /// Signals of the directory, or of the nearest of its parents that is there.
    Signals(Signals),
    /// It can't be watched.
    Blind,
}

#[derive(Debug)]
struct Signals {
    /// What is watched, and which directory that was.
    path: PathBuf,
    identity: (u64, u64),
    /// What is to be there before something deeper can be watched.
    missing: Option<PathBuf>,
    #[allow(dead_code)] // watched as long as it is there
    told: (Told, Option<Told>),
}

#[derive(Debug)]
struct Spot {
    path: PathBuf,
    eye: Eye,
}

/// Says when something in its directories may have changed.
#[derive(Debug)]
pub struct Lookout {
    means: Means,
    spots: Vec<Spot>,
    interval: Duration,
    wait: Wait,
    mounts: Option<File>,
}

/// What may have changed, by the places that `over` gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stirred {
    /// These; none if only a signal arrived or the time is over.
    Places(Vec<usize>),
    /// Any.
    All,
}

impl Lookout {
    /// For a look at many directories. Those that can't be watched are looked at every `interval`.
    #[must_use]
    pub fn wide(interval: Duration) -> Self {
        Self::by(Watch::new().map_or(Means::Looks, Means::Watch), interval)
    }

    /// For a long look at few directories, which hundreds of processes may have at the same time.
    #[must_use]
    pub fn long(interval: Duration) -> Self {
        signals::catch(&[dnotify::SIGNAL]);
        match dnotify::tell_of_removal(Path::new("/")) {
            Ok(_) => Self::by(Means::Signals, interval),
            Err(_) => Self::wide(interval),
        }
    }

    fn by(means: Means, interval: Duration) -> Self {
        Self { means, spots: Vec::new(), interval, wait: Wait::default(), mounts: None }
    }

    /// Adds the directory `path`; what happens from now on is told, so that the caller looks at
    /// what is there only afterwards. Gives its place.
    pub fn over(&mut self, path: &Path) -> usize {
        let eye = self.open_eye(path);
        self.spots.push(Spot { path: path.to_owned(), eye });
        self.spots.len() - 1
    }

    /// Also tells when something is mounted, which no directory does.
    pub fn over_mounts(&mut self) {
        self.mounts = if cfg!(all(target_os = "linux", not(sysmgr_posix))) {
            File::open("/proc/self/mountinfo").ok()
        } else {
            None
        };
    }

    /// Waits until something may have changed, one of `processes` ends, a signal arrives or the time
    /// is over.
    pub fn wait(&mut self, limit: Option<Duration>, processes: &[Handle]) -> Stirred {
        let blind = matches!(self.means, Means::Looks)
            || !TELLS_ALL
            || self.spots.iter().any(|spot| matches!(spot.eye, Eye::Blind))
            || processes.iter().any(|process| process.fd().is_none());
        let limit = match limit {
            Some(limit) if blind => Some(limit.min(self.interval)),
            None if blind => Some(self.interval),
            limit => limit,
        };
        self.wait.clear();
        if let Means::Watch(watch) = &self.means {
            self.wait.add(watch.fd());
        }
        for fd in processes.iter().filter_map(Handle::fd) {
            self.wait.add(fd);
        }
        let mounts = self.mounts.as_ref().map(|mounts| self.wait.add_exceptional(mounts.as_fd()));
        self.wait.wait(limit);
        let mut stirred = self.gather();
        if mounts.is_some_and(|place| self.wait.is_ready(place)) {
            // what a path leads to may be another directory now
            self.spots.iter_mut().for_each(|spot| spot.eye = Eye::Closed);
            stirred = Stirred::All;
        }
        self.open_eyes();
        if blind { Stirred::All } else { stirred }
    }

    /// What the watches tell.
    fn gather(&mut self) -> Stirred {
        let Means::Watch(watch) = &self.means else {
            return Stirred::All;
        };
        let mut places = Vec::new();
        for change in watch.changes() {
            let (of, ended) = match change {
                Change::Entry { of, .. } | Change::Inside(of) => (of, false),
                Change::Directory(of) | Change::Ended(of) => (of, true),
                Change::Overflow => return Stirred::All,
            };
            for (place, spot) in self.spots.iter_mut().enumerate() {
                if spot.eye.watches(of) {
                    places.push(place);
                    if ended {
                        spot.eye = Eye::Closed;
                    }
                }
            }
        }
        places.sort_unstable();
        places.dedup();
        Stirred::Places(places)
    }

    /// Watches again what is no longer watched, and what may be there by now.
    fn open_eyes(&mut self) {
        for place in 0..self.spots.len() {
            if self.spots[place].eye.sees() {
                continue;
            }
            let eye = self.open_eye(&self.spots[place].path);
            let before = std::mem::replace(&mut self.spots[place].eye, eye);
            if let (Eye::Parent(parent), Means::Watch(watch)) = (before, &self.means) {
                if !self.spots.iter().any(|spot| spot.eye.watches(parent)) {
                    watch.remove(parent);
                }
            }
        }
    }

    fn open_eye(&self, path: &Path) -> Eye {
        if matches!(self.means, Means::Looks) || is_silent(path) {
            return Eye::Blind;
        }
        let eye = nearest(path, |dir, missing| match &self.means {
            Means::Watch(watch) => {
                let watched = watch.add(dir)?;
                Ok(if missing.is_none() { Eye::Itself(watched) } else { Eye::Parent(watched) })
            }
            Means::Signals => Signals::of(dir, missing).map(Eye::Signals),
            Means::Looks => Ok(Eye::Blind),
        });
        eye.unwrap_or(Eye::Blind)
    }
}

impl Eye {
    fn watches(&self, other: Watched) -> bool {
        matches!(self, Self::Itself(watched) | Self::Parent(watched) if *watched == other)
    }

    /// Whether it is on what it should be on.
    fn sees(&self) -> bool {
        match self {
            Self::Itself(_) => true,
            Self::Signals(signals) => signals.sees(),
            Self::Closed | Self::Parent(_) | Self::Blind => false,
        }
    }
}

impl Signals {
    fn of(path: &Path, missing: Option<&Path>) -> Result<Self, Errno> {
        // a directory's own removal is only told of by its parent
        let parent = path.parent().and_then(|parent| dnotify::tell_of_removal(parent).ok());
        let told = (dnotify::tell(path)?, parent);
        let there = path.metadata().map_err(|_| Errno::ENOENT)?;
        Ok(Self { path: path.to_owned(), identity: identity(&there), missing: missing.map(Path::to_owned), told })
    }

    fn sees(&self) -> bool {
        let deeper = self.missing.as_ref().is_some_and(|missing| missing.is_dir());
        !deeper && self.path.metadata().is_ok_and(|there| identity(&there) == self.identity)
    }
}

fn identity(file: &Metadata) -> (u64, u64) {
    (file.dev(), file.ino())
}

/// Watches `path`, or the nearest of its parents that is there, with what is missing below that.
fn nearest<T>(path: &Path, watch: impl Fn(&Path, Option<&Path>) -> Result<T, Errno>) -> Result<T, Errno> {
    'again: loop {
        let mut missing: Option<&Path> = None;
        for dir in path.ancestors() {
            match watch(dir, missing) {
                // it may have been made just before its parent was watched
                Ok(_) if missing.is_some_and(Path::is_dir) => continue 'again,
                Ok(watched) => return Ok(watched),
                Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => missing = Some(dir),
                Err(errno) => return Err(errno),
            }
        }
        return Err(Errno::ENOENT);
    }
}

/// Whether `path` is on a file system whose changes nobody tells of: what the kernel makes up, and
/// what other machines change.
#[cfg(all(target_os = "linux", not(sysmgr_posix)))]
fn is_silent(path: &Path) -> bool {
    // statfs(2)
    const SILENT: [u64; 10] = [
        0x9fa0,      // proc
        0x6265_6572, // sysfs
        0x6462_6720, // debugfs
        0x0027_e0eb, // cgroup
        0x6367_7270, // cgroup2
        0x6969,      // NFS
        0x517b,      // SMB
        0xff53_4d42, // CIFS
        0x0102_1997, // 9p
        0x6573_5546, // FUSE
    ];
    let there = path.ancestors().find_map(|dir| nix::sys::statfs::statfs(dir).ok());
    // the type has another width and sign on other machines
    #[allow(clippy::unnecessary_cast, clippy::cast_lossless, clippy::cast_sign_loss)]
    there.is_some_and(|there| SILENT.contains(&(there.filesystem_type().0 as u64 & 0xffff_ffff)))
}

#[cfg(not(all(target_os = "linux", not(sysmgr_posix))))]
fn is_silent(_: &Path) -> bool {
    false
}
