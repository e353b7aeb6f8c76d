//! runsyssv: runs one service, tracks its process, restarts it when it ends, stops it properly.

mod driver;
mod files;
pub mod machine;
pub mod model;
mod report;
mod run;
mod takeover;

use std::fmt::Display;
use std::path::PathBuf;

use crate::arguments;
use crate::cli::{self, Verbosity};
use crate::service::name::Name;
use crate::settings::BUILT_IN;
use crate::startup::{Dirs, Timings};
use crate::sys::message;
use machine::Policy;

/// The help that `build.rs` has made from the definition in `cli`.
const HELP: &str = include_str!(concat!(env!("OUT_DIR"), "/runsyssv_help.txt"));

/// What runsyssv is to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// The service directory, absolute.
    pub sysdir: PathBuf,
    /// The run directory, absolute.
    pub rundir: PathBuf,
    /// The service.
    pub name: Name,
    /// The timings.
    pub policy: Policy,
    /// Whether root refuses what others could have written.
    pub owner_check: bool,
    /// How much is said.
    pub verbosity: Verbosity,
}

/// runsyssv, from its arguments to its exit code.
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
    let request = arguments::of_program("runsyssv", HELP, true)?;
    let dirs = Dirs::resolve(&request.directories, variable, std::env::current_dir, &BUILT_IN)
        .map_err(|error| refuse(&error, error.exit_code()))?;
    let name = Name::from_operand(&request.service).map_err(|error| refuse(&error, cli::USAGE))?;
    let timings = Timings::resolve(variable, &BUILT_IN).map_err(|error| refuse(&error, error.exit_code()))?;
    let policy = Policy {
        delay: timings.restart_delay,
        delay_max: timings.restart_delay_max,
        stable_after: timings.stable_after,
        stop_timeout: timings.stop_timeout,
    };
    let Dirs { sysdir, rundir } = dirs;
    Ok(Options { sysdir, rundir, name, policy, owner_check: timings.owner_check, verbosity: request.verbosity })
}

fn refuse(why: &dyn Display, code: u8) -> u8 {
    message::say(format_args!("runsyssv: {why}"));
    code
}
