//! The work, and how long it takes.

use std::collections::BTreeSet;
use std::error::Error;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::libc;

use crate::process::{self, Handle, now};
use crate::programs::Programs;
use crate::systems::{Bed, System, quiet, service_name};
use crate::table::Results;

/// How long is waited for anything before it counts as failed. runsvdir takes a while for 1000 services.
const LIMIT: Duration = Duration::from_secs(120);

/// How old services are before they are killed or stopped, so that no supervisor takes it for a failure to start: runit, s6 and
/// daemontools have a second for that.
const STABLE: Duration = Duration::from_millis(2500);

/// What is measured for how long.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// The idling.
    pub idle: Duration,
    /// The crash loop.
    pub crash_loop: Duration,
}

/// What is measured, in the order of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    Boot,
    Restart,
    New,
    StatusOne,
    StatusAll,
    Stopped,
    StopDone,
    Shutdown,
    IdleCpu,
    IdleSwitches,
    Processes,
    PrivateOne,
    PrivateAll,
    Proportional,
    Tables,
    LoopStarts,
    LoopCpu,
}

impl Work {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Boot,
        Self::Restart,
        Self::New,
        Self::StatusOne,
        Self::StatusAll,
        Self::Stopped,
        Self::StopDone,
        Self::Shutdown,
        Self::IdleCpu,
        Self::IdleSwitches,
        Self::Processes,
        Self::PrivateOne,
        Self::PrivateAll,
        Self::Proportional,
        Self::Tables,
        Self::LoopStarts,
        Self::LoopCpu,
    ];

    /// What it is called in the table.
    pub fn words(self) -> &'static str {
        match self {
            Self::Boot => "boot until the last service runs, ms",
            Self::Restart => "crash to restarted, ms",
            Self::New => "new service to running, ms",
            Self::StatusOne => "status of one, ms",
            Self::StatusAll => "status of all, ms",
            Self::Stopped => "stop of one until it is gone, ms",
            Self::StopDone => "stop of one until the command ends, ms",
            Self::Shutdown => "shutdown until nothing is left, ms",
            Self::IdleCpu => "idle: CPU in a minute, ms",
            Self::IdleSwitches => "idle: context switches in a minute",
            Self::Processes => "processes besides the services",
            Self::PrivateOne => "private memory of a service's supervisor, KiB",
            Self::PrivateAll => "private memory of all, KiB",
            Self::Proportional => "proportional memory of all, KiB",
            Self::Tables => "page tables of all, KiB",
            Self::LoopStarts => "starts",
            Self::LoopCpu => "CPU time of all, services included, ms",
        }
    }
}

/// A system that runs, and the records of its services.
struct Running<'a> {
    system: &'a System,
    bed: Bed<'a>,
    supervisor: Child,
    pipe: File,
    services: BTreeSet<i32>,
}

/// A start of a service, as it has recorded it.
#[derive(Debug, Clone, Copy)]
struct Start {
    at: u64,
    pid: i32,
}

/// Boots `system` with `n` services, has it do everything, and ends it. With `idle`, its idling is measured too.
pub fn session(
    plan: &Plan,
    system: &System,
    programs: &Programs,
    n: usize,
    idle: bool,
    results: &mut Results,
) -> Result<(), Box<dyn Error>> {
    let done = all_of_it(plan, system, programs, n, idle, results);
    if done.is_err() {
        process::end_all();
    }
    done
}

