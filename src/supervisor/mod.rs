//! runsyssv: runs one service, tracks its process, restarts it when it ends, stops it properly.

mod driver;
mod files;
pub mod machine;

use std::path::PathBuf;

use crate::service::name::Name;
use machine::Policy;

/// How much is said on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Only what went wrong.
    Errors,
    /// Also what has changed without being asked for.
    Events,
    /// Everything.
    All,
}

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

pub use driver::run;
