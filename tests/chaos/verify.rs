//! What must be so when nothing is disturbed any more.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread::sleep;
use std::time::{Duration, Instant};

use sysmgr::service::order::Order;
use sysmgr::service::record::Record;
use sysmgr::service::status::Phase;

use crate::common::process::Facts;
use crate::common::said::Said;
use crate::common::{Signal, is_alive, millis};
use crate::world::{Kind, Service, Wish, World};

/// Longer than all back-offs that a round can bring about, on a loaded machine.
const LIMIT: Duration = Duration::from_secs(40);

/// How many descriptors were open when all was new.
#[derive(Debug, Clone, Copy)]
pub struct Descriptors {
    manager: usize,
    supervisor: usize,
}

/// What there is at one moment.
struct Sight<'a> {
    world: &'a World,
    processes: BTreeMap<i32, (Kind, Facts)>,
    wrong: Vec<String>,
}

/// Waits until all is as it should be; it has failed with what is not.
pub fn settle(world: &World, bounds: Option<Descriptors>) {
    let begin = Instant::now();
    let mut good = 0;
    while !world.has_failed() {
        for (pid, (kind, _)) in world.processes() {
            if is_suspended(pid) {
                world.signal(pid, &kind, Signal::SIGCONT);
            }
        }
        if !world.look_at_managers() {
            world.start_manager(1);
        }
        let mut sight = Sight { world, processes: world.processes(), wrong: Vec::new() };
        sight.look(bounds);
        good = if sight.wrong.is_empty() { good + 1 } else { 0 };
        // it has to stay so
        if good == 3 {
            break;
        }
        if begin.elapsed() > LIMIT {
            world.fail(format!("not so after all was quiet:\n{}", sight.wrong.join("\n")));
        }
        sleep(millis(30));
    }
    let twice = world.twice();
    if !twice.is_empty() {
        world.fail(format!("ran twice: {twice}"));
    }
    if let Some(line) = world.bed.messages().iter().find(|line| line.contains("panicked")) {
        world.fail(line.clone());
    }
}

