//! The life through which many services are led at once, while something goes wrong for each.

use std::collections::BTreeMap;
use std::time::Duration;

use sysmgr::service::status::Phase;

use super::{Rigged, is_thorough, until_all};
use crate::common::{Signal, TestBed, is_alive, process, until};

/// For hundreds of services on a loaded machine.
const LIMIT: Duration = Duration::from_secs(60);

/// A service that says when it runs twice, or while something of its last run is left; and that leaves
/// something behind, which is deaf.
pub const PARENT: &str = "exec 9>>\"$BED/held.$SYSMGR_SERVICE\"
    flock -n 9 || echo \"$SYSMGR_SERVICE\" >> \"$BED/twice\"
    (trap '' TERM; exec sleep 1000) &
    exec sleep 1000";

/// Services that are led through their lives together.
pub struct Life<'a> {
    rig: &'a Rigged,
    bed: &'a TestBed,
    names: &'a [String],
    script: &'a str,
    pids: BTreeMap<String, i32>,
}

impl<'a> Life<'a> {
    /// Services called `names`, each with this script.
    pub fn new(rig: &'a Rigged, names: &'a [String], script: &'a str) -> Self {
        Self { rig, bed: &rig.bed, names, script, pids: BTreeMap::new() }
    }

    /// Leads them through it, with all that there is to it.
    #[track_caller]
    pub fn lead(mut self) {
        // the first supervisor
        for name in self.names {
            self.bed.service(name, self.script);
        }
        self.up("it is up");
        let old = self.supervised("it has a supervisor", &BTreeMap::new());
        kill_all(old.values());
        // the second
        self.supervised("it has another supervisor", &old);
        kill_all(self.pids.values());
        self.up("it is up again after a crash");
        self.order("restart");
        self.up("it is up again after an order to restart");
        let old = self.supervised("it still has a supervisor", &BTreeMap::new());
        for name in self.names {
            process::try_kill(old[name], Signal::SIGSTOP);
            process::try_kill(self.pids[name], Signal::SIGKILL);
            process::try_kill(old[name], Signal::SIGKILL);
        }
        // the third
        self.up("it is up again after it died with its supervisor");
        self.order("stop");
        self.down("it is stopped");
        for name in self.names {
            assert_eq!(self.bed.lock(name).as_deref(), Some("stop"), "{name}");
        }
        self.order("once");
        // the fourth
        self.up("it is up once");
        until_all("the order is taken", self.names, LIMIT, |name| self.bed.lock(name).as_deref() == Some("ran"));
        for pid in self.pids.values() {
            process::try_kill(*pid, Signal::SIGTERM);
        }
        self.down("it has ended");
        for name in self.names {
            self.bed.unlock(name);
        }
        self.up("it is up again without a lock");
        for name in self.names {
            self.bed.remove(name);
        }
        until_all("it is gone", self.names, LIMIT, |name| !self.bed.rundir.join(name).exists());
        until("no supervisor is left", || self.rig.supervisors().is_empty());
        assert_eq!(self.rig.twice(), "");
    }

    fn order(&self, order: &str) {
        for name in self.names {
            self.rig.order(name, order);
        }
    }

    /// Waits until each is up in another process than before.
    #[track_caller]
    fn up(&mut self, what: &str) {
        let old = std::mem::take(&mut self.pids);
        until_all(what, self.names, LIMIT, |name| {
            let pid = self.bed.pid(name).filter(|pid| Some(pid) != old.get(name) && is_alive(*pid));
            let pid = pid.filter(|_| self.bed.phase(name) == Some(Phase::Up));
            pid.inspect(|pid| assert_eq!(self.pids.insert(name.to_owned(), *pid), None)).is_some()
        });
        assert_eq!(self.rig.twice(), "");
    }

    #[track_caller]
    fn down(&self, what: &str) {
        until_all(what, self.names, LIMIT, |name| {
            let files = (self.bed.pid(name), self.bed.syspid(name), self.bed.phase(name));
            files == (None, None, Some(Phase::Down))
        });
        until("no supervisor is left", || self.rig.supervisors().is_empty());
    }

    /// Waits until each has another supervisor than before.
    #[track_caller]
    fn supervised(&self, what: &str, old: &BTreeMap<String, i32>) -> BTreeMap<String, i32> {
        let mut new = BTreeMap::new();
        until_all(what, self.names, LIMIT, |name| {
            let pid = self.bed.syspid(name).filter(|pid| Some(pid) != old.get(name) && is_alive(*pid));
            pid.inspect(|pid| assert_eq!(new.insert(name.to_owned(), *pid), None)).is_some()
        });
        new
    }
}

fn kill_all<'a>(pids: impl Iterator<Item = &'a i32>) {
    for pid in pids {
        process::try_kill(*pid, Signal::SIGKILL);
    }
}

/// The system calls that the runsyssv number `start` makes in such a life, each with its number. Of the many that
/// look at one process after the other, a few will do.
pub fn calls_of(mut rig: Rigged, start: usize) -> Vec<(String, usize)> {
    let names = ["counted".to_owned()];
    rig.rule(&names[0], start, "-e trace=all");
    rig.start();
    Life::new(&rig, &names, PARENT).lead();
    assert!(rig.is_taken(&names[0]));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut calls = Vec::new();
    // the descriptor of a file in the list of processes, while it is open; and how many calls were on such
    let (mut listed, mut looks): (Option<&str>, usize) = (None, 0);
    let trace = rig.trace(&names[0]);
    for line in trace.lines() {
        let Some((call, rest)) = line.split_once('(').filter(|(call, _)| !call.contains(' ')) else { continue };
        let number = counts.entry(call).or_default();
        *number += 1;
        let of_list = line.contains("\"/proc/") || listed.is_some_and(|fd| rest.starts_with(fd));
        if line.contains("\"/proc/") {
            listed = rest.rsplit("= ").next().filter(|fd| !fd.starts_with('-'));
        } else if call == "close" && of_list {
            listed = None;
        }
        looks += usize::from(of_list);
        if !of_list || looks % 100 == 1 {
            calls.push((call.to_owned(), *number));
        }
    }
    calls
}

/// Some of them, or in a thorough test all: spread over the whole, and others for each `turn` of eight.
pub fn some_of<T>(all: Vec<T>, turn: usize) -> Vec<T> {
    const SOME: usize = 5;
    let step = if is_thorough() { 1 } else { all.len().div_ceil(SOME).max(1) };
    all.into_iter().skip(if step == 1 { 0 } else { step * turn / 8 }).step_by(step).collect()
}
