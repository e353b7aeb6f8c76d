//! What there is: the services, sysmgr, and the processes of all of them.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Child;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::process::{self, Facts};
use crate::common::{POSIX_ONLY, Signal, TestBed, is_alive};
use crate::trace::Trace;

/// Which of several things that must not come together may happen: only wiping the run directory while both sysmgr and a
/// runsyssv are dead may have a running service forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// All may die, and nothing is wiped that they need to find each other again.
    Deaths,
    /// All may be wiped, and sysmgr lives.
    WipesWithoutSupervisors,
    /// All may be wiped, and each runsyssv lives.
    WipesWithoutManager,
}

/// What a service was last told with success, by the only thread that tells it anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Up,
    Down,
}

/// One service.
pub struct Service {
    pub name: &'static str,
    pub script: String,
    /// What it has to come to, and a number that changes whenever that is not known any more.
    wish: Mutex<(u64, Option<Wish>)>,
    /// How often in a row its runsyssv was killed while it was young.
    pub quickly: Mutex<u32>,
}

impl Service {
    /// From now on anything may become of it; gives the number for `wished`.
    pub fn unwish(&self) -> u64 {
        let mut wish = self.wish.lock().expect("no thread has failed");
        *wish = (wish.0 + 1, None);
        wish.0
    }

    /// It was told so, unless something else has come between.
    pub fn wished(&self, number: u64, what: Wish) {
        let mut wish = self.wish.lock().expect("no thread has failed");
        if wish.0 == number {
            wish.1 = Some(what);
        }
    }

    pub fn wish(&self) -> Option<Wish> {
        self.wish.lock().expect("no thread has failed").1
    }
}

/// What a process of the bed is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    Manager,
    Supervisor(String),
    OfService(String),
    Tool,
    /// One that has ended, or is just becoming something.
    Other,
}

pub struct World {
    pub bed: TestBed,
    pub services: Vec<Service>,
    pub trace: Trace,
    /// Those that were started as sysmgr and have not been seen to end; at most one of them is.
    pub managers: Mutex<Vec<Child>>,
    /// Why the test has failed.
    pub failure: Mutex<Option<String>>,
    failed: AtomicBool,
}

/// A service says when it runs twice, or while something of its last run is left. The lock is on a file that it
/// keeps open, and whatever it leaves behind.
const HEAD: &str = "exec 9>>\"$BED/held.$SYSMGR_SERVICE\"
flock -n 9 || echo \"$SYSMGR_SERVICE $$\" >> \"$BED/twice\"
";

impl World {
    pub fn new() -> Self {
        let bed = TestBed::new().with_delays(10, 50).with("STOP_TIMEOUT_MS", "300").with("SETTLE_MS", "20");
        let depends = bed.executable("sysmgr-depends");
        let needs = format!("'{}' -t 30 plain || exit 1\nexec sleep 1000", depends.display());
        let mut scripts = vec![
            ("plain", "exec sleep 1000"),
            ("other", "exec sleep 1000"),
            ("deaf", "(trap '' TERM; exec sleep 1000) &\nexec sleep 1000"),
            ("crash", "sleep 0.$(($$ % 9))\nexit 3"),
            ("needs", &needs),
            ("comes", "exec sleep 1000"),
        ];
        if !POSIX_ONLY {
            // where what is left can only be told by its group
            scripts.push(("apart", "exec setsid sleep 1000"));
        }
        let service = |(name, script): (&'static str, &str)| Service {
            name,
            script: format!("{HEAD}{script}"),
            wish: Mutex::default(),
            quickly: Mutex::default(),
        };
        let services: Vec<Service> = scripts.into_iter().map(service).collect();
        for service in &services {
            bed.service(service.name, &service.script);
        }
        Self {
            bed,
            services,
            trace: Trace::new(),
            managers: Mutex::default(),
            failure: Mutex::default(),
            failed: AtomicBool::new(false),
        }
    }

    pub fn service(&self, name: &str) -> &Service {
        self.services.iter().find(|service| service.name == name).expect("it is one of ours")
    }