/// Each does what it is told: some are stopped, and all are started again.
pub fn drive(world: &World, stopped: &[&'static str]) {
    for (operation, names) in [("stop", stopped), ("start", &world.names())] {
        if names.is_empty() || world.has_failed() {
            continue;
        }
        let mut numbers = Vec::new();
        for name in names {
            world.trace.note(name, format!("svctl {operation}, in the quiet"));
            numbers.push(world.service(name).unwish());
        }
        let said = Said::by(world.bed.program("svctl").args(["-w", "30", operation]).args(names));
        let crashed = operation == "start" && said.err.lines().all(|line| line.contains("crash: it was started, and"));
        if said.code != 0 && !crashed {
            world.fail(format!("svctl {operation} {names:?}: {said:?}"));
        }
        let wish = if operation == "stop" { Wish::Down } else { Wish::Up };
        for (name, number) in names.iter().zip(numbers) {
            world.service(name).wished(number, wish);
        }
        if operation == "stop" {
            settle(world, None);
        }
    }
}

/// What is open now, when all is new.
pub fn descriptors(world: &World) -> Descriptors {
    let mut most = Descriptors { manager: 0, supervisor: 0 };
    for (pid, (kind, _)) in world.processes() {
        match kind {
            Kind::Manager => most.manager = most.manager.max(open(pid)),
            Kind::Supervisor(_) => most.supervisor = most.supervisor.max(open(pid)),
            Kind::OfService(_) | Kind::Tool | Kind::Other => {}
        }
    }
    // one to await each supervisor that is no child, and one to await a main process that is none
    Descriptors { manager: most.manager + world.services.len(), supervisor: most.supervisor + 1 }
}

fn open(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

fn is_suspended(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

impl Sight<'_> {
    fn wrong(&mut self, what: impl Into<String>) {
        self.wrong.push(what.into());
    }

    fn look(&mut self, bounds: Option<Descriptors>) {
        let managers = self.of(&Kind::Manager);
        if managers.len() != 1 || Some(managers[0]) != self.world.bed.sysmgr_pid() {
            self.wrong(format!("sysmgr: {managers:?}, in its file {:?}", self.world.bed.sysmgr_pid()));
        }
        for service in &self.world.services {
            self.look_at(service);
        }
        let mut accounted = managers;
        for service in &self.world.services {
            accounted.extend(self.of(&Kind::Supervisor(service.name.to_owned())));
            accounted.extend(self.below(self.world.bed.pid(service.name)));
        }
        // that one comes and goes while we look
        let crashes = Kind::OfService("crash".to_owned());
        let strays = self.processes.iter().filter(|(pid, (kind, _))| !accounted.contains(pid) && *kind != crashes);
        let strays: Vec<_> = strays.collect();
        let strays: Vec<String> = strays.iter().map(|(pid, what)| format!("stray: {pid} {what:?}")).collect();
        self.wrong.extend(strays);
        if let Some(bounds) = bounds {
            for (pid, kind) in self.processes.iter().map(|(pid, (kind, _))| (*pid, kind.clone())).collect::<Vec<_>>() {
                let most = match kind {
                    Kind::Manager => bounds.manager,
                    Kind::Supervisor(_) => bounds.supervisor,
                    Kind::OfService(_) | Kind::Tool | Kind::Other => continue,
                };
                if open(pid) > most {
                    self.wrong(format!("{pid} {kind:?} has {} descriptors, at most {most} are right", open(pid)));
                }
            }
        }
    }

    fn of(&self, kind: &Kind) -> Vec<i32> {
        self.processes
            .iter()
            .filter(|(_, (other, facts))| other == kind && !facts.zombie)
            .map(|(pid, _)| *pid)
            .collect()
    }

    /// A process and what descends from it.
    fn below(&self, pid: Option<i32>) -> Vec<i32> {
        let mut found: Vec<i32> = pid.into_iter().collect();
        let mut at = 0;
        while at < found.len() {
            let parent = found[at];
            found.extend(self.processes.iter().filter(|(_, (_, facts))| facts.parent == parent).map(|(pid, _)| *pid));
            at += 1;
        }
        found
    }

    fn look_at(&mut self, service: &Service) {
        let (bed, name) = (&self.world.bed, service.name);
        let supervisors = self.of(&Kind::Supervisor(name.to_owned()));
        let main = bed.pid(name).filter(|pid| is_alive(*pid));
        let lock = fs::read(bed.path(name, "lock")).ok();
        let order = lock.as_deref().map(Order::parse);
        let phase = bed.phase(name);
        let what = format!(
            "{name}: runsyssv {supervisors:?}, process {main:?}, lock {order:?}, wish {:?}, {phase:?}",
            service.wish()
        );
        if (bed.syspid(name), supervisors.len()) != (supervisors.first().copied(), supervisors.len().min(1)) {
            self.wrong(format!("{what}: another syspid, or too many"));
        }
        // that one comes and goes while we look
        let crashes = name == "crash";
        if bed.pid(name) != main && !crashes {
            self.wrong(format!("{what}: another pid {:?}", bed.pid(name)));
        }
        let is_its_own = |(kind, _): &(Kind, Facts)| *kind == Kind::OfService(name.to_owned());
        if !crashes && main.is_some_and(|main| !self.processes.get(&main).is_some_and(is_its_own)) {
            self.wrong(format!("{what}: it has the process of another"));
        }
        // what was not started since the run directory was wiped has no status; and what is in a directory without owner
        // is not changed
        let told = matches!(phase, None | Some(Phase::Down)) || !bed.path(name, ".owner").exists();
        let is_down = supervisors.is_empty() && main.is_none() && told;
        let right = match order {
            None => supervisors.len() == 1 && (crashes || main.is_some() && phase == Some(Phase::Up)),
            Some(Order::Stop | Order::Kill) => is_down,
            Some(Order::Ran | Order::Hold) => match main {
                Some(_) => supervisors.len() == 1 && phase == Some(Phase::Up),
                None => is_down,
            },
            Some(Order::Once | Order::Restart | Order::Shutdown | Order::Gone) => false,
        };
        let as_wished = match service.wish() {
            None => true,
            Some(Wish::Up) => order.is_none(),
            Some(Wish::Down) => matches!(order, Some(Order::Stop | Order::Kill)),
        };
        if !right || !as_wished {
            self.wrong(format!("{what}: that is not right{}", if as_wished { "" } else { ", or not as was wished" }));
        }
        if let (Some(main), false) = (main, crashes) {
            let owner = bed.path(name, ".owner");
            let record = fs::read(&owner).ok().and_then(|content| Record::decode(&content));
            let mode = fs::metadata(&owner).map_or(0, |owner| owner.permissions().mode() & 0o777);
            if mode != 0o600 || record.and_then(|record| record.run).is_none_or(|run| run.process.pid.raw() != main) {
                self.wrong(format!("{what}: its record is {record:?}, of mode {mode:o}"));
            }
        }
    }
}
