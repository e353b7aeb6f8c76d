//! sysmgr at work: waits for what happens, and has the services concerned attended to.

use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

use super::Options;
use super::entries::Entries;
use super::plan;
use super::rundir::{RunDir, Taken};
use super::services::{Services, Supervisor, remove_files};
use super::shutdown::Shutdown;
use crate::cli::Verbosity;
use crate::service::files;
use crate::service::moment::Moment;
use crate::service::name::{Name, Printable};
use crate::service::pid::Pid;
use crate::sys::fault::Fault;
use crate::sys::process::Handle;
use crate::sys::wait::Wait;
use crate::sys::watch::{Change, Watch, Watched, What};
use crate::sys::{clock, context, message, process, reap, signals, tool};

/// Supervises the services of a directory until it is told to end.
#[must_use]
pub fn run(options: Options) -> ExitCode {
    context::isolate();
    signals::install();
    let umask = context::clear_umask();
    process::adopt_orphans();
    let lock = context::take_resume().and_then(|word| context::inherited(word.to_str()?.parse().ok()?));
    let is_resumed = lock.is_some();
    let taken = match lock {
        Some(lock) => RunDir::resume(&options.rundir, lock),
        None => RunDir::take(&options.rundir, process::boot_id()),
    };
    let (dir, rundir) = match taken {
        Ok(Taken::Ours(dir, rundir)) => (dir, rundir),
        Ok(Taken::Held(pid)) => {
            let path = Printable(options.rundir.as_os_str().as_bytes()).to_string();
            message::say(format_args!("sysmgr: process {pid} is sysmgr for {path} already; nothing was done"));
            return ExitCode::FAILURE;
        }
        Err(fault) => {
            message::say(format_args!("sysmgr: {fault}"));
            return ExitCode::FAILURE;
        }
    };
    let (watch, blind) = match Watch::new() {
        Ok(watch) => (Some(watch), None),
        Err(errno) => (None, Some(errno)),
    };
    let mut services = Services::new(options, dir, watch, umask);
    if let Some(errno) = blind {
        services.blind = false;
        services.go_blind(errno);
    }
    let mut manager = Manager {
        services,
        entries: Entries::default(),
        rundir,
        rundir_watched: None,
        heal_at: None,
        unhealed: None,
        shutdown: None,
    };
    manager.begin(is_resumed)
}

struct Manager {
    services: Services,
    entries: Entries,
    rundir: RunDir,
    rundir_watched: Option<Watched>,
    /// When our own files are looked at.
    heal_at: Option<Moment>,
    /// Why they could not be put back.
    unhealed: Option<String>,
    shutdown: Option<Shutdown>,
}

impl Manager {
    fn begin(&mut self, is_resumed: bool) -> ExitCode {
        self.watch_rundir();
        // what was changed while nobody watched
        self.heal_at = Some(clock::now());
        self.find_left();
        self.find_living(is_resumed);
        if let Err(fault) = self.entries.scan(&mut self.services) {
            message::say(format_args!("sysmgr: {fault}"));
            remove_files(&self.services.rundir, &[files::PID, files::OWNER]);
            return ExitCode::FAILURE;
        }
        self.manage()
    }

    fn watch_rundir(&mut self) {
        let path = self.services.rundir.path().to_owned();
        match self.services.watch.as_ref().map(|watch| watch.add(&path)) {
            Some(Ok(watched)) => self.rundir_watched = Some(watched),
            Some(Err(errno)) => self.services.go_blind(errno),
            None => {}
        }
    }

    /// Services that a previous sysmgr has left in the run directory, whether or not they are still
    /// in the service directory.
    fn find_left(&mut self) {
        for name in self.services.rundir.names().unwrap_or_default() {
            let Ok(name) = Name::new(&name) else { continue };
            let ours = self.services.rundir.sub(name.as_os_str()).is_ok_and(|dir| dir.has(files::OWNER));
            if ours {
                self.services.know(&name);
            }
        }
    }

    /// The runsyssv that a previous sysmgr, or this one before it executed itself anew, has left.
    /// They put back their files, which may be gone, and follow us in executing themselves anew.
    fn find_living(&mut self, is_resumed: bool) {
        let rundir = self.services.options.rundir.clone();
        for (process, name) in tool::find_living("runsyssv", &["--rundir".as_ref(), rundir.as_os_str()]) {
            let Ok(name) = Name::new(&name) else { continue };
            let Some(handle) = Handle::of(process) else { continue };
            let holder = self.services.holder(&name);
            if holder.is_some_and(|pid| pid != process.pid) {
                continue;
            }
            self.services.set_supervisor(&name, Supervisor::Adopted(handle));
            let renew = if is_resumed { signals::SIGUSR2 } else { signals::SIGALRM };
            self.services.signal(&name, &[signals::SIGALRM, renew]);
        }
    }

