//! What happens in the watched directories, and putting back what others have taken away.

use std::collections::BTreeSet;

use super::driver::Manager;
use super::plan;
use super::rundir::{RunDir, Taken};
use super::services::{Services, Supervisor};
use crate::cli::Verbosity;
use crate::service::files;
use crate::service::name::Name;
use crate::service::status::Phase;
use crate::sys::entry::Entry;
use crate::sys::watch::{Change, Watch, Watched, What};
use crate::sys::{clock, message, signals};

impl Manager {
    /// In the service directory, or where its links lead to.
    pub(super) fn take_entry_changes(&mut self) {
        for change in self.services.watch.as_ref().map(Watch::changes).unwrap_or_default() {
            match change {
                Change::Entry { of, name, what } => self.entries.changed(&mut self.services, of, &name, what),
                Change::Inside(_) | Change::Directory(_) => self.entries.rescan(&mut self.services),
                Change::Ended(of) => {
                    for link in self.entries.unwatched(of) {
                        self.services.attend_at(&link, clock::now());
                    }
                    self.entries.rescan(&mut self.services);
                }
                Change::Overflow => self.look_around(),
            }
        }
    }

    /// In the run directories.
    pub(super) fn take_run_changes(&mut self) {
        // a start alone has two: each is read but once
        let mut told = BTreeSet::new();
        for change in self.services.run_watch.as_ref().map(Watch::changes).unwrap_or_default() {
            match change {
                Change::Entry { of, name, what } => {
                    if let Some(service) = self.services.watched.get(&of).cloned() {
                        if what == What::Replaced && name == files::STATUS {
                            told.insert(service);
                        } else {
                            self.file_changed(&service, &name, what);
                        }
                    } else if self.rundir_watched == Some(of) {
                        self.run_entry_changed(&name, what);
                    }
                }
                Change::Inside(of) => self.files_changed(of),
                Change::Directory(of) => self.directory_changed(of),
                Change::Ended(of) => {
                    self.directory_changed(of);
                    self.services.watched.remove(&of);
                }
                Change::Overflow => self.look_around(),
            }
        }
        for service in told {
            self.services.remember(&service);
            self.services.status_changed(&service);
        }
    }

    /// A file in the run directory of `service`, other than a status that was written.
    pub(super) fn file_changed(&mut self, service: &Name, file: &std::ffi::OsStr, what: What) {
        let is = |name: &str| file == std::ffi::OsStr::new(name);
        if what == What::Replaced && is(files::DEPENDS) {
            self.services.learn(service);
        } else if is(files::LOCK) {
            self.services.signal(service, &[signals::SIGALRM]);
            if what == What::Removed {
                // it may be the first of all its files, by `rm -r`
                self.services.attend_at(service, clock::now() + plan::PAUSE);
            } else {
                self.services.attend(service);
            }
        } else if [files::OWNER, files::PID, files::SYSPID, files::STATUS].into_iter().any(is) {
            match what {
                What::Replaced => {}
                // nothing but `.owner` is made in its place by ours
                What::Created if is(files::OWNER) => {}
                What::Removed => self.heal_soon(service, false),
                What::Created | What::Written | What::Arrived | What::Attributes => self.heal_soon(service, true),
            }
        }
    }

    /// Somewhere in the run directory `of`.
    fn files_changed(&mut self, of: Watched) {
        if let Some(service) = self.services.watched.get(&of).cloned() {
            self.services.look_at_files(&service);
            self.heal_soon(&service, false);
        } else if self.rundir_watched == Some(of) {
            self.heal_at = Some(clock::now() + plan::REST);
            let gone = |name: &&Name| !self.services.rundir.has(name.as_os_str());
            let names: Vec<Name> = self.services.all.keys().filter(gone).cloned().collect();
            for name in names {
                self.heal_soon(&name, false);
            }
        }
    }

    pub(super) fn heal_soon(&mut self, service: &Name, defaced: bool) {
        let at = clock::now() + plan::REST;
        let known = self.services.know(service);
        known.heal_at = Some(at);
        known.defaced |= defaced;
        self.services.attend_at(service, at);
    }

    /// An entry of the run directory itself.
    pub(super) fn run_entry_changed(&mut self, name: &std::ffi::OsStr, what: What) {
        let own = [files::OWNER, files::PID].into_iter().any(|own| name == std::ffi::OsStr::new(own));
        if own && what != What::Replaced {
            self.heal_at = Some(clock::now() + plan::REST);
        } else if let Some(service) = Name::new(name).ok().filter(|name| self.services.all.contains_key(name)) {
            self.heal_soon(&service, false);
        }
    }

