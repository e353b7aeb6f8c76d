//! What is seen of the services, by whoever looks: nothing here needs a privilege or changes
//! anything.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;

use super::condition::Condition;
use super::report::{Main, Place, View};
use crate::depends::graph::Graph;
use crate::depends::lines::Awaited;
use crate::depends::others::{self, living_waiters};
use crate::service::ended::Ended;
use crate::service::files;
use crate::service::name::{Name, Printable};
use crate::service::order::Order;
use crate::service::pid::Pid;
use crate::service::record::{BootId, Process};
use crate::service::status::Status;
use crate::startup::{Dirs, Timings};
use crate::sys::entry::{self, Entry, Refusal};
use crate::sys::fault::Fault;
use crate::sys::files::Dir;
use crate::sys::owner::{Holder, Owner};
use crate::sys::process::Life;
use crate::sys::stamp::Stamp;
use crate::sys::{clock, interpreter, process};

/// A process that was started so shortly before its file was changed is not told apart from one
/// that was started just after: start times are in hundredths of a second.
const GRAIN: std::time::Duration = std::time::Duration::from_millis(20);

/// With fewer services than this, another thread costs more than it gains.
const SHARE: usize = 100;
/// How many further threads look at services at most.
const OTHERS: usize = 3;

/// Where is looked.
#[derive(Debug)]
pub struct Scene {
    /// The directories.
    pub dirs: Dirs,
    /// The timings.
    pub timings: Timings,
    /// This boot.
    pub boot: BootId,
    /// The run directory, if it is there.
    pub rundir: Option<Dir>,
    /// Whether sysmgr is of our user, so that it may and refuses what we may and would.
    ours: bool,
    /// Whether what others than root could have written is refused.
    strict: bool,
}

impl Scene {
    /// Looks for the first time.
    #[must_use]
    pub fn new(dirs: Dirs, timings: Timings) -> Self {
        let rundir = Dir::open(&dirs.rundir).ok();
        let ours = rundir.as_ref().is_none_or(Dir::is_ours);
        let strict = ours && entry::is_strict(timings.owner_check);
        Self { ours, strict, boot: process::boot_id(), rundir, dirs, timings }
    }

    /// Sees to it that what is looked at is what is there now.
    pub fn refresh(&mut self) {
        if self.rundir.as_ref().is_none_or(|dir| !dir.is_in_place()) {
            self.rundir = Dir::open(&self.dirs.rundir).ok();
        }
    }

    /// The directory of a service, to be read.
    #[must_use]
    pub fn dir(&self, name: &Name) -> Option<Dir> {
        self.rundir.as_ref()?.see(name.as_os_str()).ok()
    }

    /// Whether sysmgr runs: for certain if we may ask the kernel, else by its file.
    #[must_use]
    pub fn is_managed(&self) -> bool {
        self.rundir.as_ref().is_some_and(|dir| is_held(dir, files::PID))
    }

    /// What is said when sysmgr does not run.
    #[must_use]
    pub fn unmanaged(&self) -> String {
        format!("sysmgr is not running for {}", self.dirs.rundir.display())
    }

    /// What is wrong with sysmgr, if anything is.
    #[must_use]
    pub fn ailing(&self) -> Option<String> {
        let sysmgr = self.rundir.as_ref().and_then(|dir| holder(dir, files::PID));
        match (self.is_managed(), sysmgr.map(|process| (process.pid, process::life(process)))) {
            (false, _) => Some(self.unmanaged()),
            (true, Some((pid, Some(Life::Suspended)))) => {
                Some(format!("sysmgr is suspended; 'kill -CONT {pid}' has it go on"))
            }
            (true, _) => None,
        }
    }

    /// What is wrong with the supervisor of a service, or else with sysmgr, if anything is.
    #[must_use]
    pub fn ailing_for(&self, name: &Name) -> Option<String> {
        let supervisor = self.dir(name).and_then(|dir| holder(&dir, files::SYSPID));
        match supervisor.filter(|process| process::life(*process) == Some(Life::Suspended)) {
            Some(process) => Some(format!("its supervisor is suspended; 'kill -CONT {}' has it go on", process.pid)),
            None => self.ailing(),
        }
    }

    /// The user who may change services beside root, if that is not us; root where it is nobody else.
    #[must_use]
    pub fn keeper(&self) -> Option<u32> {
        self.dirs.rundir.metadata().ok().filter(|_| !self.ours).map(|dir| dir.uid())
    }