    /// Executes the installed file in our place; the services and their supervisors go on.
    fn execute_anew(&mut self) {
        let Some(file) = tool::own_file() else { return };
        let fault = if tool::is_sound(&file) {
            let errno = match self.rundir.inherit(true) {
                Ok(lock) => context::execute_anew(&file, &lock.to_string(), self.services.umask),
                Err(errno) => errno,
            };
            let _ = self.rundir.inherit(false);
            Fault::of("execute", &file)(errno).to_string()
        } else {
            let file = Printable(file.as_os_str().as_bytes()).to_string();
            format!("{file} does not run as it should")
        };
        message::say(format_args!("sysmgr: {fault}; sysmgr goes on as it is"));
    }

    fn manage(&mut self) -> ExitCode {
        let mut wait = Wait::default();
        loop {
            self.attend_due();
            if let Some(shutdown) = &mut self.shutdown {
                if Shutdown::is_over(&self.services) {
                    Shutdown::clean_up(&mut self.services);
                    return ExitCode::SUCCESS;
                }
                if shutdown.at <= clock::now() {
                    shutdown.hasten(&mut self.services);
                }
            }
            wait.clear();
            let watch = self.services.watch.as_ref().map(|watch| wait.add(watch.fd()));
            let awaited = self.await_others(&mut wait);
            let deadline = self.deadline();
            wait.wait(deadline.map(|at| at.since(clock::now())));
            self.take_signals();
            if watch.is_some_and(|place| wait.is_ready(place)) {
                self.take_changes();
            }
            for (name, place) in awaited {
                if place.is_none_or(|place| wait.is_ready(place)) {
                    self.other_ended(&name);
                }
            }
            if self.shutdown.is_none() && (self.services.unsure || self.services.blind) {
                self.look_around();
            }
        }
    }

    /// Waits for the ends of processes that are no children of ours.
    fn await_others(&self, wait: &mut Wait) -> Vec<(Name, Option<usize>)> {
        let mut awaited = Vec::new();
        for name in &self.services.others {
            let handle = match self.services.all.get(name).map(|service| &service.supervisor) {
                Some(Supervisor::Adopted(handle)) => Some(handle),
                Some(Supervisor::Clearing(clearing)) => clearing.member(),
                Some(Supervisor::None | Supervisor::Child(..)) | None => continue,
            };
            let place = handle.and_then(Handle::fd).map(|fd| wait.add(fd));
            awaited.push((name.clone(), place));
        }
        awaited
    }

    /// The process awaited for `name` may have ended.
    fn other_ended(&mut self, name: &Name) {
        let now = clock::now();
        match self.services.all.get_mut(name).map(|service| &mut service.supervisor) {
            Some(Supervisor::Adopted(handle)) if !handle.lives() => self.services.adopted_ended(name),
            Some(Supervisor::Clearing(clearing)) => {
                if clearing.is_over(now) {
                    self.services.set_supervisor(name, Supervisor::None);
                    self.services.attend_at(name, now);
                }
            }
            Some(Supervisor::Adopted(_) | Supervisor::None | Supervisor::Child(..)) | None => {}
        }
    }

    fn deadline(&self) -> Option<Moment> {
        let mut deadline = self.services.due.first().map(|(at, _)| *at);
        let mut sooner = |at: Option<Moment>| {
            if let Some(at) = at {
                deadline = Some(deadline.map_or(at, |other| other.min(at)));
            }
        };
        sooner(self.heal_at);
        sooner(self.shutdown.as_ref().map(|shutdown| shutdown.at));
        let mut look = self.services.blind || self.services.unsure;
        for service in self.services.others.iter().filter_map(|name| self.services.all.get(name)) {
            match &service.supervisor {
                Supervisor::Adopted(handle) => look |= handle.fd().is_none(),
                Supervisor::Clearing(clearing) => {
                    sooner(Some(clearing.kill_at()));
                    look |= clearing.member().is_none_or(|member| member.fd().is_none());
                }
                Supervisor::None | Supervisor::Child(..) => {}
            }
        }
        if look {
            sooner(Some(clock::now() + self.services.options.rescan));
        }
        deadline
    }

    /// Attends to the services for which something is due.
    fn attend_due(&mut self) {
        let now = clock::now();
        // ours first: it holds those of the services
        if self.heal_at.is_some_and(|at| at <= now) {
            self.heal();
        }
        while let Some((at, name)) = self.services.due.first().cloned() {
            if at > now {
                break;
            }
            self.services.due.pop_first();
            match self.services.all.get(&name).map(|service| service.heal_at) {
                None => {}
                Some(Some(heal_at)) if heal_at <= now => self.services.heal(&name),
                Some(_) => self.services.attend(&name),
            }
        }
    }

