//! The service directory: what is in it, and noticing what changes.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::services::Services;
use crate::cli::Verbosity;
use crate::service::name::{Name, Printable};
use crate::sys::entry::{self, Entry};
use crate::sys::fault::Fault;
use crate::sys::files::Dir;
use crate::sys::watch::{Watched, What};
use crate::sys::{message, signals};

/// The service directory.
#[derive(Debug, Default)]
pub struct Entries {
    /// Which directory it was when it was last read.
    identity: Option<(u64, u64)>,
    /// The watch on it.
    pub watched: Option<Watched>,
    /// The names that can't be services, each reported once.
    invalid: BTreeSet<OsString>,
    /// The links, by the watched directory of their target: the target's name, and the service.
    links: HashMap<Watched, BTreeSet<(OsString, Name)>>,
    /// Why it can't be read, while that is so.
    lost: Option<String>,
}

impl Entries {
    /// Reads the directory, and looks at each entry. If it is not what it was, nothing is stopped.
    ///
    /// # Errors
    /// Why it can't be read.
    pub fn scan(&mut self, services: &mut Services) -> Result<(), Fault> {
        let sysdir = services.options.sysdir.clone();
        if let Some(watch) = &services.watch {
            match watch.add(&sysdir) {
                Ok(watched) => self.watched = Some(watched),
                Err(errno) if Dir::open(&sysdir).is_ok() => services.go_blind(errno),
                Err(_) => {}
            }
        }
        let dir = Dir::open(&sysdir)?;
        let names = dir.names()?;
        let identity = dir.stamp_of_itself().map(|stamp| stamp.file);
        let known = services.all.values().any(|service| service.entry != Entry::Missing);
        if names.is_empty() && known && self.identity.is_some() && self.identity != identity {
            return Err(Fault::of("believe in another, empty directory in the place of", &sysdir)(Errno::ENOENT));
        }
        self.identity = identity;
        let there: BTreeSet<Name> = names.iter().filter_map(|name| self.valid(name)).collect();
        let missing: Vec<Name> = services.all.keys().filter(|name| !there.contains(*name)).cloned().collect();
        for name in there.iter().chain(&missing) {
            self.look(services, name);
        }
        Ok(())
    }

    /// As `scan`, but what fails is reported, once until it works again.
    pub fn rescan(&mut self, services: &mut Services) {
        services.unseen = false;
        let lost = self.scan(services).err().map(|fault| fault.to_string());
        if lost != self.lost {
            if let Some(why) = &lost {
                message::say(format_args!("sysmgr: {why}; nothing is stopped, and it is looked for"));
            } else {
                let sysdir = Printable(services.options.sysdir.as_os_str().as_bytes()).to_string();
                services.note(Verbosity::Normal, format_args!("{sysdir} is back"));
                // a removal that was noticed before the loss counts only from now on
                let missing: Vec<Name> = services
                    .all
                    .iter()
                    .filter(|(_, s)| s.entry == Entry::Missing)
                    .map(|(name, _)| name.clone())
                    .collect();
                for name in missing {
                    services.miss_again(&name);
                }
                // some may have been refused for nothing but that
                let all: Vec<Name> = services.all.keys().cloned().collect();
                for name in all {
                    services.signal(&name, &[signals::SIGCONT]);
                }
            }
            self.lost = lost;
            services.unsure = self.lost.is_some();
        }
    }

    /// The name as one of a service. What can't be one is reported, once.
    fn valid(&mut self, name: &OsStr) -> Option<Name> {
        if name.as_bytes().starts_with(b".") {
            return None;
        }
        match Name::new(name) {
            Ok(name) => Some(name),
            Err(error) => {
                if self.invalid.insert(name.to_owned()) {
                    let shown = Printable(name.as_bytes());
                    message::say(format_args!("sysmgr: '{shown}' in the service directory is left alone: {error}"));
                }
                None
            }
        }
    }

    /// Looks at an entry, and watches what a link leads to.
    fn look(&mut self, services: &mut Services, name: &Name) {
        let path = services.options.sysdir.join(name.as_os_str());
        if path.is_symlink() {
            self.watch_target(services, name, &path);
        }
        services.look(name);
    }

    /// The directories in which what the link leads to can be made, replaced or removed: that of
    /// each further link, and of the first thing that is missing.
    fn watch_target(&mut self, services: &mut Services, name: &Name, link: &Path) {
        let mut link = link.to_owned();
        // as many as the system follows, see path_resolution(7)
        for _ in 0..40 {
            let target = entry::target(&link);
            self.watch_place(services, name, &target);
            if !target.is_symlink() {
                return;
            }
            link = target;
        }
    }

    /// Watches for `path`: its directory, or the nearest one above that is there.
    fn watch_place(&mut self, services: &mut Services, name: &Name, path: &Path) {
        let mut path: PathBuf = path.to_owned();
        while let (Some(parent), Some(last), Some(watch)) = (path.parent(), path.file_name(), &services.watch) {
            match watch.add(parent) {
                Ok(watched) => {
                    self.links.entry(watched).or_default().insert((last.to_owned(), name.clone()));
                    return;
                }
                Err(Errno::ENOENT | Errno::ENOTDIR) => path = parent.to_owned(),
                Err(errno) => return services.go_blind(errno),
            }
        }
    }

    /// Something has happened to `name` in the directory `of`.
    pub fn changed(&mut self, services: &mut Services, of: Watched, name: &OsStr, what: What) {
        if let Some(links) = self.links.get(&of) {
            let behind: Vec<Name> =
                links.iter().filter(|(target, _)| target == name).map(|(_, link)| link.clone()).collect();
            for link in behind {
                self.look(services, &link);
            }
        }
        if self.watched != Some(of) || what == What::Created && is_being_written(&services.options.sysdir.join(name)) {
            return;
        }
        if let Some(name) = self.valid(name) {
            self.look(services, &name);
        }
    }

    /// A watch has ended, since its directory is gone.
    pub fn unwatched(&mut self, of: Watched) -> Vec<Name> {
        if self.watched == Some(of) {
            self.watched = None;
        }
        self.links.remove(&of).unwrap_or_default().into_iter().map(|(_, link)| link).collect()
    }
}

/// A new file gets its content only later; a link has it already.
fn is_being_written(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|file| file.is_file() && file.nlink() == 1)
}
