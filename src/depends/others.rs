//! What is seen of the services that are waited for, and of what they wait for themselves.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::graph::Graph;
use super::lines::{Waiter, read_depends, read_waiting};
use super::up::{Seen, mark};
use crate::service::files;
use crate::service::moment::Moment;
use crate::service::name::Name;
use crate::service::order::Order;
use crate::service::record::{BootId, Process};
use crate::service::status::{Phase, Status};
use crate::sys::files::Dir;
use crate::sys::{clock, mark as marks, process};

/// How long an ended process counts that nobody reaps: one that was started in the background.
const PATIENCE: Duration = Duration::from_millis(200);

/// Where it is looked, and what was seen there before.
#[derive(Debug)]
pub struct Others<'d> {
    /// The service directory.
    pub sysdir: &'d Path,
    /// The run directory.
    pub rundir: &'d Path,
    /// This boot.
    pub boot: BootId,
    /// How long a run must be to be a stable one.
    pub stable_after: Duration,
    /// What was seen of each before.
    memory: BTreeMap<Name, Memory>,
}

/// What was seen of a service before.
#[derive(Debug, Default)]
struct Memory {
    /// The time of change of its directory, and since when it has been that.
    changed: ((i64, u32), Moment),
    /// Those of its processes that wait, or did and have not been reaped by whoever goes on after
    /// them.
    waiters: Vec<Process>,
    /// When the last of them was seen to live.
    waited: Option<Moment>,
    /// When the last of them was seen at all.
    gone: Option<Moment>,
}

/// A service that others wait for, at one moment.
#[derive(Debug)]
pub struct Other {
    /// What its being up is judged by.
    pub seen: Seen,
    /// Whether it says that it is ready.
    pub ready: bool,
    /// Its status, if that is of this boot.
    pub status: Option<Status>,
    /// What its lock says.
    pub order: Option<Order>,
    /// Those of its processes that wait in sysmgr-depends.
    pub waiters: Vec<Process>,
}

impl<'d> Others<'d> {
    /// Looks at nothing yet.
    #[must_use]
    pub fn new(sysdir: &'d Path, rundir: &'d Path, boot: BootId, stable_after: Duration) -> Self {
        Self { sysdir, rundir, boot, stable_after, memory: BTreeMap::new() }
    }

    /// How a service is now.
    #[must_use]
    pub fn look(&mut self, name: &Name) -> Other {
        let none = Seen { age: None, waits: false, known: None, quiet: Duration::ZERO };
        let Some(dir) = self.dir(name) else {
            return Other { seen: none, ready: false, status: None, order: None, waiters: Vec::new() };
        };
        // what has its order behind it has another process by then
        let order = dir.read(files::LOCK, &mut [0; 64]).map(Order::parse);
        // its order of reading is the reverse of theirs of writing
        let known = self.known(name, &dir);
        let waiters = self.waiters(name, &dir);
        let status = status(&dir, self.boot);
        let stays = |status: &&Status| status.phase == Phase::Up && !order.is_some_and(Order::ends);
        let main = status.as_ref().filter(stays).and_then(main_of);
        let age = main.map(|main| age(main, status.as_ref()));
        let known = known.map(|marked| main.is_some_and(|main| marked == mark(main)));
        let quiet = self.quiet(name, &dir);
        Other {
            seen: Seen { age, waits: !waiters.is_empty(), known, quiet },
            ready: dir.has(files::READY),
            order,
            status,
            waiters,
        }
    }

    fn dir(&self, name: &Name) -> Option<Dir> {
        Dir::open(self.rundir).ok()?.see(name.as_os_str()).ok()
    }

    /// Whether a service is known to wait, and if so, with which mark.
    fn known(&self, name: &Name, dir: &Dir) -> Option<u32> {
        (!self.needs(name, dir).is_empty()).then(|| marked(dir))
    }

    /// Those of its processes that wait. One that has just ended still counts until its parent has
    /// noticed: only then does the script go on.
    fn waiters(&mut self, name: &Name, dir: &Dir) -> Vec<Process> {
        let mut waiters: Vec<Process> = living_waiters(dir).into_iter().map(|waiter| waiter.process).collect();
        let now = clock::now();
        let memory = self.memory.entry(name.clone()).or_default();
        if waiters.is_empty() && memory.waited.is_some_and(|at| now.since(at) < PATIENCE) {
            waiters.extend(memory.waiters.iter().filter(|process| process::seems_there(**process)));
        } else {
            memory.waited = (!waiters.is_empty()).then_some(now).or(memory.waited);
        }
        if !waiters.is_empty() {
            memory.waiters.clone_from(&waiters);
            memory.gone = Some(now);
        }
        waiters
    }

