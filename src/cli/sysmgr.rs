//! The command line of sysmgr(8).

use super::{Directories, Verbosity, directories_of, quiet, rundir, sysdir, tool, verbose, verbosity_of};
use crate::settings::Settings;
use clap::Command;
use std::ffi::OsString;

/// What sysmgr was asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The directories given.
    pub directories: Directories,
    /// How much it says.
    pub verbosity: Verbosity,
}

/// The definition.
#[must_use]
pub fn command(settings: &Settings) -> Command {
    let pid = format!("kill \"$(cat {}/pid)\"", settings.run_dir);
    tool("sysmgr", "Keeps services alive: every executable file of a directory is one.")
        .override_usage("sysmgr [OPTION]...")
        .arg(sysdir(settings))
        .arg(rundir(settings))
        .arg(verbose())
        .arg(quiet())
        .after_help(format!(
            "Signals:
  TERM, INT, HUP, QUIT, ABRT  stop all services, then end
  USR1                        look at the service directory now
  USR2                        execute itself anew, as after an upgrade

Examples:
  sysmgr                                        the services of the system
  sysmgr --sysdir ~/sv --rundir ~/.cache/sv     services of your own
  {pid:<44}  stop everything

SYSDIR and RUNDIR name the directories where no option does.
Services are told what to do with svctl(1). All there is to know: sysmgr(8)."
        ))
}

/// Reads the arguments, the name of the program first.
///
/// # Errors
/// Help, version or a wrong usage, for [`super::answer`].
pub fn parse(arguments: impl IntoIterator<Item = OsString>, settings: &Settings) -> Result<Request, clap::Error> {
    let matches = command(settings).try_get_matches_from(arguments)?;
    Ok(Request { directories: directories_of(&matches), verbosity: verbosity_of(&matches) })
}
