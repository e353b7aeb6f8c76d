//! What sysmgr knows of each service, and doing what was decided.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::OsStr;
use std::path::PathBuf;

use nix::errno::Errno;

use super::Options;
use super::clearing::Clearing;
use super::plan::{self, Action, Facts, Presence};
use crate::cli::Verbosity;
use crate::service::ended::Ended;
use crate::service::files::{self, LOCK, OWNER, PID, STATUS, SYSPID};
use crate::service::moment::Moment;
use crate::service::name::Name;
use crate::service::order::Order;
use crate::service::pid::Pid;
use crate::service::record::{BootId, Record};
use crate::service::status::{Phase, Status};
use crate::sys::context::Umask;
use crate::sys::entry::{self, Entry};
use crate::sys::fault::Fault;
use crate::sys::files::{Dir, Stamp};
use crate::sys::group::{Group, Rest};
use crate::sys::owner::{Claim, Holder, Owner};
use crate::sys::process::{self, Handle};
use crate::sys::watch::{Watch, Watched};
use crate::sys::{clock, message, signals, tool};

/// The runsyssv of a service.
#[derive(Debug)]
pub enum Supervisor {
    /// None.
    None,
    /// A child of ours, and since when.
    Child(Pid, Moment),
    /// One that outlived the sysmgr that started it.
    Adopted(Handle),
    /// It died and left no record: what lived in its session is being ended.
    Clearing(Clearing),
}

/// What is known of a service.
#[derive(Debug)]
pub struct Service {
    /// What its entry was at the last look.
    pub entry: Entry,
    /// Until when a missing entry is only missed.
    pub missed_until: Option<Moment>,
    /// Its runsyssv.
    pub supervisor: Supervisor,
    /// How often in a row its runsyssv has died at once.
    pub crashes: u32,
    /// Until when no runsyssv is started.
    pub held_until: Option<Moment>,
    /// When its files are looked at, since others have touched them.
    pub heal_at: Option<Moment>,
    /// Whether they were changed, not only removed.
    pub defaced: bool,
    /// The watch on its run directory.
    pub watched: Option<Watched>,
    /// Which lock was seen last, for where changes can't be watched.
    pub lock: Option<Stamp>,
    /// Whether it was stopped for its entry being gone.
    dismissed: bool,
    /// The trouble that was reported last.
    reported: Option<String>,
}

/// All services, and what concerns them together.
pub struct Services {
    /// What sysmgr is to do.
    pub options: Options,
    /// Where directories are watched, as far as that is possible.
    pub watch: Option<Watch>,
    /// The run directory.
    pub rundir: Dir,
    /// By name.
    pub all: BTreeMap<Name, Service>,
    /// The runsyssv that are children.
    pub children: HashMap<Pid, Name>,
    /// The run directories that are watched.
    pub watched: HashMap<Watched, Name>,
    /// The moments at which something is due.
    pub due: BTreeSet<(Moment, Name)>,
    /// Whether sysmgr is ending.
    pub ending: bool,
    /// What files are made with.
    pub umask: Umask,
    /// This boot.
    pub boot: BootId,
    /// Whether something can't be watched, so that one has to look.
    pub blind: bool,
    /// Whether that has been said already.
    pub was_blind: bool,
    /// Whether the service directory can't be read or believed: then no entry counts as removed.
    pub unsure: bool,
    /// Those whose supervisors, or what these left, are no children.
    pub others: BTreeSet<Name>,
    runsyssv: Option<PathBuf>,
}

impl Services {
    /// None yet.
    #[must_use]
    pub fn new(options: Options, rundir: Dir, watch: Option<Watch>, umask: Umask) -> Self {
        Self {
            options,
            blind: watch.is_none(),
            watch,
            rundir,
            all: BTreeMap::new(),
            children: HashMap::new(),
            watched: HashMap::new(),
            due: BTreeSet::new(),
            ending: false,
            umask,
            boot: process::boot_id(),
            was_blind: false,
            unsure: false,
            others: BTreeSet::new(),
            runsyssv: None,
        }
    }