    /// How long nothing has changed in its directory, and nothing of it waited.
    fn quiet(&mut self, name: &Name, dir: &Dir) -> Duration {
        let Some(changed) = marks::changed(dir, ".") else {
            return Duration::ZERO;
        };
        let now = clock::now();
        let memory = self.memory.entry(name.clone()).or_default();
        if memory.changed.0 != changed {
            memory.changed = (changed, now);
        }
        // a time of day that was set meanwhile can make it longer, but never keeps it from growing
        let quiet = now.since(memory.changed.1).max(clock::ago(changed.0, changed.1.into()));
        memory.gone.map_or(quiet, |gone| quiet.min(now.since(gone)))
    }

    /// For whom a service is known to wait: what it waited for in this run, or in an earlier one
    /// with the same file.
    fn needs(&self, name: &Name, dir: &Dir) -> Vec<Name> {
        let needs = recorded(dir);
        if needs.is_empty() {
            return needs;
        }
        let main = status(dir, self.boot).as_ref().and_then(main_of);
        if main.is_some_and(|main| marked(dir) == mark(main)) {
            return needs;
        }
        if is_newer(&self.sysdir.join(name), dir) { Vec::new() } else { needs }
    }

    /// All that `name` waits for, and what that waits for, and so on, as far as it still counts: a
    /// service that has run for long without a wait does not wait any more.
    #[must_use]
    pub fn graph(&self, name: &Name, waits_for: &[Name]) -> Graph {
        let mut graph = Graph::default();
        graph.insert(name.clone(), waits_for.iter().cloned());
        let mut open: Vec<Name> = waits_for.to_vec();
        while let Some(other) = open.pop() {
            if graph.has(&other) {
                continue;
            }
            let needs = self.dir(&other).map_or_else(Vec::new, |dir| self.waits_still(&other, &dir));
            open.extend(needs.iter().cloned());
            graph.insert(other, needs);
        }
        graph
    }

    fn waits_still(&self, name: &Name, dir: &Dir) -> Vec<Name> {
        let status = status(dir, self.boot);
        if let Some(main) = status.as_ref().and_then(main_of) {
            if marked(dir) != mark(main) && age(main, status.as_ref()) >= self.stable_after {
                return Vec::new();
            }
        }
        self.needs(name, dir)
    }
}

fn age(main: Process, status: Option<&Status>) -> Duration {
    let age = process::age(main);
    if age.is_zero() { status.map_or(age, |status| clock::now().since(status.since_ms)) } else { age }
}

/// The mark on `depends`; none is 0.
fn marked(dir: &Dir) -> u32 {
    marks::changed(dir, files::DEPENDS).map_or(0, |(_, nanoseconds)| nanoseconds)
}

/// What stands in `depends`.
#[must_use]
pub fn recorded(dir: &Dir) -> Vec<Name> {
    dir.read_whole(files::DEPENDS).map_or_else(Vec::new, |content| read_depends(&content))
}

/// The learned dependencies of all services of the run directory.
#[must_use]
pub fn all(rundir: &Dir) -> Graph {
    let mut graph = Graph::default();
    for name in rundir.names().unwrap_or_default().iter().filter_map(|name| Name::new(name).ok()) {
        if let Ok(dir) = rundir.see(name.as_os_str()) {
            let needs = recorded(&dir);
            if !needs.is_empty() {
                graph.insert(name, needs);
            }
        }
    }
    graph
}

/// The lines of `waiting` whose processes live.
#[must_use]
pub fn living_waiters(dir: &Dir) -> Vec<Waiter> {
    let waiters = dir.read_whole(files::WAITING).map_or_else(Vec::new, |content| read_waiting(&content));
    waiters.into_iter().filter(|waiter| process::seems_alive(waiter.process)).collect()
}

/// What the status file says, if that is of this boot.
#[must_use]
pub fn status(dir: &Dir, boot: BootId) -> Option<Status> {
    Status::decode(dir.read(files::STATUS, &mut [0; 4096])?).filter(|status| status.boot == boot.as_str())
}

/// The main process that a status names, whether it still lives or not.
#[must_use]
pub fn named(status: &Status) -> Option<Process> {
    let process = Process { pid: status.pid?, start: status.start_time? };
    matches!(status.phase, Phase::Starting | Phase::Up | Phase::Stopping).then_some(process)
}

/// The main process that a status names, if it lives.
#[must_use]
pub fn main_of(status: &Status) -> Option<Process> {
    named(status).filter(|process| process::seems_alive(*process))
}

/// Whether a service's file was changed after its last wait had begun.
#[must_use]
pub fn is_newer(file: &Path, dir: &Dir) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(file), Some((waited, _))) = (file.metadata(), marks::changed(dir, files::DEPENDS)) else {
        return false;
    };
    // the nanoseconds of the other are a mark
    file.ctime() > waited
}
