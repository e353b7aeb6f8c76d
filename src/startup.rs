//! What a program runs with: flags, then the environment, then what was built in.
//!
//! Nothing here touches the environment or the current directory by itself: both are arguments.

use crate::cli::{Directories, USAGE};
use crate::settings::{self, Settings, Time};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fmt, io};

/// The variable that names the service directory.
pub const SYSDIR: &str = "SYSDIR";
/// The variable that names the run directory.
pub const RUNDIR: &str = "RUNDIR";

/// The two directories, absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dirs {
    /// Where the services are.
    pub sysdir: PathBuf,
    /// Where their state is kept.
    pub rundir: PathBuf,
}

/// The timings of this run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timings {
    /// The wait before the second restart in a row.
    pub restart_delay: Duration,
    /// The longest wait before a restart.
    pub restart_delay_max: Duration,
    /// A run of this length forgets all failures.
    pub stable_after: Duration,
    /// The time between SIGTERM and SIGKILL.
    pub stop_timeout: Duration,
    /// How long all services together have when sysmgr is told to end.
    pub shutdown_timeout: Duration,
    /// How long a service that is not known to wait must live to count as up.
    pub settle: Duration,
    /// How often directories are looked at where they cannot be watched.
    pub rescan: Duration,
    /// Whether root refuses service files that others could have written.
    pub owner_check: bool,
}

/// Why a program cannot run with what it was given.
#[derive(Debug)]
pub enum Error {
    /// A directory that is empty.
    Empty(&'static str),
    /// A directory with a newline in it, and where it was given.
    Newline(&'static str, OsString),
    /// Service directory and run directory are the same.
    Same(PathBuf),
    /// A relative directory, and why the current one cannot be had.
    Here(&'static str, OsString, io::Error),
    /// A time that is none or out of range.
    Time(Time, OsString),
    /// The shortest delay is longer than the longest: in milliseconds.
    Delays(u32, u32),
    /// The owner check is neither on nor off.
    OwnerCheck(OsString),
}

impl Error {
    /// The exit code that tells of it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Here(..) => 1,
            _ => USAGE,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty(origin) => write!(f, "{origin}: the name is empty; it takes a directory"),
            Self::Newline(origin, value) => {
                write!(f, "{origin} {value:?}: a directory can't have a newline in its name here")
            }
            Self::Same(path) => write!(
                f,
                "{} is both service directory and run directory: they must be two (--sysdir, --rundir)",
                path.display()
            ),
            Self::Here(origin, value, error) => {
                write!(f, "{origin} {value:?}: the current directory, which it is relative to, can't be found: {error}")
            }
            Self::Time(Time { variable, least, most, .. }, value) => {
                write!(f, "{variable}={value:?}: it takes milliseconds, a whole number from {least} to {most}")
            }
            Self::Delays(delay, longest) => write!(
                f,
                "the restart delay of {delay} ms is more than the longest of {longest} ms: set {} or {}",
                settings::RESTART_DELAY.variable,
                settings::RESTART_DELAY_MAX.variable
            ),
            Self::OwnerCheck(value) => {
                write!(f, "{}={value:?}: it takes true or false", settings::OWNER_CHECK_VARIABLE)
            }
        }
    }
}

impl std::error::Error for Error {}

impl Dirs {
    /// The directories: what the flags say, else what the environment says, else the built-in ones.
    /// An empty variable counts as none.
    ///
    /// # Errors
    /// What was given and what would be right.
    pub fn resolve(
        given: &Directories,
        variable: impl Fn(&str) -> Option<OsString>,
        here: impl Fn() -> io::Result<PathBuf>,
        built_in: &Settings,
    ) -> Result<Self, Error> {
        let one = |flag: &Option<OsString>, name, origin: [&'static str; 2], built_in: &str| {
            if let Some(value) = flag {
                return absolute(origin[0], value, &here);
            }
            match variable(name).filter(|value| !value.is_empty()) {
                Some(value) => absolute(origin[1], &value, &here),
                None => Ok(PathBuf::from(built_in)),
            }
        };
        let sysdir = one(&given.sysdir, SYSDIR, ["--sysdir", SYSDIR], &built_in.service_dir)?;
        let rundir = one(&given.rundir, RUNDIR, ["--rundir", RUNDIR], &built_in.run_dir)?;
        if sysdir == rundir { Err(Error::Same(sysdir)) } else { Ok(Self { sysdir, rundir }) }
    }
}

/// Relative to `here`; without trailing slashes and parts that mean nothing. `..` stays, since what it
/// means depends on symlinks.
fn absolute(origin: &'static str, value: &OsStr, here: impl Fn() -> io::Result<PathBuf>) -> Result<PathBuf, Error> {
    if value.is_empty() {
        return Err(Error::Empty(origin));
    }
    if value.as_bytes().contains(&b'\n') {
        return Err(Error::Newline(origin, value.to_owned()));
    }
    let path = Path::new(value);
    if path.is_absolute() {
        return Ok(path.components().collect());
    }
    let here = here().map_err(|error| Error::Here(origin, value.to_owned(), error))?;
    Ok(here.join(path).components().collect())
}

impl Timings {
    /// The timings: what the environment says, else the built-in ones. An empty variable counts as none.
    ///
    /// # Errors
    /// Which variable is wrong and what would be right.
    pub fn resolve(variable: impl Fn(&str) -> Option<OsString>, built_in: &Settings) -> Result<Self, Error> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let time = |time: Time, built_in: u32| match set(time.variable) {
            None => Ok(built_in),
            Some(value) => match number(value.as_bytes()) {
                Some(number) if (time.least..=time.most).contains(&number) => Ok(number),
                _ => Err(Error::Time(time, value)),
            },
        };
        let duration = |t, built_in| time(t, built_in).map(|ms| Duration::from_millis(ms.into()));

        let delay = time(settings::RESTART_DELAY, built_in.restart_delay_ms)?;
        let longest = time(settings::RESTART_DELAY_MAX, built_in.restart_delay_max_ms)?;
        if longest < delay {
            return Err(Error::Delays(delay, longest));
        }
        let owner_check = match set(settings::OWNER_CHECK_VARIABLE) {
            None => built_in.owner_check,
            Some(value) if value == "true" => true,
            Some(value) if value == "false" => false,
            Some(value) => return Err(Error::OwnerCheck(value)),
        };
        Ok(Self {
            restart_delay: Duration::from_millis(delay.into()),
            restart_delay_max: Duration::from_millis(longest.into()),
            stable_after: duration(settings::STABLE_AFTER, built_in.stable_after_ms)?,
            stop_timeout: duration(settings::STOP_TIMEOUT, built_in.stop_timeout_ms)?,
            shutdown_timeout: duration(settings::SHUTDOWN_TIMEOUT, built_in.shutdown_timeout_ms)?,
            settle: duration(settings::SETTLE, built_in.settle_ms)?,
            rescan: duration(settings::RESCAN, built_in.rescan_ms)?,
            owner_check,
        })
    }
}

/// Digits only: no sign, no blank, no unit.
fn number(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0u32, |sum, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10)?;
        sum.checked_mul(10)?.checked_add(digit.into())
    })
}
