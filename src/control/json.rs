//! The status for programs. Keys are only ever added.

use serde::Serialize;

use super::report::{Place, View};
use crate::depends::lines::Awaited;
use crate::service::ended::{Ended, signal_name};
use crate::service::order::Order;

/// One service.
#[derive(Serialize)]
struct Service {
    /// Its name; what is not UTF-8, and control characters, as `\xNN`.
    name: String,
    /// Whether it is up, as the exit status counts it.
    up: bool,
    /// `up`, `stopping`, `starting`, `waiting`, `clearing`, `backoff`, `refused`, `down`, `lost` or
    /// `new`.
    state: &'static str,
    /// What the line of `svctl status` says after the name.
    text: String,
    /// Its main process.
    pid: Option<i32>,
    /// Since when it is in its state, in seconds since 1970.
    since: Option<u64>,
    /// For how long it has run, or been in its state, in seconds.
    seconds: Option<f64>,
    /// How often it was started, restarted, and has failed in a row.
    starts: u64,
    restarts: u64,
    failures: u32,
    /// How its last run ended, and how long that was.
    last_exit: Option<Exit>,
    last_run_seconds: Option<f64>,
    /// When it is tried again.
    next_try_seconds: Option<f64>,
    /// The standing order: `stop`, `kill`, `once`, `ran`, `restart`, `shutdown`, `gone`; empty for
    /// any other that keeps it down.
    order: Option<&'static str>,
    /// What it waits for: names of services, or paths.
    waits_for: Vec<String>,
    /// Those that it waits for, or has waited for if it fails, which are not up.
    lacks: Vec<String>,
    /// What it has waited for.
    depends: Vec<String>,
    /// Why its file can't be a service, or another remark of its supervisor.
    reason: Option<String>,
    /// Whether its process is suspended.
    suspended: bool,
    /// Whether its file was changed after its process was started.
    stale: bool,
    /// Whether it is in the service directory.
    present: bool,
    /// Whether sysmgr runs.
    managed: bool,
}

/// How a run ended.
#[derive(Serialize)]
struct Exit {
    /// `exit`, `signal`, `exec`, `fork` or `unknown`.
    kind: &'static str,
    /// The exit code, the number of the signal, or the errno.
    number: Option<i32>,
    /// The name of the signal.
    signal: Option<String>,
    /// Whether there was a core dump.
    core: bool,
    /// Whether it was asked for.
    by_order: bool,
    /// The same in words.
    text: String,
}

/// The services as one array of objects, on one line or for people.
#[must_use]
pub fn array(views: &[View], depends: impl Fn(&View) -> Vec<String>, pretty: bool) -> String {
    let services: Vec<Service> = views.iter().map(|view| service(view, depends(view))).collect();
    let text = if pretty { serde_json::to_string_pretty(&services) } else { serde_json::to_string(&services) };
    // plain values always have a form
    text.unwrap_or_default() + "\n"
}

fn service(view: &View, depends: Vec<String>) -> Service {
    let condition = view.condition();
    let status = view.status.as_ref();
    let line = view.line();
    let refusal = match &view.place {
        Place::Refused(reason) => Some(reason.clone()),
        Place::Present | Place::Missing => None,
    };
    Service {
        name: view.name.to_string(),
        up: condition.is_up(),
        state: condition.word(),
        text: line.strip_prefix(&format!("{}: ", view.name)).unwrap_or(&line).to_owned(),
        pid: view.main.map(|main| main.process.pid.raw()),
        since: status.map(|status| status.since),
        seconds: view.length().map(|time| time.as_secs_f64()),
        starts: status.map_or(0, |status| status.starts),
        restarts: view.restarts(),
        failures: status.map_or(0, |status| status.failures),
        last_exit: status.and_then(|status| status.last_exit).map(|ended| exit(ended, view)),
        last_run_seconds: status
            .and_then(|status| status.last_run_ms)
            .map(|ms| std::time::Duration::from_millis(ms).as_secs_f64()),
        next_try_seconds: view.next_try().map(|time| time.as_secs_f64()),
        order: view.order.map(Order::word),
        waits_for: view.waits.iter().map(Awaited::plain).collect(),
        lacks: view.lacks.iter().map(|(name, _)| name.to_string()).collect(),
        depends,
        reason: view.remark().or(refusal),
        suspended: view.main.is_some_and(|main| main.suspended),
        stale: view.stale,
        present: view.place != Place::Missing,
        managed: view.managed,
    }
}

fn exit(ended: Ended, view: &View) -> Exit {
    let (kind, number) = match ended {
        Ended::Code(code) => ("exit", Some(code)),
        Ended::Signal { number, .. } => ("signal", Some(number)),
        Ended::Exec(errno) => ("exec", Some(errno)),
        Ended::Fork(errno) => ("fork", Some(errno)),
        Ended::Unknown => ("unknown", None),
    };
    Exit {
        kind,
        number,
        signal: if kind == "signal" { number.map(signal_name) } else { None },
        by_order: view.status.as_ref().is_some_and(|status| status.by_order),
        core: matches!(ended, Ended::Signal { core: true, .. }),
        text: view.last().unwrap_or_else(|| ended.in_words()),
    }
}
