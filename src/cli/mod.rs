//! The command lines of the four tools: what they take and what their help says.
//!
//! `build.rs` compiles this too, for the manuals and completions. So it imports clap and the settings
//! only, and every definition takes the settings as an argument: `build.rs` has the parsed ones, the
//! executables the built-in ones.

pub mod depends;
pub mod runsyssv;
pub mod svctl;
pub mod sysmgr;

use crate::settings::Settings;
use clap::error::ContextKind;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
use std::ffi::OsString;
use std::io::Write as _;
use std::time::Duration;

/// The exit code of a command line that makes no sense.
pub const USAGE: u8 = 2;

/// The directories that were given as flags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directories {
    /// What `--sysdir` says.
    pub sysdir: Option<OsString>,
    /// What `--rundir` says.
    pub rundir: Option<OsString>,
}

/// How much is said on standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// What happens.
    #[default]
    Normal,
    /// Also what is decided, and why.
    Verbose,
}

/// Prints what clap has to say, help or an error, and returns the exit code.
#[must_use]
pub fn answer(tool: &str, mut error: clap::Error) -> u8 {
    // that an option could be meant as an operand helps nobody; which option is near is kept
    error.remove(ContextKind::Suggested);
    let text = error.render().to_string();
    if error.use_stderr() {
        let text = text.strip_prefix("error: ").unwrap_or(&text);
        // An error that cannot be told is still one.
        let _ = std::io::stderr().write_all(format!("{tool}: {text}").as_bytes());
        return USAGE;
    }
    let mut out = std::io::stdout();
    u8::from(out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err())
}

/// What all four tools have in common.
fn tool(name: &'static str, about: &'static str) -> Command {
    Command::new(name)
        .version(env!("CARGO_PKG_VERSION"))
        .about(about)
        // The last of several wins, so that what a script passes can be overridden by adding to it.
        .args_override_self(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .help_template("{about}\n{usage-heading} {usage}\n\n{all-args}{after-help}\n")
        .arg(help())
        .arg(
            Arg::new("version")
                .short('V')
                .long("version")
                .action(ArgAction::Version)
                .help("Print the version")
                .display_order(91),
        )
}

fn help() -> Arg {
    Arg::new("help").short('h').long("help").action(ArgAction::Help).help("Print this help").display_order(90)
}

fn sysdir(settings: &Settings) -> Arg {
    directory("sysdir", format!("Where the services are [{}]", settings.service_dir)).display_order(80)
}

fn rundir(settings: &Settings) -> Arg {
    directory("rundir", format!("Where their state is kept [{}]", settings.run_dir)).display_order(81)
}

fn directory(name: &'static str, help: String) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("DIR")
        .value_hint(ValueHint::DirPath)
        .value_parser(value_parser!(OsString))
        .help(help)
}

fn verbose() -> Arg {
    flag("verbose", Some('v'), "Say more on standard error").overrides_with("quiet")
}

fn quiet() -> Arg {
    flag("quiet", Some('q'), "Say errors only").overrides_with("verbose")
}

fn flag(name: &'static str, short: Option<char>, help: &'static str) -> Arg {
    let flag = Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    match short {
        Some(short) => flag.short(short),
        None => flag,
    }
}

fn services() -> Arg {
    Arg::new("service")
        .value_name("SERVICE")
        .value_hint(ValueHint::Other)
        .value_parser(value_parser!(OsString))
        .num_args(1..)
        .help("Name of a service, or a path whose last part is the name")
        .help_heading("Operands")
}

/// Fractions are allowed, units are not: `5`, `0.5`.
fn seconds(name: &'static str, short: char, help: String) -> Arg {
    Arg::new(name)
        .long(name)
        .short(short)
        .value_name("SECONDS")
        .value_hint(ValueHint::Other)
        // so that -1 gets our words
        .allow_negative_numbers(true)
        .value_parser(parse_seconds)
        .help(help)
}

/// Digits with at most one dot; a billion seconds are more than anybody waits.
fn parse_seconds(text: &str) -> Result<Duration, String> {
    let wrong = || String::from("it takes a number of seconds from 0 to 1000000000, such as 5 or 0.5");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return Err(wrong());
    }
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| wrong())? };
    if whole > 1_000_000_000 {
        return Err(wrong());
    }
    let nanoseconds = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanoseconds = nanoseconds.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    Ok(Duration::new(whole, nanoseconds))
}

/// Milliseconds as people say them: `7`, `0.2`.
#[must_use]
pub fn in_seconds(milliseconds: u32) -> String {
    let text = format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn directories_of(matches: &ArgMatches) -> Directories {
    Directories { sysdir: one(matches, "sysdir"), rundir: one(matches, "rundir") }
}

fn verbosity_of(matches: &ArgMatches) -> Verbosity {
    if matches.get_flag("quiet") {
        Verbosity::Quiet
    } else if matches.get_flag("verbose") {
        Verbosity::Verbose
    } else {
        Verbosity::Normal
    }
}

/// The value of an option or operand, if this command has it and it was given.
fn one<T: Clone + Send + Sync + 'static>(matches: &ArgMatches, name: &str) -> Option<T> {
    matches.try_get_one(name).ok().flatten().cloned()
}

/// The values of an operand, if this command has it and it was given.
fn many(matches: &ArgMatches, name: &str) -> Vec<OsString> {
    let values = matches.try_get_many(name).ok().flatten();
    values.map(|values| values.cloned().collect()).unwrap_or_default()
}
