//! Processes: what they cost, when they end, and that none is left.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Nanoseconds on the clock that the services use.
pub fn now() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// What loses its parent becomes a child of ours: so we see all of it end.
pub fn adopt_orphans() -> io::Result<()> {
    Ok(nix::sys::prctl::set_child_subreaper(true)?)
}

/// Waits until this process has no child any more, living or not.
pub fn await_no_child(limit: Duration) -> io::Result<()> {
    let end = Instant::now() + limit;
    loop {
        match nix::sys::wait::waitpid(None, Some(nix::sys::wait::WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => return Ok(()),
            Err(errno) => return Err(errno.into()),
            Ok(nix::sys::wait::WaitStatus::StillAlive) => std::thread::sleep(Duration::from_micros(200)),
            Ok(_) => {}
        }
        if Instant::now() > end {
            let left = descendants();
            for process in &left {
                send(process.pid, libc::SIGKILL);
            }
            return Err(io::Error::other(format!("{} processes did not end", left.len())));
        }
    }
}

/// Ends all that is below this process, after something went wrong.
pub fn end_all() {
    let end = Instant::now() + Duration::from_secs(10);
    while await_no_child(Duration::ZERO).is_err() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A process below this one.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its process id.
    pub pid: i32,
    /// Whether it is a child of this one.
    pub is_child: bool,
}

/// All living processes below this one.
pub fn descendants() -> Vec<Process> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for pid in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = pid.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { continue };
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        if let [state, parent, ..] = fields[..] {
            if let (true, Ok(parent)) = (state != "Z", parent.parse()) {
                children.entry(parent).or_default().push(pid);
            }
        }
    }
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let mut found = Vec::new();
    let mut parents = vec![own];
    while let Some(parent) = parents.pop() {
        for pid in children.remove(&parent).unwrap_or_default() {
            found.push(Process { pid, is_child: parent == own });
            parents.push(pid);
        }
    }
    found
}

/// Sends a signal to a process that this one is waiting for.
pub fn send(pid: i32, signal: i32) {
    // SAFETY: kill(2) takes two numbers; those of processes are read from records and /proc, and above 1.
    unsafe { libc::kill(pid, signal) };
}

/// A hold on a process, whose end can be awaited.
pub struct Handle(OwnedFd);

impl Handle {
    /// Of the process `pid`.
    pub fn of(pid: i32) -> io::Result<Self> {
        // SAFETY: pidfd_open(2) takes two numbers and gives a new descriptor, which nobody else owns.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
        let fd = i32::try_from(Errno::result(fd)?).unwrap_or(-1);
        // SAFETY: as above.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Waits for its end.
    pub fn await_end(&self, limit: Duration) -> io::Result<()> {
        await_readable(&self.0, limit)
    }
}

/// Waits until something can be read from `fd`.
pub fn await_readable(fd: &impl AsFd, limit: Duration) -> io::Result<()> {
    let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(fd.as_fd(), PollFlags::POLLIN)], limit)? {
        0 => Err(io::Error::from(io::ErrorKind::TimedOut)),
        _ => Ok(()),
    }
}

/// Gives a pipe space for the records of many services.
pub fn enlarge(pipe: &impl AsRawFd) {
    // SAFETY: fcntl(2) with this command takes numbers.
    unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, 1 << 20) };
}

/// The CPU time of all children that have ended, with what theirs took.
pub fn cpu_of_children() -> Duration {
    // SAFETY: a rusage is plain numbers, for which zero is a value; the call fills it in.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let time = |t: libc::timeval| {
        Duration::from_secs(t.tv_sec.try_into().unwrap_or(0)) + Duration::from_micros(t.tv_usec.try_into().unwrap_or(0))
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// What a process has cost so far.
#[derive(Debug, Default, Clone, Copy)]
pub struct Cost {
    /// CPU time in nanoseconds.
    pub cpu: u64,
    /// Context switches.
    pub switches: u64,
}

/// What the process `pid` has cost so far.
pub fn cost(pid: i32) -> Cost {
    let scheduled = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap_or_default();
    let cpu = scheduled.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let switches = ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"];
    Cost { cpu, switches: switches.iter().map(|key| value(&status, key)).sum() }
}

/// The memory of a process, in KiB.
#[derive(Debug, Default, Clone, Copy)]
pub struct Memory {
    /// What it has for itself alone.
    pub private: u64,
    /// The same, and its share of what it shares.
    pub proportional: u64,
    /// Its page tables.
    pub tables: u64,
}

/// The memory of the process `pid`.
pub fn memory(pid: i32) -> Memory {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    Memory {
        private: value(&rollup, "Private_Clean:") + value(&rollup, "Private_Dirty:"),
        proportional: value(&rollup, "Pss:"),
        tables: value(&status, "VmPTE:"),
    }
}

fn value(text: &str, key: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}