    fn take_signals(&mut self) {
        let arrived = signals::take();
        if arrived.has(signals::SIGCHLD) {
            while let Some(dead) = reap::next_dead() {
                if let Some(pid) = Pid::new(dead.pid) {
                    self.services.child_ended(pid, dead.ended);
                }
                reap::reap(dead.pid);
            }
        }
        if arrived.has_stop() && self.shutdown.is_none() {
            self.shutdown = Some(Shutdown::begin(&mut self.services));
        }
        if arrived.has(signals::SIGUSR1) && self.shutdown.is_none() {
            self.entries.rescan(&mut self.services);
        }
        if arrived.has(signals::SIGUSR2) && self.shutdown.is_none() {
            self.execute_anew();
        }
    }

    fn take_changes(&mut self) {
        let changes = self.services.watch.as_ref().map(Watch::changes).unwrap_or_default();
        for change in changes {
            match change {
                Change::Entry { of, name, what } => self.entry_changed(of, &name, what),
                Change::Directory(of) => self.directory_changed(of),
                Change::Ended(of) => {
                    for link in self.entries.unwatched(of) {
                        self.services.attend_at(&link, clock::now());
                    }
                    self.directory_changed(of);
                    self.services.watched.remove(&of);
                }
                Change::Overflow => self.look_around(),
            }
        }
    }

    fn entry_changed(&mut self, of: Watched, name: &std::ffi::OsStr, what: What) {
        let is_run_dir = self.rundir_watched == Some(of);
        if let Some(service) = self.services.watched.get(&of).cloned() {
            self.file_changed(&service, name, what);
        } else if is_run_dir {
            self.run_entry_changed(name, what);
        }
        if self.shutdown.is_none() {
            self.entries.changed(&mut self.services, of, name, what);
        }
    }

    /// A file in the run directory of `service`.
    fn file_changed(&mut self, service: &Name, file: &std::ffi::OsStr, what: What) {
        let is = |name: &str| file == std::ffi::OsStr::new(name);
        if is(files::LOCK) {
            self.services.signal(service, &[signals::SIGALRM]);
            self.services.attend(service);
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

    fn heal_soon(&mut self, service: &Name, defaced: bool) {
        let at = clock::now() + plan::REST;
        let known = self.services.know(service);
        known.heal_at = Some(at);
        known.defaced |= defaced;
        self.services.attend_at(service, at);
    }

    /// An entry of the run directory itself.
    fn run_entry_changed(&mut self, name: &std::ffi::OsStr, what: What) {
        let own = [files::OWNER, files::PID].into_iter().any(|own| name == std::ffi::OsStr::new(own));
        if own && what != What::Replaced {
            self.heal_at = Some(clock::now() + plan::REST);
        } else if let Some(service) = Name::new(name).ok().filter(|name| self.services.all.contains_key(name)) {
            self.heal_soon(&service, false);
        }
    }

    /// A watched directory itself was changed, moved or removed.
    fn directory_changed(&mut self, of: Watched) {
        if self.rundir_watched == Some(of) {
            self.heal_at = Some(clock::now() + plan::REST);
        } else if let Some(service) = self.services.watched.get(&of).cloned() {
            self.heal_soon(&service, false);
        } else if self.shutdown.is_none() {
            self.entries.rescan(&mut self.services);
        }
    }

    /// Puts back our own files.
    fn heal(&mut self) {
        self.heal_at = None;
        if self.rundir.is_ours(&self.services.rundir) {
            if let Err(fault) = RunDir::restore_pid(&self.services.rundir) {
                self.heal_again(&fault.to_string());
            }
            return;
        }
        match RunDir::take(&self.services.options.rundir, self.services.boot) {
            Ok(Taken::Ours(dir, rundir)) => {
                self.services.rundir = dir;
                self.rundir = rundir;
                self.unhealed = None;
                self.services
                    .note(Verbosity::Normal, format_args!("its files were removed or changed; they are put back"));
                self.watch_rundir();
                let names: Vec<Name> = self.services.all.keys().cloned().collect();
                for name in names {
                    self.services.heal(&name);
                }
            }
            Ok(Taken::Held(pid)) => self.heal_again(&format!("process {pid} has taken the run directory")),
            Err(fault) => self.heal_again(&fault.to_string()),
        }
    }

    /// Our own files could not be put back; said once.
    fn heal_again(&mut self, why: &str) {
        if self.unhealed.as_deref() != Some(why) {
            message::say(format_args!("sysmgr: {why}; it is tried again"));
            self.unhealed = Some(why.to_owned());
        }
        self.heal_at = Some(clock::now() + self.services.options.rescan);
    }

    /// Looks at everything: changes may have gone unnoticed.
    fn look_around(&mut self) {
        let was_blind = self.services.try_to_see();
        if was_blind {
            self.watch_rundir();
        }
        let names: Vec<Name> = self.services.all.keys().cloned().collect();
        for name in names {
            let lock = self.services.rundir.sub(name.as_os_str()).ok().and_then(|dir| dir.stamp(files::LOCK));
            if self.services.know(&name).lock != lock {
                self.services.signal(&name, &[signals::SIGALRM]);
            }
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