    pub fn names(&self) -> Vec<&'static str> {
        self.services.iter().map(|service| service.name).collect()
    }

    /// The test has failed: all threads end.
    pub fn fail(&self, why: String) {
        let mut failure = self.failure.lock().expect("no thread has failed");
        failure.get_or_insert(why);
        self.failed.store(true, Ordering::Relaxed);
    }

    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Relaxed)
    }

    /// All processes of the bed, dead ones too if they are children of such.
    pub fn processes(&self) -> BTreeMap<i32, (Kind, Facts)> {
        let all = process::all();
        let mut found = BTreeMap::new();
        for (pid, facts) in &all {
            if let Some(kind) = self.kind_of(*pid) {
                found.insert(*pid, (kind, *facts));
            }
        }
        for (pid, facts) in all {
            if facts.zombie && found.contains_key(&facts.parent) {
                found.insert(pid, (Kind::Other, facts));
            }
        }
        found
    }

    /// What a process is, if it is of the bed.
    pub fn kind_of(&self, pid: i32) -> Option<Kind> {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let variable =
            |key: &str| environment.split(|byte| *byte == 0).find_map(|string| string.strip_prefix(key.as_bytes()));
        if variable("BED=") != Some(self.bed.dir.as_os_str().as_bytes()) {
            return None;
        }
        if let Some(name) = variable("SYSMGR_SERVICE=") {
            return Some(Kind::OfService(String::from_utf8_lossy(name).into_owned()));
        }
        let line = process::command_line(pid);
        let mut words = line.split(' ');
        Some(match words.next().unwrap_or_default().rsplit('/').next().unwrap_or_default() {
            "sysmgr" => Kind::Manager,
            "runsyssv" => Kind::Supervisor(words.next_back().unwrap_or_default().to_owned()),
            "svctl" => Kind::Tool,
            _ => Kind::Other,
        })
    }

    /// Those that are runsyssv of `name`.
    pub fn supervisors(&self, name: &str) -> Vec<i32> {
        self.living(&Kind::Supervisor(name.to_owned()))
    }

    pub fn of_service(&self, name: &str) -> Vec<i32> {
        self.living(&Kind::OfService(name.to_owned()))
    }

    fn living(&self, kind: &Kind) -> Vec<i32> {
        let of_kind = |(pid, (other, facts)): (i32, (Kind, Facts))| (other == *kind && !facts.zombie).then_some(pid);
        self.processes().into_iter().filter_map(of_kind).collect()
    }

    /// The living sysmgr, if it handles signals already.
    pub fn manager_at_work(&self) -> Option<i32> {
        self.manager().filter(|pid| self.bed.sysmgr_pid() == Some(*pid))
    }

    /// The living sysmgr.
    pub fn manager(&self) -> Option<i32> {
        let managers = self.managers.lock().expect("no thread has failed");
        managers.iter().map(process::of_child).find(|pid| is_alive(*pid))
    }

    /// Starts a sysmgr; two at once are one too many, which ends by itself.
    pub fn start_manager(&self, count: usize) {
        self.trace.note("*", format!("start {count} sysmgr"));
        let mut managers = self.managers.lock().expect("no thread has failed");
        for _ in 0..count {
            managers.push(self.bed.program("sysmgr").spawn().expect("sysmgr can be started"));
        }
    }

    /// Notices the end of sysmgr, which must not be its own idea; whether there is one left.
    pub fn look_at_managers(&self) -> bool {
        let mut managers = self.managers.lock().expect("no thread has failed");
        managers.retain_mut(|child| {
            let ended = child.try_wait().expect("it is our child");
            if let Some(status) = ended {
                use std::os::unix::process::ExitStatusExt;
                self.trace.note("*", format!("sysmgr {} has ended: {status}", child.id()));
                if status.signal() != Some(Signal::SIGKILL as i32) && !matches!(status.code(), Some(0 | 1)) {
                    self.fail(format!("sysmgr has ended: {status}"));
                }
            }
            ended.is_none()
        });
        !managers.is_empty()
    }

    /// Kills a process of the bed, if it is still what it was.
    pub fn kill(&self, pid: i32, kind: &Kind) {
        self.signal(pid, kind, Signal::SIGKILL);
    }

    /// Sends a signal to a process of the bed, if it is still what it was.
    pub fn signal(&self, pid: i32, kind: &Kind, signal: Signal) {
        if self.kind_of(pid).as_ref() != Some(kind) {
            return;
        }
        let (whom, what) = match kind {
            Kind::Supervisor(name) => (name.as_str(), "runsyssv"),
            Kind::OfService(name) => (name.as_str(), "its process"),
            Kind::Manager => ("*", "sysmgr"),
            Kind::Tool => ("*", "svctl"),
            Kind::Other => ("*", "other"),
        };
        process::try_kill(pid, signal);
        self.trace.note(whom, format!("{signal} to {what} {pid}"));
        if signal == Signal::SIGKILL {
            self.trace.killed();
        }
    }

    /// The services that ran twice.
    pub fn twice(&self) -> String {
        fs::read_to_string(self.bed.dir.join("twice")).unwrap_or_default()
    }
}
