//! sysmgr-depends: waits, inside a service's script, until other services are up.

mod driver;
pub mod graph;
pub mod lines;
pub mod others;
mod register;
pub mod up;

use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::cli::{self, USAGE};
use crate::service::name::{Name, Printable};
use crate::settings::BUILT_IN;
use crate::startup::{Dirs, Timings};
use crate::sys::{program, signals};

/// Signals on which what it has written is removed before it ends.
pub const ENDING: [i32; 4] = [signals::SIGTERM, signals::SIGINT, signals::SIGHUP, signals::SIGQUIT];

/// What sysmgr-depends is to do.
#[derive(Debug)]
pub struct Options {
    /// The directories.
    pub dirs: Dirs,
    /// The timings.
    pub timings: Timings,
    /// The service that waits, if this runs inside of one.
    pub own: Option<Name>,
    /// The services that are waited for.
    pub services: Vec<Name>,
    /// The paths, absolute, that are waited for.
    pub paths: Vec<PathBuf>,
    /// Whether the services must say that they are ready.
    pub ready: bool,
    /// How long to wait, if not without end.
    pub timeout: Option<Duration>,
}

/// sysmgr-depends, from its arguments to its exit code.
#[must_use]
pub fn main() -> u8 {
    match options() {
        Ok(options) => driver::run(&options),
        Err(code) => code,
    }
}

/// What the arguments and the environment ask for; or the exit code, when there is nothing to do.
fn options() -> Result<Options, u8> {
    let variable = |name: &str| std::env::var_os(name);
    let request =
        cli::depends::parse(program::arguments(), &BUILT_IN).map_err(|error| cli::answer("sysmgr-depends", error))?;
    let refuse = |error: crate::startup::Error| {
        complain(&error.to_string());
        error.exit_code()
    };
    let dirs = Dirs::resolve(&request.directories, variable, std::env::current_dir, &BUILT_IN).map_err(refuse)?;
    let timings = Timings::resolve(variable, &BUILT_IN).map_err(refuse)?;
    let mut services: Vec<Name> = Vec::new();
    for operand in &request.services {
        let name = Name::from_operand(operand).map_err(|error| {
            complain(&format!("'{}': {error}", Printable(operand.as_bytes())));
            3
        })?;
        if !services.contains(&name) {
            services.push(name);
        }
    }
    let mut paths = Vec::new();
    for path in &request.paths {
        if path.is_empty() {
            complain("--path: the path is empty");
            return Err(USAGE);
        }
        paths.push(std::path::absolute(path).map_err(|error| {
            complain(&format!("--path '{}': {error}", Printable(path.as_bytes())));
            1
        })?);
    }
    let own = variable("SYSMGR_SERVICE").and_then(|name| Name::new(&name).ok());
    Ok(Options { dirs, timings, own, services, paths, ready: request.ready, timeout: request.timeout })
}

/// Says something on standard error, with the name of the service that waits.
fn say(options: &Options, what: &str) {
    match &options.own {
        Some(own) => complain(&format!("{own}: {what}")),
        None => complain(what),
    }
}

fn complain(what: &str) {
    let _ = std::io::stderr().write_all(format!("sysmgr-depends: {what}\n").as_bytes());
}
