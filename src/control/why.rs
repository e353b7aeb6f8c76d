//! Why a service is as it is: the chain of reasons, each below the one that it explains.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::condition::Condition;
use super::report::{Place, SOON, STALE, SUSPENDED, View};
use super::words::{length, short, times};
use crate::depends::graph::Graph;
use crate::depends::lines::Awaited;
use crate::service::ended::Ended;
use crate::service::name::Name;
use crate::service::order::Order;

/// Those whose state explains that of the service: what it waits for; of one that fails or runs,
/// what it has waited for.
#[must_use]
pub fn causes(view: &View, graph: &Graph) -> Vec<Name> {
    match view.condition() {
        Condition::Waiting => view.waits.iter().filter_map(Awaited::service).cloned().collect(),
        Condition::Backoff | Condition::Up => graph.needs(&view.name).cloned().collect(),
        _ => Vec::new(),
    }
}

/// Follows the reasons for how `name` is, through `views`, to their root.
#[must_use]
pub fn explain(name: &Name, views: &BTreeMap<Name, View>, graph: &Graph) -> String {
    let mut text = String::new();
    let mut told = BTreeSet::new();
    let mut open = vec![(0, name, "")];
    while let Some((depth, name, relation)) = open.pop() {
        let indent = "  ".repeat(depth);
        let Some(view) = views.get(name) else { continue };
        if !told.insert(name) {
            let _ = writeln!(text, "{indent}{name}: see above");
            continue;
        }
        let _ = writeln!(text, "{indent}{}", sentence(view, relation));
        for hint in hints(view) {
            let _ = writeln!(text, "{indent}  {hint}");
        }
        if let Some(circle) = graph.circle(name).filter(|_| depth == 0 && view.circle.is_empty()) {
            let circle: Vec<String> = circle.iter().map(ToString::to_string).collect();
            let _ = writeln!(text, "{indent}  these wait for each other: {} -> {name}", circle.join(" -> "));
        }
        let awaited = view.condition() == Condition::Waiting;
        for cause in causes(view, graph).into_iter().rev().filter(|cause| cause != name) {
            // of what is not waited for, only that counts which is not up
            if let Some((cause, other)) = views.get_key_value(&cause) {
                if awaited || !other.condition().is_up() {
                    open.push((depth + 1, cause, if awaited { "" } else { ", for which it has waited," }));
                }
            }
        }
    }
    text
}

/// How it is, and the reason for that.
fn sentence(view: &View, relation: &str) -> String {
    let name = &view.name;
    let word = if view.condition().is_up() { "up" } else { "down" };
    format!("{name}{relation} is {word}: {}", reason(view))
}

fn reason(view: &View) -> String {
    let time = view.length().map_or_else(String::new, length);
    let process = view.main.map_or_else(String::new, |main| format!("process {}", main.process.pid));
    let last = view.last_run().unwrap_or_else(|| "it has ended".to_owned());
    match view.condition() {
        Condition::Up => match view.restarts() {
            0 => format!("{process} has run for {time}"),
            n => format!("{process} has run for {time}; restarted {}; the last run: {}", times(n), end(view, last)),
        },
        Condition::Stopping => format!("told to stop {time} ago, but {process} has not ended yet"),
        Condition::Starting => format!("{process} is just being started"),
        Condition::Waiting => format!("it waits for {} ({process}, {time})", view.awaited(false)),
        Condition::Clearing => format!("{last}, and what it left behind is being ended"),
        Condition::Backoff => backoff(view, &last),
        Condition::Refused => format!("it can't be a service: {}", view.refusal()),
        Condition::Down => down(view, &last),
        Condition::Lost if view.managed || view.supervised => "its process has just ended".to_owned(),
        Condition::Lost => "its process is gone, and sysmgr is not running".to_owned(),
        Condition::New if view.place == Place::Missing => "there is no such service".to_owned(),
        Condition::New if view.managed => "sysmgr has not started it yet".to_owned(),
        Condition::New => "it was never started, and sysmgr is not running".to_owned(),
    }
}

/// Why there is another run than the last one.
fn end(view: &View, last: String) -> String {
    if view.status.as_ref().is_some_and(|status| status.by_order) {
        let after = view.run_length().map_or_else(String::new, |time| format!(" after {time}"));
        format!("ended by order{after} ('svctl restart', or stopped and started)")
    } else {
        last
    }
}

fn backoff(view: &View, last: &str) -> String {
    let failures = view.status.as_ref().map_or(0, |status| status.failures);
    let often = if failures > 1 { format!(", {} in a row", times(failures.into())) } else { String::new() };
    let next = match view.next_try() {
        _ if !view.managed && !view.supervised => "sysmgr is not running".to_owned(),
        Some(time) if time >= SOON => format!("next try in {}", short(time)),
        _ => "it is tried again now".to_owned(),
    };
    format!("{last}{often}; {next}")
}

