//! sysmgr at work: waits for what happens, and has the services concerned attended to.

use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;

use super::Options;
use super::entries::Entries;
use super::handover;
use super::left::remove_files;
use super::plan;
use super::rundir::{RunDir, Taken};
use super::services::{Services, Supervisor};
use super::shutdown::Shutdown;
use crate::service::errno;
use crate::service::files;
use crate::service::moment::Moment;
use crate::service::name::{Name, Printable};
use crate::service::pid::Pid;
use crate::sys::fault::Fault;
use crate::sys::process::{self, Handle};
use crate::sys::wait::{Wait, insist};
use crate::sys::watch::Watched;
use crate::sys::{clock, context, message, orphans, reap, signals, tool};

/// Supervises the services of a directory until it is told to end.
#[must_use]
pub fn run(options: Options) -> u8 {
    context::isolate();
    signals::install();
    let umask = context::clear_umask();
    orphans::adopt();
    // we may be started by a service, to which nothing belongs that we start
    let _ = context::take_variable("SYSMGR_SERVICE");
    // the lock, and what we told ourselves
    let word = context::take_word().and_then(|word| word.into_string().ok()).unwrap_or_default();
    let mut inherited = word.split(' ').map(|fd| context::inherited(fd.parse().ok()?));
    let (lock, told) = (inherited.next().flatten(), inherited.next().flatten());
    let is_resumed = lock.is_some();
    let boot = insist(process::certain_boot_id, |errno| {
        message::say(format_args!(
            "sysmgr: cannot learn which boot this is: {}; it is tried again",
            errno::words(errno as i32)
        ));
    });
    let taken = match lock {
        Some(lock) => RunDir::resume(&options.rundir, lock),
        None => RunDir::take(&options.rundir, boot),
    };
    let (dir, rundir) = match taken {
        Ok(Taken::Ours(dir, rundir)) => (dir, rundir),
        Ok(Taken::Held(pid)) => {
            let path = Printable(options.rundir.as_os_str().as_bytes()).to_string();
            message::say(format_args!("sysmgr: process {pid} is sysmgr for {path} already; nothing was done"));
            return 1;
        }
        Err(fault) => {
            message::say(format_args!("sysmgr: {fault}"));
            return 1;
        }
    };
    let mut manager = Manager {
        services: Services::new(options, dir, umask, boot),
        entries: Entries::default(),
        rundir,
        rundir_watched: None,
        gathering: None,
        look_at: clock::now(),
        heal_at: None,
        unhealed: None,
        shutdown: None,
    };
    if let Some(told) = told {
        handover::read(&mut manager.services, told);
    }
    manager.begin(is_resumed)
}

/// How many services are attended to before other things are looked at.
const AT_A_TIME: usize = 32;

pub(super) struct Manager {
    pub(super) services: Services,
    pub(super) entries: Entries,
    pub(super) rundir: RunDir,
    pub(super) rundir_watched: Option<Watched>,
    /// Until when changes in the run directories are left to gather.
    gathering: Option<Moment>,
    /// When we look around next, while one has to.
    look_at: Moment,
    /// When our own files are looked at.
    pub(super) heal_at: Option<Moment>,
    /// Why they could not be put back.
    pub(super) unhealed: Option<String>,
    pub(super) shutdown: Option<Shutdown>,
}

impl Manager {
    fn begin(&mut self, is_resumed: bool) -> u8 {
        self.watch_rundir();
        // what was changed while nobody watched
        self.heal_at = Some(clock::now());
        self.find_left();
        self.find_living(is_resumed);
        // what has ended before may not be told any more
        self.reap();
        if let Err(fault) = self.entries.scan(&mut self.services) {
            message::say(format_args!("sysmgr: {fault}"));
            remove_files(&self.services.rundir, &[files::PID, files::OWNER]);
            return 1;
        }
        self.manage()
    }

