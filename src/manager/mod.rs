//! sysmgr: has exactly one runsyssv for every service that may run, or still has a living process.

mod actions;
mod changes;
mod clearing;
mod dependents;
mod driver;
mod entries;
mod handover;
mod left;
pub mod plan;
mod rundir;
mod services;
mod shutdown;
mod supervisors;

use std::fmt::Display;
use std::path::PathBuf;
use std::time::Duration;

use crate::arguments;
use crate::cli::Verbosity;
use crate::settings::BUILT_IN;
use crate::startup::{Dirs, Timings};
use crate::sys::message;

/// The help that `build.rs` has made from the definition in `cli`.
const HELP: &str = include_str!(concat!(env!("OUT_DIR"), "/sysmgr_help.txt"));

/// What sysmgr is to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// The service directory, absolute.
    pub sysdir: PathBuf,
    /// The run directory, absolute.
    pub rundir: PathBuf,
    /// How long all services together have when sysmgr is told to end.
    pub shutdown_timeout: Duration,
    /// How long what is ended by sysmgr itself has before SIGKILL.
    pub stop_timeout: Duration,
    /// How often directories are looked at where they can't be watched.
    pub rescan: Duration,
    /// Whether root refuses what others could have written.
    pub owner_check: bool,
    /// How much is said.
    pub verbosity: Verbosity,
}

/// sysmgr, from its arguments to its exit code.
#[must_use]
pub fn main() -> u8 {
    match options() {
        Ok(options) => driver::run(options),
        Err(code) => code,
    }
}

/// What the arguments and the environment ask for; or the exit code, when there is nothing to do.
fn options() -> Result<Options, u8> {
    let variable = |name: &str| std::env::var_os(name);
    let request = arguments::of_program("sysmgr", HELP, false)?;
    let Dirs { sysdir, rundir } = Dirs::resolve(&request.directories, variable, std::env::current_dir, &BUILT_IN)
        .map_err(|error| refuse(&error, error.exit_code()))?;
    let timings = Timings::resolve(variable, &BUILT_IN).map_err(|error| refuse(&error, error.exit_code()))?;
    Ok(Options {
        sysdir,
        rundir,
        shutdown_timeout: timings.shutdown_timeout,
        stop_timeout: timings.stop_timeout,
        rescan: timings.rescan,
        owner_check: timings.owner_check,
        verbosity: request.verbosity,
    })
}

fn refuse(why: &dyn Display, code: u8) -> u8 {
    message::say(format_args!("sysmgr: {why}"));
    code
}
