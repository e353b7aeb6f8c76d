//! The command line of sysmgr-depends(1).

use super::{Directories, directories_of, flag, many, one, rundir, seconds, services, sysdir, tool};
use crate::settings::Settings;
use clap::{Arg, ArgAction, Command, ValueHint, value_parser};
use std::ffi::OsString;
use std::time::Duration;

/// What sysmgr-depends was asked to wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The directories given.
    pub directories: Directories,
    /// The services, by name or path.
    pub services: Vec<OsString>,
    /// The paths that must exist.
    pub paths: Vec<OsString>,
    /// Whether the `ready` files of the services must exist.
    pub ready: bool,
    /// How long it waits; without end if there is none.
    pub timeout: Option<Duration>,
}

/// The definition.
#[must_use]
pub fn command(settings: &Settings) -> Command {
    tool("sysmgr-depends", "Waits until other services are up; for the beginning of a service's script.")
        .override_usage("sysmgr-depends [OPTION]... SERVICE...")
        .arg(services().required_unless_present("path"))
        .arg(flag("ready", Some('r'), "Wait for the \"ready\" file of each service too"))
        .arg(
            Arg::new("path")
                .short('p')
                .long("path")
                .value_name("PATH")
                .value_hint(ValueHint::AnyPath)
                .value_parser(value_parser!(OsString))
                .action(ArgAction::Append)
                .help("Wait until PATH exists too; may be repeated"),
        )
        .arg(seconds("timeout", 't', String::from("Give up after so long [never]")))
        .arg(sysdir(settings))
        .arg(rundir(settings))
        .after_help(
            "Exit status: 0 all are up, 1 they wait for each other, or it failed,
2 wrong usage, 3 no such service, 4 not in time.

Examples, before the exec of a script:
  sysmgr-depends dbus || exit 1
  sysmgr-depends -t 60 -r postgres -p /run/app/config || exit 1

SYSDIR and RUNDIR name the directories where no option does; services have them.
See sysmgr-depends(1).",
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
        services: many(&matches, "service"),
        paths: many(&matches, "path"),
        ready: matches.get_flag("ready"),
        timeout: one(&matches, "timeout"),
    })
}