    pub(super) fn watch_rundir(&mut self) {
        let path = self.services.rundir.path().to_owned();
        match self.services.run_watch.as_ref().map(|watch| watch.add(&path)) {
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
                self.services.learn(&name);
            }
        }
    }

    /// The runsyssv that a previous sysmgr, or this one before it executed itself anew, has left.
    /// They put back their files, which may be gone, and follow us in executing themselves anew.
    fn find_living(&mut self, is_resumed: bool) {
        let rundir = self.services.options.rundir.clone();
        let arguments = ["--rundir".as_ref(), rundir.as_os_str()];
        let tell = |errno: Errno| {
            message::say(format_args!(
                "sysmgr: cannot list processes: {}; it is tried again",
                errno::words(errno as i32)
            ));
        };
        for (handle, name) in insist(|| process::find_tools("runsyssv", &arguments), tell) {
            let Ok(name) = Name::new(&name) else { continue };
            let pid = handle.process().pid;
            if self.services.holder(&name).is_some_and(|holder| holder != pid) {
                continue;
            }
            if self.services.children.get(&pid) != Some(&name) {
                self.services.set_supervisor(&name, Supervisor::Adopted(handle));
            }
            self.services.remember_by(&name, pid);
            let renew = if is_resumed { signals::SIGUSR2 } else { signals::SIGALRM };
            self.services.signal(&name, &[signals::SIGALRM, renew]);
        }
    }

    /// Executes the installed file in our place; the services and their supervisors go on. Unless both programs run,
    /// since the supervisors follow us.
    fn execute_anew(&mut self) {
        let Some(file) = tool::own_file() else { return };
        let supervisor = tool::find("runsyssv");
        let unsound = [Some(&file), supervisor.as_ref()].into_iter().flatten().find(|file| !tool::is_sound(file));
        let fault = if let Some(file) = unsound {
            let file = Printable(file.as_os_str().as_bytes()).to_string();
            format!("{file} does not run as it should")
        } else {
            let told = handover::write(&self.services);
            let told_fd = told.as_ref().and_then(|told| context::pass_on(told).ok()).unwrap_or(-1);
            let errno = match self.rundir.inherit(true) {
                Ok(lock) => context::execute_anew(&file, format!("{lock} {told_fd}").as_ref(), self.services.umask),
                Err(errno) => errno,
            };
            let _ = self.rundir.inherit(false);
            Fault::of("execute", &file)(errno).to_string()
        };
        message::say(format_args!("sysmgr: {fault}; sysmgr goes on as it is"));
    }

    fn manage(&mut self) -> u8 {
        let mut wait = Wait::default();
        loop {
            // nothing is watched any more then, but orders have to come to where they are read
            self.services.misplaced |= self.shutdown.is_some() && !self.services.rundir.is_in_place();
            self.attend_due();
            if let Some(shutdown) = &mut self.shutdown {
                shutdown.go_on(&mut self.services);
                if Shutdown::is_over(&self.services) {
                    shutdown.clean_up(&mut self.services);
                    return 0;
                }
                if shutdown.at <= clock::now() {
                    shutdown.hasten(&mut self.services);
                }
            }
            wait.clear();
            let entries = self.services.watch.as_ref().map(|watch| wait.add(watch.fd()));
            self.gathering = self.gathering.filter(|until| *until > clock::now());
            let runs = self.services.run_watch.as_ref().filter(|_| self.gathering.is_none());
            let runs = runs.map(|watch| wait.add(watch.fd()));
            let awaited = self.await_others(&mut wait);
            let deadline = self.deadline();
            wait.wait(deadline.map(|at| at.since(clock::now())));
            self.take_signals();
            if entries.is_some_and(|place| wait.is_ready(place)) {
                self.take_entry_changes();
            }
            if runs.is_some_and(|place| wait.is_ready(place)) {
                self.take_run_changes();
                self.gathering = Some(clock::now() + plan::GATHERING);
            }
            for (name, place) in awaited {
                if place.is_none_or(|place| wait.is_ready(place)) {
                    self.other_ended(&name);
                }
            }
            if self.next_look().is_some_and(|at| at <= clock::now()) {
                self.look_around();
                self.look_at = clock::now() + self.services.options.rescan;
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
                Some(Supervisor::Lost(_)) => None,
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
                    self.services.ended.extend(self.services.ending.then(|| name.clone()));
                    self.services.attend_at(name, now);
                }
            }
            Some(Supervisor::Lost(pid)) => {
                let pid = *pid;
                self.services.lost(name, pid);
            }
            Some(Supervisor::Adopted(_) | Supervisor::None | Supervisor::Child(..)) | None => {}
        }
    }

    /// When we have to look around, since not all is told.
    fn next_look(&self) -> Option<Moment> {
        (self.shutdown.is_none() && self.services.must_look()).then_some(self.look_at)
    }

    fn deadline(&self) -> Option<Moment> {
        let mut deadline = self.services.due.first().map(|(at, _)| *at);
        let mut sooner = |at: Option<Moment>| {
            if let Some(at) = at {
                deadline = Some(deadline.map_or(at, |other| other.min(at)));
            }
        };
        sooner(self.heal_at);
        sooner(self.gathering);
        sooner(self.shutdown.as_ref().map(|shutdown| shutdown.at));
        let mut look = false;
        for service in self.services.others.iter().filter_map(|name| self.services.all.get(name)) {
            match &service.supervisor {
                Supervisor::Adopted(handle) => look |= handle.fd().is_none(),
                Supervisor::Clearing(clearing) => {
                    sooner(Some(clearing.kill_at()));
                    look |= clearing.member().is_none_or(|member| member.fd().is_none());
                }
                Supervisor::Lost(_) => look = true,
                Supervisor::None | Supervisor::Child(..) => {}
            }
        }
        if look {
            sooner(Some(clock::now() + self.services.options.rescan));
        }
        sooner(self.next_look());
        deadline
    }

    /// Attends to services for which something is due: not to very many, since signals and changes
    /// want to be looked at too.
    fn attend_due(&mut self) {
        let now = clock::now();
        // ours first: it holds those of the services
        if std::mem::take(&mut self.services.misplaced) || self.heal_at.is_some_and(|at| at <= now) {
            self.heal();
        }
        for _ in 0..AT_A_TIME {
            if self.services.due.first().is_none_or(|(at, _)| *at > now) {
                break;
            }
            let Some((_, name)) = self.services.due.pop_first() else { break };
            match self.services.all.get(&name).map(|service| service.heal_at) {
                Some(Some(heal_at)) if heal_at <= now => self.services.heal(&name),
                Some(None) => self.services.attend(&name),
                // its files are still being removed, and the end of that is due too; or it is forgotten
                Some(Some(_)) | None => {}
            }
        }
    }

    fn reap(&mut self) {
        while let Some(dead) = reap::next_dead() {
            if let Some(pid) = Pid::new(dead.pid) {
                self.services.child_ended(pid, dead.ended);
            }
            reap::reap(dead.pid);
        }
    }

    fn take_signals(&mut self) {
        let arrived = signals::take();
        if arrived.has(signals::SIGCHLD) {
            self.reap();
        }
        if arrived.has_stop() && self.shutdown.is_none() {
            self.shutdown = Some(Shutdown::begin(&mut self.services));
        }
        if arrived.has(signals::SIGUSR1) && self.shutdown.is_none() {
            self.look_at = clock::now();
            self.entries.rescan(&mut self.services);
        }
        if arrived.has(signals::SIGUSR2) && self.shutdown.is_none() {
            self.execute_anew();
        }
    }
}