    /// All services: those of the service directory, and those that are known from before.
    ///
    /// # Errors
    /// Of opening and listing the service directory; those known from before come with it.
    pub fn names(&self) -> (BTreeSet<Name>, Result<(), Fault>) {
        let listed = Dir::open(&self.dirs.sysdir).and_then(|dir| dir.names());
        let (entries, result) = match listed {
            Ok(entries) => (entries, Ok(())),
            Err(fault) => (Vec::new(), Err(fault)),
        };
        let valid = |entries: Vec<std::ffi::OsString>| entries.into_iter().filter_map(|entry| Name::new(&entry).ok());
        let mut names: BTreeSet<Name> = valid(entries).collect();
        let known = self.rundir.as_ref().and_then(|dir| dir.names().ok()).unwrap_or_default();
        for name in valid(known) {
            if !names.contains(&name) && self.is_known(&name) {
                names.insert(name);
            }
        }
        (names, result)
    }

    /// Whether there is such a service.
    #[must_use]
    pub fn exists(&self, name: &Name) -> bool {
        self.dirs.sysdir.join(name).symlink_metadata().is_ok() || self.is_known(name)
    }

    /// Whether it has been supervised.
    fn is_known(&self, name: &Name) -> bool {
        self.dir(name).is_some_and(|dir| dir.has(files::OWNER))
    }

    /// Its entry in the service directory.
    #[must_use]
    pub fn place(&self, name: &Name) -> (Place, Option<Stamp>) {
        let entry = entry::look(&self.dirs.sysdir, name.as_ref(), self.timings.owner_check && self.ours);
        match entry {
            Entry::Service(stamp) => (Place::Present, Some(stamp)),
            Entry::Missing => (Place::Missing, None),
            // what we may not do sysmgr may
            Entry::Refused(Refusal::NotExecutable | Refusal::Unreadable(_)) if !self.ours => (Place::Present, None),
            Entry::Refused(refusal) => (Place::Refused(refusal.to_string()), None),
            // we could not look just now: that says nothing of the service
            Entry::Unknown(_) => (Place::Present, None),
        }
    }

    /// The status of a service in this boot.
    #[must_use]
    pub fn status(&self, dir: &Dir) -> Option<Status> {
        others::status(dir, self.boot)
    }

    /// All that is to be seen of services: of hundreds, side by side.
    #[must_use]
    pub fn views(&self, names: &[&Name], managed: bool) -> Vec<View> {
        let look = |names: &[&Name]| names.iter().map(|name| self.view(name, managed)).collect::<Vec<_>>();
        let others = (names.len() / SHARE).min(OTHERS);
        let (own, rest) = names.split_at(names.len() / (others + 1));
        std::thread::scope(|scope| {
            let shares: Vec<_> = rest
                .chunks(own.len().max(SHARE))
                .map(|share| (share, std::thread::Builder::new().spawn_scoped(scope, move || look(share))))
                .collect();
            let mut views = look(own);
            for (share, thread) in shares {
                // where no thread can be had, it is done here
                let seen = thread.ok().and_then(|thread| thread.join().ok());
                views.extend(seen.unwrap_or_else(|| look(share)));
            }
            views
        })
    }

    /// All that is to be seen of a service.
    #[must_use]
    pub fn view(&self, name: &Name, managed: bool) -> View {
        let dir = self.dir(name);
        let mut view = self.alone(name, dir.as_ref(), managed);
        match (view.condition(), dir) {
            (Condition::Waiting, _) => {
                let others: BTreeSet<Name> = view.waits.iter().filter_map(Awaited::service).cloned().collect();
                view.lacks = self.lacking(others, managed);
            }
            (Condition::Backoff, Some(dir)) => {
                let needs = self.needs(name, &dir);
                view.circle = self.circle(name, &needs);
                view.lacks = self.lacking(needs, managed);
                view.errors = errors_of(&dir);
            }
            _ => {}
        }
        view
    }