fn down(view: &View, last: &str) -> String {
    let ago = view.ago().map_or_else(String::new, |ago| format!(" {ago}"));
    match view.order {
        Some(Order::Stop) => format!("it was stopped{ago}, by 'svctl stop' or a signal to its supervisor"),
        Some(Order::Kill) => format!("it was killed{ago}, by 'svctl kill' or a signal to its supervisor"),
        Some(Order::Ran) if ago.is_empty() => "it was to run once, and has".to_owned(),
        Some(Order::Ran) => format!("it was to run once, and {last},{ago}"),
        Some(Order::Shutdown) => format!("sysmgr stopped it{ago}, when it was told to end"),
        Some(Order::Gone) => "its file was removed from the service directory".to_owned(),
        Some(Order::Hold) => "its file 'lock' keeps it down, which somebody has made".to_owned(),
        Some(Order::Once | Order::Restart) | None if view.managed || view.supervised => {
            "it is about to be started".to_owned()
        }
        Some(Order::Once | Order::Restart) | None => "sysmgr is not running".to_owned(),
    }
}

/// What one may do about it, and what else one should know.
fn hints(view: &View) -> Vec<String> {
    let name = view.name.typed();
    let mut hints = Vec::new();
    match view.condition() {
        Condition::Down if view.order.is_some_and(|order| !order.starts() && order != Order::Gone) => {
            hints.push(format!("'svctl start {name}' starts it"));
        }
        Condition::Stopping if view.order.is_none_or(Order::starts) => {
            hints.push(format!("'svctl signal KILL {name}' ends it at once"));
        }
        Condition::Stopping => hints.push(format!("'svctl stop -f {name}' kills it")),
        Condition::Backoff => {
            hints.extend(view.remark().or_else(|| failure(view).map(str::to_owned)));
            hints.extend(own_words(view));
        }
        Condition::Waiting => {
            for awaited in &view.waits {
                match awaited {
                    Awaited::Path(_) => hints.push(format!("there is no {awaited}")),
                    Awaited::Ready(other) => hints.push(format!("{other} has to make its file 'ready' for that")),
                    Awaited::Up(_) => {}
                }
            }
        }
        _ => {}
    }
    if view.main.is_some_and(|main| main.suspended) {
        hints.push(format!("it is suspended: 'svctl signal CONT {name}' has it go on"));
    }
    if view.stale && view.main.is_some() {
        hints.push(format!("its file was changed after it was started: 'svctl restart {name}' takes the new one"));
    }
    hints.extend(view.notes().into_iter().filter(|note| note != STALE && note != SUSPENDED));
    hints
}

/// Where one finds what it has said itself.
fn own_words(view: &View) -> Option<String> {
    match view.status.as_ref()?.last_exit? {
        Ended::Code(_) | Ended::Signal { .. } => Some(match &view.errors {
            Some(path) => format!("what it says itself goes to {path}, with the messages of sysmgr"),
            None => "what it says itself goes where the messages of sysmgr go".to_owned(),
        }),
        Ended::Exec(_) | Ended::Fork(_) | Ended::Unknown => None,
    }
}

/// What a failure often means.
fn failure(view: &View) -> Option<&'static str> {
    Some(match view.status.as_ref()?.last_exit? {
        Ended::Code(0) => {
            "a service has to go on running in the foreground; daemons have a flag for that, such as -f, -n, -D or --foreground"
        }
        Ended::Code(126) => "126 is what a shell exits with when it may not execute a command",
        Ended::Code(127) => "127 is what a shell exits with when it does not find a command",
        Ended::Signal { number: 9, .. } => {
            "SIGKILL came from somebody else; from the kernel, if memory was short (dmesg tells)"
        }
        Ended::Exec(2) if view.interpreter.as_ref().is_some_and(|path| path.ends_with("\\x0d")) => {
            "its lines end with a carriage return, as DOS and Windows write them: sed -i 's/\\r$//' takes those away"
        }
        Ended::Exec(2) if view.interpreter.is_some() => "its first line names an interpreter that is not there",
        Ended::Exec(2) => "an interpreter or a dynamic loader that it needs is not there",
        Ended::Exec(13) => "its interpreter is not executable, or is on a file system that is mounted with noexec",
        Ended::Exec(_) => "its first line, or the machine that it was built for, may be wrong",
        Ended::Code(_) | Ended::Signal { .. } | Ended::Fork(_) | Ended::Unknown => return None,
    })
}
