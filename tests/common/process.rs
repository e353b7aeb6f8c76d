//! Processes, as /proc shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Child, ExitStatus};

pub use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::wait;

/// The process id of a child.
pub fn of_child(child: &Child) -> i32 {
    i32::try_from(child.id()).expect("a process id is an i32")
}

/// Waits for the end of a child, under the deadline.
#[track_caller]
pub fn wait(child: &mut Child) -> ExitStatus {
    wait::value_of("a child has ended", || child.try_wait().expect("it is our child"))
}

/// What the system tells of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Whether it has ended and only waits to be reaped.
    pub zombie: bool,
    /// Its parent.
    pub parent: i32,
    /// Its process group.
    pub group: i32,
    /// Its session.
    pub session: i32,
}

/// What the system tells of a process. Not by the code that is tested, which may be built without
/// all that only some systems have.
pub fn facts(pid: i32) -> Option<Facts> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    // the name before it may have anything in it
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?;
    let mut number = || fields.next()?.parse().ok();
    Some(Facts { zombie: matches!(state, "Z" | "X"), parent: number()?, group: number()?, session: number()? })
}

/// Whether a process lives; a zombie does not.
pub fn is_alive(pid: i32) -> bool {
    facts(pid).is_some_and(|facts| !facts.zombie)
}

/// Sends a signal to a process that must be there.
#[track_caller]
pub fn kill(pid: i32, signal: Signal) {
    assert!(pid > 1, "{pid} is no process to be signalled");
    nix::sys::signal::kill(Pid::from_raw(pid), signal).expect("it can be signalled");
}

/// Sends a signal to a process that may be gone already.
pub fn try_kill(pid: i32, signal: Signal) {
    if pid > 1 {
        let _ = nix::sys::signal::kill(Pid::from_raw(pid), signal);
    }
}

/// The arguments of a process, with blanks between them.
pub fn command_line(pid: i32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ").trim_end().to_owned()
}

/// The name of the program that a process executes.
pub fn command_name(pid: i32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// A line of `/proc/PID/status`.
pub fn status_line(pid: i32, key: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with(&format!("{key}:")))?;
    Some(line[key.len() + 1..].trim().to_owned())
}

/// How often a process has been given the processor.
pub fn switches(pid: i32) -> u64 {
    let of = |key| status_line(pid, key).and_then(|text| text.parse::<u64>().ok());
    of("voluntary_ctxt_switches").unwrap_or(0) + of("nonvoluntary_ctxt_switches").unwrap_or(0)
}

/// All processes, with what the system tells of them.
pub fn all() -> BTreeMap<i32, Facts> {
    fs::read_dir("/proc")
        .expect("there is a /proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, facts(pid)?)))
        .collect()
}

/// The children of a process, zombies too.
pub fn children(pid: i32) -> Vec<i32> {
    let of = |(child, facts): (i32, Facts)| (facts.parent == pid).then_some(child);
    all().into_iter().filter_map(of).collect()
}

/// The zombies that a process has not reaped.
pub fn zombies(pid: i32) -> Vec<i32> {
    let of = |(child, facts): (i32, Facts)| (facts.parent == pid && facts.zombie).then_some(child);
    all().into_iter().filter_map(of).collect()
}

/// The living processes that belong to the bed in `dir`: it stands in their environment or their
/// arguments; or they are in the session, or descend from one of those. (Some daemons write over
/// their arguments and environment.)
pub fn of_bed(dir: &Path) -> Vec<i32> {
    let all = all();
    let own = nix::unistd::getpid().as_raw();
    let own_session = all.get(&own).map_or(0, |facts| facts.session);
    let mut found: BTreeSet<i32> = all.keys().copied().filter(|pid| names(*pid, dir)).collect();
    loop {
        let sessions: BTreeSet<i32> = found.iter().map(|pid| all[pid].session).collect();
        let more: Vec<i32> = all
            .iter()
            .filter(|(pid, facts)| {
                let in_session = facts.session != own_session && sessions.contains(&facts.session);
                !found.contains(pid) && (in_session || found.contains(&facts.parent))
            })
            .map(|(pid, _)| *pid)
            .collect();
        if more.is_empty() {
            break;
        }
        found.extend(more);
    }
    found.remove(&own);
    found.into_iter().filter(|pid| !all[pid].zombie).collect()
}

fn names(pid: i32, dir: &Path) -> bool {
    let has = |file: &str| {
        let content = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let dir = dir.as_os_str().as_bytes();
        content.windows(dir.len()).enumerate().any(|(at, part)| {
            // not the bed whose number only begins like this one's
            part == dir && !content.get(at + dir.len()).is_some_and(u8::is_ascii_digit)
        })
    };
    has("environ") || has("cmdline")
}