    /// What is to be seen of a service, without a look at others.
    fn alone(&self, name: &Name, dir: Option<&Dir>, managed: bool) -> View {
        let status = dir.and_then(|dir| self.status(dir));
        let main = status.as_ref().and_then(others::named).and_then(main_of);
        // most run, and for those one look is enough
        let glanced = main.and_then(|_| entry::glance(&self.dirs.sysdir.join(name), self.strict));
        let (place, stamp) = glanced.map_or_else(|| self.place(name), |stamp| (Place::Present, Some(stamp)));
        let stale = match (stamp, main) {
            (Some(stamp), Some(main)) if !main.age.is_zero() => {
                clock::ago(stamp.changed.0, stamp.changed.1) + GRAIN < main.age
            }
            _ => false,
        };
        let interpreter = match status.as_ref().and_then(|status| status.last_exit) {
            Some(Ended::Exec(_)) => interpreter::missing(&self.dirs.sysdir.join(name)),
            _ => None,
        };
        View {
            name: name.clone(),
            place,
            status,
            main,
            order: dir.and_then(order),
            waits: dir.map(waits).unwrap_or_default(),
            lacks: Vec::new(),
            circle: Vec::new(),
            errors: None,
            stale,
            supervised: managed || dir.is_some_and(|dir| is_held(dir, files::SYSPID)),
            interpreter,
            managed,
            now: clock::now(),
        }
    }

    /// A word for how a service is, unless it is up.
    #[must_use]
    pub fn lack(&self, name: &Name, managed: bool) -> Option<&'static str> {
        match self.alone(name, self.dir(name).as_ref(), managed).condition() {
            Condition::Up => None,
            Condition::New if !self.exists(name) => Some("no such service"),
            condition => Some(condition.plain()),
        }
    }

    fn lacking(&self, names: impl IntoIterator<Item = Name>, managed: bool) -> Vec<(Name, &'static str)> {
        names.into_iter().filter_map(|name| self.lack(&name, managed).map(|word| (name, word))).collect()
    }

    /// What a service has waited for, unless its file was changed since.
    fn needs(&self, name: &Name, dir: &Dir) -> Vec<Name> {
        if others::is_newer(&self.dirs.sysdir.join(name), dir) { Vec::new() } else { others::recorded(dir) }
    }

    /// The circle in which `name`, which has waited for `needs`, would wait; `name` comes first.
    fn circle(&self, name: &Name, needs: &[Name]) -> Vec<Name> {
        let mut graph = Graph::default();
        graph.insert(name.clone(), needs.iter().cloned());
        let mut open = needs.to_vec();
        while let Some(other) = open.pop() {
            if !graph.has(&other) {
                let needs = self.dir(&other).map_or_else(Vec::new, |dir| self.needs(&other, &dir));
                open.extend(needs.iter().cloned());
                graph.insert(other, needs);
            }
        }
        graph.circle(name).unwrap_or_default()
    }
}

/// The main process, if it lives.
fn main_of(process: Process) -> Option<Main> {
    let life = process::life(process)?;
    Some(Main { process, age: process::age(process), suspended: life == Life::Suspended })
}

/// Where the messages of a service go, which are those of its supervisor: a file or a device, if that is known.
fn errors_of(dir: &Dir) -> Option<String> {
    let path = process::standard_error_of(holder(dir, files::SYSPID)?.pid)?;
    Some(Printable(path.as_os_str().as_bytes()).to_string())
}

/// What the lock of a service says.
#[must_use]
pub fn order(dir: &Dir) -> Option<Order> {
    dir.read(files::LOCK, &mut [0; 64]).map(Order::parse)
}

/// What living processes of a service wait for.
#[must_use]
pub fn waits(dir: &Dir) -> Vec<Awaited> {
    let awaited: BTreeSet<Awaited> = living_waiters(dir).into_iter().map(|waiter| waiter.awaited).collect();
    awaited.into_iter().collect()
}

/// Whether the lock of `dir` is held; if we may not ask, whether the process lives that the file
/// `pid` names.
fn is_held(dir: &Dir, pid: &str) -> bool {
    match Owner::holder(dir) {
        Ok(Holder::Process(..)) => true,
        Ok(Holder::Nothing | Holder::Nobody(_)) => false,
        Err(_) => named(dir, pid).is_some_and(process::seems_alive),
    }
}

/// The process that has the lock of `dir`, if it is known here; if we may not ask, the one that the file `pid` names.
fn holder(dir: &Dir, pid: &str) -> Option<Process> {
    match Owner::holder(dir) {
        Ok(Holder::Process(raw, _)) => Pid::new(raw).map(process::identify),
        Ok(Holder::Nothing | Holder::Nobody(_)) => None,
        Err(_) => named(dir, pid),
    }
}

fn named(dir: &Dir, pid: &str) -> Option<Process> {
    dir.read(pid, &mut [0; 32]).and_then(Pid::parse).map(process::identify)
}