    /// A run directory itself was changed, moved or removed.
    pub(super) fn directory_changed(&mut self, of: Watched) {
        if self.rundir_watched == Some(of) {
            self.heal_at = Some(clock::now() + plan::REST);
        } else if let Some(service) = self.services.watched.get(&of).cloned() {
            self.heal_soon(&service, false);
        }
    }

    /// Puts back our own files.
    pub(super) fn heal(&mut self) {
        self.heal_at = None;
        if self.rundir.is_ours(&self.services.rundir) {
            if let Err(fault) = RunDir::restore_pid(&self.services.rundir) {
                self.heal_again(&fault.to_string());
            }
            return;
        }
        match self.rundir.take_again(&self.services.options.rundir, self.services.boot) {
            Ok(None) => self.heal_at = Some(clock::now()),
            Ok(Some(Taken::Ours(dir, rundir))) => {
                self.services.rundir = dir;
                self.rundir = rundir;
                self.unhealed = None;
                self.services
                    .note(Verbosity::Normal, format_args!("its files were removed or changed; they are put back"));
                self.watch_rundir();
                // what was done to it before was not told
                self.heal_at = Some(clock::now());
                let names: Vec<Name> = self.services.all.keys().cloned().collect();
                for name in names {
                    self.services.heal(&name);
                }
            }
            Ok(Some(Taken::Held(pid))) => self.heal_again(&format!("process {pid} has taken the run directory")),
            Err(fault) => self.heal_again(&fault.to_string()),
        }
    }

    /// Our own files could not be put back; said once.
    pub(super) fn heal_again(&mut self, why: &str) {
        if self.unhealed.as_deref() != Some(why) {
            message::say(format_args!("sysmgr: {why}; it is tried again"));
            self.unhealed = Some(why.to_owned());
        }
        self.heal_at = Some(clock::now() + self.services.options.rescan);
    }

    /// Looks at everything: changes may have gone unnoticed.
    pub(super) fn look_around(&mut self) {
        let was_blind = self.services.try_to_see();
        if was_blind {
            self.watch_rundir();
        }
        let names: Vec<Name> = self.services.all.keys().cloned().collect();
        for name in names {
            self.services.look_at_files(&name);
        }
        self.entries.rescan(&mut self.services);
        self.heal();
        let names: Vec<Name> = self.services.all.keys().cloned().collect();
        for name in names {
            self.services.heal(&name);
        }
        if was_blind && !self.services.blind {
            self.services.note(Verbosity::Normal, format_args!("all directories are watched again"));
        }
        self.services.was_blind = self.services.blind;
    }
}

impl Services {
    /// Looks for what has happened to the files of `name`, where nobody tells.
    fn look_at_files(&mut self, name: &Name) {
        let Ok(dir) = self.rundir.sub(name.as_os_str()) else { return };
        let there = [files::LOCK, files::PID, files::SYSPID, files::STATUS, files::DEPENDS].map(|file| dir.stamp(file));
        if std::mem::replace(&mut self.know(name).files, there) != there {
            self.remember(name);
            self.learn(name);
            self.status_changed(name);
            self.signal(name, &[signals::SIGALRM]);
        }
        // what it was refused for may have come and gone between two looks
        if matches!(self.know(name).entry, Entry::Service(_)) && self.phase(name) == Some(Phase::Refused) {
            self.signal(name, &[signals::SIGCONT]);
        }
    }
}

impl Services {
    /// What others have done to the files of `name` is over: what is missing is put back.
    pub fn heal(&mut self, name: &Name) {
        let service = self.know(name);
        service.heal_at = None;
        let defaced = std::mem::take(&mut service.defaced);
        if matches!(service.supervisor, Supervisor::Child(..) | Supervisor::Adopted(_)) {
            let whole = self.rundir.sub(name.as_os_str()).is_ok_and(|dir| {
                [files::OWNER, files::PID, files::SYSPID, files::STATUS].iter().all(|file| dir.has(*file))
            });
            if defaced || !whole {
                self.signal(name, &[signals::SIGALRM]);
            }
        }
        if let Err(fault) = self.record_clearing(name) {
            self.put_off(name, &fault);
        }
        self.attend(name);
    }
}