fn all_of_it(
    plan: &Plan,
    system: &System,
    programs: &Programs,
    n: usize,
    idle: bool,
    results: &mut Results,
) -> Result<(), Box<dyn Error>> {
    let (mut running, began) = Running::boot(system, programs, &programs.payload, n)?;
    let starts = running.starts(n)?;
    let last = starts.iter().map(|start| start.at).max().unwrap_or(began);
    results.add(Work::Boot, system, ms(last - began));
    sleep(STABLE);
    if idle && !plan.idle.is_zero() {
        running.idle(plan.idle, results);
    }
    running.weigh(results);
    // spread over all of them, and each only once
    let place = |number: usize| starts[number * n / 8].pid;
    for number in 0..5 {
        running.restart(place(number), results)?;
    }
    for number in 0..3 {
        running.status(&[service_name(number * n / 3)], Work::StatusOne, results)?;
    }
    let names: Vec<String> = (0..n).map(service_name).collect();
    running.status(&names, Work::StatusAll, results)?;
    if system.has_control() {
        for number in 5..8 {
            running.stop(place(number), results)?;
        }
    }
    if n < system.most() {
        for number in 0..system.additions() {
            running.add(&service_name(n + number), results)?;
        }
    }
    // runsv and supervise wait for a second before they let a service go that is younger than that
    sleep(STABLE);
    let began = now();
    running.end()?;
    results.add(Work::Shutdown, system, ms(now() - began));
    Ok(())
}

/// Twenty services that end as soon as they are started, for a while.
pub fn crash_loop(
    plan: &Plan,
    system: &System,
    programs: &Programs,
    results: &mut Results,
) -> Result<(), Box<dyn Error>> {
    let before = process::cpu_of_children();
    let (mut running, _) = Running::boot(system, programs, &programs.crash, 20)?;
    let end = Instant::now() + plan.crash_loop;
    let mut starts = 0;
    while Instant::now() < end {
        sleep(Duration::from_millis(20));
        starts += running.new_starts()?.len();
    }
    if let Err(error) = running.end() {
        process::end_all();
        return Err(error.into());
    }
    let spent = process::cpu_of_children().saturating_sub(before);
    #[allow(clippy::cast_precision_loss)]
    results.add(Work::LoopStarts, system, starts as f64);
    results.add(Work::LoopCpu, system, spent.as_secs_f64() * 1e3);
    Ok(())
}