    /// The service `name`, known from now on.
    pub fn know(&mut self, name: &Name) -> &mut Service {
        self.all.entry(name.clone()).or_insert_with(|| Service {
            entry: Entry::Missing,
            missed_until: None,
            supervisor: Supervisor::None,
            crashes: 0,
            held_until: None,
            heal_at: None,
            defaced: false,
            watched: None,
            lock: None,
            dismissed: false,
            reported: None,
        })
    }

    /// Notes the runsyssv of `name`.
    pub fn set_supervisor(&mut self, name: &Name, supervisor: Supervisor) {
        if matches!(supervisor, Supervisor::Adopted(_) | Supervisor::Clearing(_)) {
            self.others.insert(name.clone());
        } else {
            self.others.remove(name);
        }
        self.know(name).supervisor = supervisor;
    }

    /// Has `name` attended to at `at`.
    pub fn attend_at(&mut self, name: &Name, at: Moment) {
        self.due.insert((at, name.clone()));
    }

    /// Looks at the entry of `name` again: it may have changed.
    pub fn look(&mut self, name: &Name) {
        let path: &std::path::Path = name.as_ref();
        let entry = entry::look(&self.options.sysdir, path, self.options.owner_check);
        let now = clock::now();
        let service = self.know(name);
        let changed = service.entry != entry;
        let was_there = service.entry != Entry::Missing;
        if entry != Entry::Missing {
            service.missed_until = None;
            service.dismissed = false;
        } else if was_there || service.missed_until.is_none() {
            service.missed_until = Some(now + plan::GRACE);
            self.attend_at(name, now + plan::GRACE);
        }
        self.know(name).entry = entry;
        if changed {
            let startable = matches!(self.know(name).entry, Entry::Service(_));
            self.know(name).held_until = None;
            if startable && was_there {
                self.signal(name, &[signals::SIGCONT]);
            }
        }
        self.attend(name);
    }

    /// Decides what is to be done about `name`, and does it.
    pub fn attend(&mut self, name: &Name) {
        let dir = match self.prepare(name) {
            Ok(dir) => dir,
            Err(fault) => return self.put_off(name, &fault),
        };
        self.find_supervisor(name, dir.as_ref());
        let now = clock::now();
        loop {
            let facts = self.facts(name, dir.as_ref(), now);
            let action = plan::decide(&facts);
            let done = match action {
                Action::Nothing => Ok(()),
                Action::Supervise => {
                    self.start(name, now);
                    Ok(())
                }
                Action::Unlock => match self.unlock(name, dir.as_ref(), facts.order) {
                    Ok(()) => continue,
                    Err(fault) => Err(fault),
                },
                Action::Dismiss => self.dismiss(name, dir.as_ref(), facts),
                Action::Forget => {
                    self.forget(name, dir.as_ref());
                    return;
                }
                Action::Refuse => self.refuse(name, dir.as_ref()),
            };
            if let Err(fault) = done {
                self.put_off(name, &fault);
            }
            return;
        }
    }

    /// Something failed that can be tried again.
    fn put_off(&mut self, name: &Name, fault: &Fault) {
        let now = clock::now();
        let again = now + self.options.rescan;
        let text = fault.to_string();
        let service = self.know(name);
        if service.reported.as_ref() != Some(&text) {
            service.reported = Some(text);
            self.say(Verbosity::Quiet, name, format_args!("{fault}; it is tried again"));
        }
        self.attend_at(name, again);
    }

    /// The run directory of `name`: made and watched, unless there is no reason for one.
    fn prepare(&mut self, name: &Name) -> Result<Option<Dir>, Fault> {
        let wanted = !matches!(self.know(name).entry, Entry::Missing);
        let dir = if wanted {
            self.rundir.make_sub(name.as_os_str())?
        } else {
            match self.rundir.sub(name.as_os_str()) {
                Err(fault) if fault.errno == Errno::ENOENT => return Ok(None),
                other => other?,
            }
        };
        self.watch_dir(name, &dir);
        Ok(Some(dir))
    }

    fn watch_dir(&mut self, name: &Name, dir: &Dir) {
        let Some(watch) = &self.watch else { return };
        match watch.add(dir.path()) {
            Ok(watched) => {
                self.watched.insert(watched, name.clone());
                self.know(name).watched = Some(watched);
            }
            Err(errno) => self.go_blind(errno),
        }
    }

