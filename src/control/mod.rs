//! svctl: tells services to start, stop, restart...; says how they are.

pub mod condition;
pub mod goal;
mod json;
mod live;
mod operate;
pub mod outcome;
pub mod report;
mod service;
mod show;
mod survey;
pub mod table;
pub mod tree;
pub mod why;
pub mod words;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write as _;

use crate::cli::svctl::{Operation, Request, parse};
use crate::cli::{self, USAGE};
use crate::service::name::{Name, Printable};
use crate::service::nearest;
use crate::settings::BUILT_IN;
use crate::startup::{Dirs, Timings};
use crate::sys::{program, signals};
use operate::Wish;
use outcome::Outcome;
use survey::Scene;

/// svctl, from its arguments to its exit code.
#[must_use]
pub fn main() -> u8 {
    match request() {
        Ok((request, mut scene)) => run(&request, &mut scene).unwrap_or_else(|code| code),
        Err(code) => code,
    }
}

/// What the arguments and the environment ask for; or the exit code, when there is nothing to do.
fn request() -> Result<(Request, Scene), u8> {
    let variable = |name: &str| std::env::var_os(name);
    let request = parse(program::arguments(), &BUILT_IN).map_err(|error| cli::answer("svctl", error))?;
    let refuse = |error: crate::startup::Error| {
        complain(&error.to_string());
        error.exit_code()
    };
    let dirs = Dirs::resolve(&request.directories, variable, std::env::current_dir, &BUILT_IN).map_err(refuse)?;
    let timings = Timings::resolve(variable, &BUILT_IN).map_err(refuse)?;
    Ok((request, Scene::new(dirs, timings)))
}

/// Does what is asked for; gives the exit code, or that of a wrong usage.
fn run(request: &Request, scene: &mut Scene) -> Result<u8, u8> {
    let signal = match request.operation {
        Operation::Reload => Some(signals::SIGHUP),
        Operation::Signal => Some(signal_of(request)?),
        _ => None,
    };
    let mut outcomes = Vec::new();
    let names = names(scene, &request.services, &mut outcomes);
    let chosen: Vec<&Name> = names.iter().collect();
    let all = request.services.is_empty();
    if request.watch && (all || !names.is_empty()) {
        live::watch(scene, if all { None } else { Some(&names) }, request);
        return Ok(Outcome::of_all(&outcomes).code());
    }
    outcomes.extend(match (request.operation, signal) {
        (_, Some(signal)) => operate::signal(scene, &chosen, signal),
        (Operation::Status, _) => show::status(scene, &chosen, all, request),
        (Operation::Pid, _) => show::pids(scene, &chosen, request.quiet),
        (Operation::Why, _) => show::why(scene, &chosen, request.quiet),
        (Operation::Deps, _) if request.quiet => Vec::new(),
        (Operation::Deps, _) => show::deps(scene, &chosen, all),
        (operation, _) => {
            let wait = request.wait.unwrap_or(scene.timings.stop_timeout);
            operate::operate(scene, &chosen, &Wish { operation, wait, force: request.force })
        }
    });
    Ok(Outcome::of_all(&outcomes).code())
}

fn signal_of(request: &Request) -> Result<i32, u8> {
    let given = request.signal.clone().unwrap_or_default();
    given.to_str().and_then(signals::by_name).ok_or_else(|| {
        use std::os::unix::ffi::OsStrExt;
        let shown = Printable(given.as_bytes()).to_string();
        let meant = shown.to_uppercase().trim_start_matches("SIG").to_owned();
        let advice = nearest::nearest(&meant, &signals::names()).map_or_else(
            || "it is a name or a number, as in HUP, SIGHUP or 1".to_owned(),
            |near| format!("did you mean {near}?"),
        );
        complain(&format!("there is no signal '{shown}'; {advice}"));
        USAGE
    })
}

/// The services that are meant: each once, in the order given; all if none is. What is none is said.
fn names(scene: &Scene, given: &[OsString], outcomes: &mut Vec<Outcome>) -> Vec<Name> {
    let mut all = None;
    if given.is_empty() {
        let (names, listed) = scene.names();
        if let Err(fault) = listed {
            complain(&fault.to_string());
            outcomes.push(operate::outcome_of(fault.errno));
        }
        return names.into_iter().collect();
    }
    let mut names: Vec<Name> = Vec::new();
    let mut seen = BTreeSet::new();
    for operand in given {
        match Name::from_operand(operand) {
            Err(error) => {
                use std::os::unix::ffi::OsStrExt;
                complain(&format!("'{}': {error}", Printable(operand.as_bytes())));
                outcomes.push(Outcome::Unknown);
            }
            Ok(name) if !scene.exists(&name) => match all.get_or_insert_with(|| scene.names()) {
                (_, Err(fault)) => {
                    complain_of(&name, fault);
                    outcomes.push(operate::outcome_of(fault.errno));
                }
                (all, Ok(())) => {
                    complain_of(&name, &unknown(&name, all));
                    outcomes.push(Outcome::Unknown);
                }
            },
            Ok(name) => {
                if seen.insert(name.clone()) {
                    names.push(name);
                }
            }
        }
    }
    names
}

fn unknown(name: &Name, all: &BTreeSet<Name>) -> String {
    match nearest::nearest(name, all) {
        Some(near) => format!("there is no such service; did you mean {near}?"),
        None => "there is no such service".to_owned(),
    }
}

/// Says on standard error what is wrong. What can't be told is lost.
fn complain(what: &str) {
    let _ = std::io::stderr().write_all(format!("svctl: {what}\n").as_bytes());
}

/// Says what is wrong with a service.
fn complain_of(name: &Name, what: &dyn Display) {
    complain(&format!("{name}: {what}"));
}