impl<'a> Running<'a> {
    /// Boots it; and when that began.
    fn boot(system: &'a System, programs: &'a Programs, program: &'a Path, n: usize) -> io::Result<(Self, u64)> {
        let bed = system.make_bed(programs, program, n)?;
        let (pipe, inner) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let pipe = File::from(pipe);
        process::enlarge(&pipe);
        let mut command = system.boot(&bed);
        command.stdin(Stdio::null()).stdout(inner).stderr(Stdio::null());
        // what else cargo has there would count as memory of each process
        let own: Vec<_> =
            command.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))).collect();
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).envs(own);
        let began = now();
        let supervisor = command.spawn()?;
        Ok((Self { system, bed, supervisor, pipe, services: BTreeSet::new() }, began))
    }

    fn supervisor(&self) -> i32 {
        i32::try_from(self.supervisor.id()).unwrap_or(0)
    }

    /// The starts that have been recorded since the last call.
    fn new_starts(&mut self) -> io::Result<Vec<Start>> {
        let mut starts = Vec::new();
        while process::await_readable(&self.pipe, Duration::ZERO).is_ok() {
            let mut record = [0; 16];
            self.pipe.read_exact(&mut record)?;
            let (at, rest) = record.split_at(8);
            let at = u64::from_ne_bytes(at.try_into().unwrap_or_default());
            let pid = i32::from_ne_bytes(rest[..4].try_into().unwrap_or_default());
            self.services.insert(pid);
            starts.push(Start { at, pid });
        }
        Ok(starts)
    }

    /// Waits for `n` starts. Looks now and then: to be woken for each would take time from those that are measured.
    fn starts(&mut self, n: usize) -> io::Result<Vec<Start>> {
        let end = Instant::now() + LIMIT;
        let mut starts = Vec::new();
        while starts.len() < n {
            if Instant::now() > end {
                return Err(io::Error::other(format!("{} of {n} services were started", starts.len())));
            }
            sleep(Duration::from_millis(2));
            starts.extend(self.new_starts()?);
        }
        Ok(starts)
    }

    /// Comes to rest: what the last work has left to do is done, and its records are read. (The floor restarts what was
    /// stopped.)
    fn rest(&mut self) -> io::Result<()> {
        sleep(Duration::from_millis(50));
        self.new_starts().map(drop)
    }

    fn restart(&mut self, pid: i32, results: &mut Results) -> io::Result<()> {
        self.rest()?;
        let began = now();
        process::send(pid, libc::SIGKILL);
        let start = self.starts(1)?[0];
        results.add(Work::Restart, self.system, ms(start.at - began));
        Ok(())
    }

    fn add(&mut self, name: &str, results: &mut Results) -> io::Result<()> {
        let (from, to) = self.bed.make_aside(self.system, name)?;
        self.rest()?;
        let began = now();
        fs::rename(from, to)?;
        if let Some(mut command) = self.system.rescan(&self.bed, self.supervisor()) {
            quiet(&mut command).status()?;
        }
        let start = self.starts(1)?[0];
        results.add(Work::New, self.system, ms(start.at - began));
        Ok(())
    }

    fn status(&mut self, names: &[String], work: Work, results: &mut Results) -> Result<(), Box<dyn Error>> {
        let mut commands = self.system.status(&self.bed, names);
        if commands.is_empty() {
            return Ok(());
        }
        self.rest()?;
        let began = now();
        for command in &mut commands {
            let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
            if !status.success() {
                return Err(format!("{command:?}: {status}").into());
            }
        }
        results.add(work, self.system, ms(now() - began));
        Ok(())
    }

    fn stop(&mut self, pid: i32, results: &mut Results) -> io::Result<()> {
        self.rest()?;
        let process = Handle::of(pid)?;
        let began = now();
        let command = self.system.stop(&self.bed, pid)?;
        let command = command.map(|mut command| quiet(&mut command).spawn()).transpose()?;
        process.await_end(LIMIT)?;
        let gone = now();
        results.add(Work::Stopped, self.system, ms(gone - began));
        if let Some(mut command) = command {
            command.wait()?;
            results.add(Work::StopDone, self.system, ms(now() - began));
        }
        Ok(())
    }

    /// The processes besides the services; the supervisor of all is the first.
    fn supervisors(&self) -> Vec<i32> {
        let mut found = process::descendants();
        found.retain(|process| !self.services.contains(&process.pid));
        found.sort_by_key(|process| !process.is_child);
        found.into_iter().map(|process| process.pid).collect()
    }

    #[allow(clippy::cast_precision_loss)]
    fn idle(&self, time: Duration, results: &mut Results) {
        let before = self.supervisors();
        let costs = || before.iter().map(|pid| process::cost(*pid)).collect::<Vec<_>>();
        let first = costs();
        sleep(time);
        let then = costs();
        let minutes = time.as_secs_f64() / 60.0;
        let sum = |of: fn(&process::Cost) -> u64| {
            let spent = first.iter().zip(&then).map(|(first, then)| of(then).saturating_sub(of(first))).sum::<u64>();
            spent as f64 / minutes
        };
        results.add(Work::IdleCpu, self.system, sum(|cost| cost.cpu) / 1e6);
        results.add(Work::IdleSwitches, self.system, sum(|cost| cost.switches));
    }

    #[allow(clippy::cast_precision_loss)]
    fn weigh(&self, results: &mut Results) {
        let supervisors = self.supervisors();
        let memory: Vec<process::Memory> = supervisors.iter().map(|pid| process::memory(*pid)).collect();
        let mut add = |work, value: u64| results.add(work, self.system, value as f64);
        add(Work::Processes, memory.len() as u64);
        add(Work::PrivateAll, memory.iter().map(|memory| memory.private).sum());
        add(Work::Proportional, memory.iter().map(|memory| memory.proportional).sum());
        add(Work::Tables, memory.iter().map(|memory| memory.tables).sum());
        if let Some(each @ [_, ..]) = memory.get(1..) {
            let sum: u64 = each.iter().map(|memory| memory.private).sum();
            results.add(Work::PrivateOne, self.system, sum as f64 / each.len() as f64);
        }
    }

    /// Ends it, and waits until nothing of it is left.
    fn end(&mut self) -> io::Result<()> {
        self.system.shut_down(&self.bed, self.supervisor())?;
        process::await_no_child(LIMIT)
    }
}

#[allow(clippy::cast_precision_loss)]
fn ms(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e6
}