    /// Not all can be watched any more; but what is not there needs no watching.
    pub fn go_blind(&mut self, errno: Errno) {
        if matches!(errno, Errno::ENOENT | Errno::ENOTDIR) {
            return;
        }
        self.blind = true;
        if !std::mem::replace(&mut self.was_blind, true) {
            let rescan = self.options.rescan.as_millis();
            message::say(format_args!(
                "sysmgr: cannot watch all directories ({}); they are looked at every {rescan} ms instead",
                errno.desc()
            ));
        }
    }

    /// What could not be watched perhaps can be by now: whether there was such. All watches have to
    /// be asked for anew then.
    pub fn try_to_see(&mut self) -> bool {
        if self.watch.is_none() {
            self.watch = Watch::new().ok();
        }
        let was_blind = self.blind;
        self.blind = self.watch.is_none();
        was_blind
    }

    /// A runsyssv that lives though we have not started it, or not as this sysmgr.
    fn find_supervisor(&mut self, name: &Name, dir: Option<&Dir>) {
        if !matches!(self.know(name).supervisor, Supervisor::None) {
            return;
        }
        let Some(dir) = dir else { return };
        let Some(pid) = holder_of(dir) else { return };
        let handle = Handle::of(process::identify(pid));
        // it may have died, and its number be another's, before we took hold of it
        if let Some(handle) = handle.filter(|_| holder_of(dir) == Some(pid)) {
            self.set_supervisor(name, Supervisor::Adopted(handle));
            // there may be an order that nobody told it of
            self.signal(name, &[signals::SIGALRM]);
        }
    }

    /// The process that has the lock of `name`.
    #[must_use]
    pub fn holder(&self, name: &Name) -> Option<Pid> {
        holder_of(&self.rundir.sub(name.as_os_str()).ok()?)
    }

    fn facts(&mut self, name: &Name, dir: Option<&Dir>, now: Moment) -> Facts {
        let (ending, unsure) = (self.ending, self.unsure);
        let boot = self.boot;
        let order = dir.and_then(read_order);
        let lock = dir.and_then(|dir| dir.stamp(LOCK));
        let service = self.know(name);
        service.lock = lock;
        let entry = match service.entry {
            Entry::Service(_) => Presence::Startable,
            Entry::Refused(_) => Presence::Refused,
            Entry::Missing if unsure || service.missed_until.is_some_and(|until| until > now) => Presence::Missed,
            Entry::Missing => Presence::Removed,
        };
        let supervised = !matches!(service.supervisor, Supervisor::None);
        let alive = !supervised && dir.and_then(record_of).is_some_and(|record| lives(&record, boot));
        Facts { entry, order, supervised, alive, ending }
    }

    fn start(&mut self, name: &Name, now: Moment) {
        if let Some(until) = self.know(name).held_until {
            if until > now && !self.ending {
                self.attend_at(name, until);
                return;
            }
        }
        match self.start_runsyssv(name) {
            Ok(pid) => {
                self.children.insert(pid, name.clone());
                self.set_supervisor(name, Supervisor::Child(pid, now));
                let service = self.know(name);
                service.held_until = None;
                service.reported = None;
            }
            Err(fault) => self.put_off(name, &fault),
        }
    }

    fn start_runsyssv(&mut self, name: &Name) -> Result<Pid, Fault> {
        if self.runsyssv.as_ref().is_none_or(|path| !tool::is_executable(path)) {
            self.runsyssv = tool::find("runsyssv");
        }
        let Some(path) = &self.runsyssv else {
            return Err(Fault::of("find beside sysmgr or in PATH", "runsyssv")(Errno::ENOENT));
        };
        let (sysdir, rundir) = (self.options.sysdir.as_os_str(), self.options.rundir.as_os_str());
        let mut arguments: Vec<&OsStr> =
            vec!["runsyssv".as_ref(), "--sysdir".as_ref(), sysdir, "--rundir".as_ref(), rundir];
        match self.options.verbosity {
            Verbosity::Quiet => arguments.push("-q".as_ref()),
            Verbosity::Normal => {}
            Verbosity::Verbose => arguments.push("-v".as_ref()),
        }
        arguments.push(name.as_os_str());
        tool::start(path, &arguments, self.umask).map_err(Fault::of("start", path))
    }

