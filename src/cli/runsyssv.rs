//! The command line of runsyssv(1).

use super::{
    Directories, Verbosity, directories_of, one, quiet, rundir, services, sysdir, tool, verbose, verbosity_of,
};
use crate::settings::Settings;
use clap::Command;
use std::ffi::OsString;

/// What runsyssv was asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The directories given.
    pub directories: Directories,
    /// How much it says.
    pub verbosity: Verbosity,
    /// The service, by its name or path.
    pub service: OsString,
}

/// The definition.
#[must_use]
pub fn command(settings: &Settings) -> Command {
    tool("runsyssv", "Runs one service, restarts it when it ends, and stops it when told to.")
        .override_usage("runsyssv [OPTION]... SERVICE")
        .arg(services().num_args(1).required(true))
        .arg(sysdir(settings))
        .arg(rundir(settings))
        .arg(verbose())
        .arg(quiet())
        .after_help(
            "Signals:
  TERM, INT, HUP, QUIT, ABRT  stop the service with SIGTERM, then end
  USR1                        the same with SIGKILL
  CONT                        forget failures; try now if it waits to restart
  ALRM                        look at the files of the service again
  USR2                        execute itself anew, as after an upgrade
Examples:
  runsyssv sshd                               one service, without sysmgr
  runsyssv --sysdir . --rundir /tmp/try sshd  try a script out
SYSDIR and RUNDIR name the directories where no option does. See runsyssv(1).",
        )
}

/// Reads the arguments, the name of the program first.
///
/// # Errors
/// Help, version or a wrong usage, for [`super::answer`].
pub fn parse(arguments: impl IntoIterator<Item = OsString>, settings: &Settings) -> Result<Request, clap::Error> {
    let matches = command(settings).try_get_matches_from(arguments)?;
    Ok(Request {
        directories: directories_of(&matches),
        verbosity: verbosity_of(&matches),
        service: one(&matches, "service").unwrap_or_default(),
    })
}