    fn unlock(&mut self, name: &Name, dir: Option<&Dir>, order: Option<Order>) -> Result<(), Fault> {
        if let Some(dir) = dir {
            dir.remove_if(LOCK, |text| Some(Order::parse(text)) == order)?;
        }
        self.signal(name, &[signals::SIGALRM]);
        Ok(())
    }

    /// Stops a service whose entry is gone.
    fn dismiss(&mut self, name: &Name, dir: Option<&Dir>, facts: Facts) -> Result<(), Fault> {
        let Some(dir) = dir else { return Ok(()) };
        if std::mem::replace(&mut self.know(name).dismissed, true) {
            return Ok(());
        }
        self.say(Verbosity::Normal, name, format_args!("removed from the service directory; it is stopped"));
        // an order that keeps it down may stay, one that would have it started is void
        if facts.order.is_none_or(Order::starts) {
            let gone = format!("{}\n", Order::Gone.word());
            dir.replace(LOCK, gone.as_bytes())?;
        }
        if !facts.supervised {
            self.start(name, clock::now());
        }
        self.signal(name, &[signals::SIGTERM]);
        Ok(())
    }

    /// Removes what there is of a service that is gone.
    pub fn forget(&mut self, name: &Name, dir: Option<&Dir>) {
        if let Some(dir) = dir {
            remove_files(dir, &files::OF_SERVICE);
            self.rundir.remove_dir(name.as_os_str());
        }
        if let Some(service) = self.all.remove(name) {
            if let (Some(watched), Some(watch)) = (service.watched, &self.watch) {
                self.watched.remove(&watched);
                watch.remove(watched);
            }
        }
    }

    /// Says why a service can't be started.
    fn refuse(&mut self, name: &Name, dir: Option<&Dir>) -> Result<(), Fault> {
        let Entry::Refused(refusal) = &self.know(name).entry else { return Ok(()) };
        let reason = refusal.to_string();
        if let Some(dir) = dir {
            // what has no owner is not known to be ours
            if record_of(dir).is_none() {
                if let Claim::Ours(owner, _) = Owner::claim(dir)? {
                    let none = Record { boot: self.boot, run: None, told: None };
                    owner.write(&none).map_err(Fault::of("write", dir.path().join(OWNER)))?;
                }
            }
            let there = dir.read(STATUS, &mut [0; 4096]).and_then(Status::decode);
            let same = |status: &Status| status.phase == Phase::Refused && status.reason.as_ref() == Some(&reason);
            if !there.as_ref().is_some_and(same) {
                let boot = self.boot.as_str().to_owned();
                let mut status = Status::new(Phase::Refused, clock::wall(), clock::now(), boot);
                status.order = read_order(dir).map(|order| order.word().to_owned());
                status.reason = Some(reason.clone());
                dir.replace(STATUS, status.to_string().as_bytes())?;
            }
        }
        if self.know(name).reported.as_ref() != Some(&reason) {
            self.say(Verbosity::Quiet, name, format_args!("not started: {reason}"));
            self.know(name).reported = Some(reason);
        }
        Ok(())
    }

    /// Sends signals to the runsyssv of `name`, if there is one.
    pub fn signal(&mut self, name: &Name, signals: &[i32]) {
        for signal in signals {
            let _ = match self.all.get(name).map(|service| &service.supervisor) {
                // unreaped, so that the number is still its own
                Some(Supervisor::Child(pid, _)) => process::kill(*pid, *signal),
                Some(Supervisor::Adopted(handle)) => handle.signal(*signal),
                Some(Supervisor::None | Supervisor::Clearing(_)) | None => Ok(()),
            };
        }
    }

    /// A child has ended, and is not reaped yet. Whether it was a runsyssv.
    pub fn child_ended(&mut self, pid: Pid, ended: Ended) -> bool {
        let Some(name) = self.children.remove(&pid) else {
            return false;
        };
        let now = clock::now();
        let Supervisor::Child(_, since) = self.know(&name).supervisor else {
            return false;
        };
        let well = ended == Ended::Code(0);
        self.set_supervisor(&name, Supervisor::None);
        let crashes = plan::crashes(self.know(&name).crashes, now.since(since), well);
        self.know(&name).crashes = crashes;
        if !well {
            let wait = plan::delay(crashes);
            self.know(&name).held_until = Some(now + wait);
            let words = ended.in_words();
            let next = if wait.is_zero() { "the next one takes over" } else { "it is backed off" };
            self.say(Verbosity::Quiet, &name, format_args!("its runsyssv {words}; {next}"));
        }
        self.lost(&name, pid);
        true
    }

    /// An adopted runsyssv has ended.
    pub fn adopted_ended(&mut self, name: &Name) {
        let service = self.know(name);
        if let Supervisor::Adopted(handle) = std::mem::replace(&mut service.supervisor, Supervisor::None) {
            self.lost(name, handle.process().pid);
        }
    }

    /// The runsyssv `pid` of `name` is gone. If it has left no record, what lives in its session is
    /// ended before another one may start.
    fn lost(&mut self, name: &Name, pid: Pid) {
        let dir = self.rundir.sub(name.as_os_str()).ok();
        if dir.as_ref().and_then(record_of).is_none() {
            let clearing = Clearing::of_session(pid, clock::now() + self.options.stop_timeout);
            if let Some(clearing) = clearing {
                self.say(Verbosity::Quiet, name, format_args!("its record is gone too; what it ran is ended first"));
                self.set_supervisor(name, Supervisor::Clearing(clearing));
            }
        }
        // not at once: in the same moment many may be lost, and are dealt with one after the other
        self.attend_at(name, clock::now());
    }

    /// What others have done to the files of `name` is over: what is missing is put back.
    pub fn heal(&mut self, name: &Name) {
        let service = self.know(name);
        service.heal_at = None;
        let defaced = std::mem::take(&mut service.defaced);
        if matches!(service.supervisor, Supervisor::Child(..) | Supervisor::Adopted(_)) {
            let whole = self
                .rundir
                .sub(name.as_os_str())
                .is_ok_and(|dir| [OWNER, PID, SYSPID, STATUS].iter().all(|file| dir.has(*file)));
            if defaced || !whole {
                self.signal(name, &[signals::SIGALRM]);
            }
        }
        self.attend(name);
    }

    /// Gives a missing entry its grace anew.
    pub fn miss_again(&mut self, name: &Name) {
        let until = clock::now() + plan::GRACE;
        self.know(name).missed_until = Some(until);
        self.attend_at(name, until);
    }

    /// Says something of all.
    pub fn note(&self, least: Verbosity, what: std::fmt::Arguments<'_>) {
        if self.options.verbosity >= least {
            message::say(format_args!("sysmgr: {what}"));
        }
    }

    /// Says something of a service.
    pub fn say(&self, least: Verbosity, name: &Name, what: std::fmt::Arguments<'_>) {
        if self.options.verbosity >= least {
            message::say(format_args!("sysmgr: {name}: {what}"));
        }
    }
}

/// What the lock says.
#[must_use]
pub fn read_order(dir: &Dir) -> Option<Order> {
    dir.read(LOCK, &mut [0; 64]).map(Order::parse)
}

fn holder_of(dir: &Dir) -> Option<Pid> {
    match Owner::holder(dir) {
        Ok(Holder::Process(pid, _)) => Pid::new(pid),
        Ok(Holder::Nothing | Holder::Nobody(_)) | Err(_) => None,
    }
}

/// The record of a service, whoever holds it.
#[must_use]
pub fn record_of(dir: &Dir) -> Option<Record> {
    match Owner::holder(dir) {
        Ok(Holder::Nobody(record) | Holder::Process(_, record)) => record,
        Ok(Holder::Nothing) | Err(_) => None,
    }
}

/// Whether anything of the run on record still lives.
fn lives(record: &Record, boot: BootId) -> bool {
    record.boot == boot
        && record.run.is_some_and(|run| {
            let group = Group { id: run.group, session: run.session };
            process::is_alive(run.process) || !matches!(group.rest(), Rest::Nothing)
        })
}

/// Removes files of ours, and what was left aside.
pub fn remove_files(dir: &Dir, names: &[&str]) {
    for name in dir.names().unwrap_or_default().iter().filter(|name| crate::sys::files::is_aside(name)) {
        let _ = dir.remove(name.as_os_str());
    }
    for name in names {
        let _ = dir.remove(*name);
    }
}
