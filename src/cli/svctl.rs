//! The command line of svctl(1).

use super::{Directories, directories_of, flag, help, in_seconds, many, one, rundir, seconds, services, sysdir, tool};
use crate::settings::Settings;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, ValueHint};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::time::Duration;

/// What is to be done with the services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Take the lock away and start.
    Start,
    /// Stop and keep down.
    Stop,
    /// Stop, then start.
    Restart,
    /// Restart those that are up.
    TryRestart,
    /// Stop with SIGKILL.
    Kill,
    /// Start without restarting.
    Once,
    /// Send SIGHUP.
    Reload,
    /// Send a signal.
    Signal,
    /// Say how they are.
    Status,
    /// Say why they are so.
    Why,
    /// Print process ids.
    Pid,
    /// Draw dependencies.
    Deps,
}

/// Which services an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operands {
    /// At least one.
    Some,
    /// None means all.
    Any,
    /// A signal, then at least one.
    Signal,
}

/// One operation, as help, manual and completions show it.
pub struct Entry {
    /// Which one it is.
    pub operation: Operation,
    /// Its name.
    pub name: &'static str,
    /// Its other name.
    pub alias: Option<&'static str>,
    /// What follows it.
    pub operands: Operands,
    /// What it does.
    pub about: &'static str,
}

/// The operations by what they are for.
pub const GROUPS: [(&str, &[Entry]); 3] = [
    (
        "Change services, and wait until it is done",
        &[
            entry(Operation::Start, "start", Some("up"), Operands::Some, "Start it, keep it up"),
            entry(Operation::Stop, "stop", Some("down"), Operands::Some, "Stop it, keep it down"),
            entry(Operation::Restart, "restart", None, Operands::Some, "Stop it, then start it"),
            entry(Operation::TryRestart, "try-restart", None, Operands::Some, "Restart it if it is up"),
            entry(Operation::Kill, "kill", None, Operands::Some, "Stop it with SIGKILL"),
            entry(Operation::Once, "once", None, Operands::Some, "Start it for one run"),
        ],
    ),
    (
        "Send signals to their main processes",
        &[
            entry(Operation::Reload, "reload", None, Operands::Some, "Send it SIGHUP"),
            entry(Operation::Signal, "signal", None, Operands::Signal, "Send it SIG, as in USR1"),
        ],
    ),
    (
        "Ask",
        &[
            entry(Operation::Status, "status", Some("stat"), Operands::Any, "Say how they are"),
            entry(Operation::Why, "why", None, Operands::Some, "Say why it is as it is"),
            entry(Operation::Pid, "pid", None, Operands::Some, "Print its process id"),
            entry(Operation::Deps, "deps", None, Operands::Any, "Draw who waits for whom"),
        ],
    ),
];

const fn entry(
    operation: Operation,
    name: &'static str,
    alias: Option<&'static str>,
    operands: Operands,
    about: &'static str,
) -> Entry {
    Entry { operation, name, alias, operands, about }
}

impl Entry {
    /// The name and what follows it, as in `stop, down SERVICE...`.
    #[must_use]
    pub fn usage(&self) -> String {
        let alias = self.alias.map(|alias| format!(", {alias}")).unwrap_or_default();
        format!("{}{alias} {}", self.name, self.operand_usage())
    }

    /// The name, its other one, and a signal.
    fn names(&self) -> String {
        self.usage().replace(" [SERVICE]...", "").replace(" SERVICE...", "")
    }

    /// What follows the name, as in `SERVICE...`.
    #[must_use]
    pub fn operand_usage(&self) -> &'static str {
        match self.operands {
            Operands::Some => "SERVICE...",
            Operands::Any => "[SERVICE]...",
            Operands::Signal => "SIG SERVICE...",
        }
    }
}

impl Operation {
    /// Whether it changes services, and so has something to wait for.
    #[must_use]
    pub fn changes(self) -> bool {
        match self {
            Self::Start | Self::Stop | Self::Restart | Self::TryRestart | Self::Kill | Self::Once => true,
            Self::Reload | Self::Signal | Self::Status | Self::Why | Self::Pid | Self::Deps => false,
        }
    }
}

/// What svctl was asked to do.
#[allow(clippy::struct_excessive_bools, reason = "one for each flag")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The directories given.
    pub directories: Directories,
    /// What to do; `Status` if nothing was said.
    pub operation: Operation,
    /// The services, by name or path. None means all, for those operations that allow it.
    pub services: Vec<OsString>,
    /// The signal of `signal`.
    pub signal: Option<OsString>,
    /// How long it waits; the stop timeout if there is none.
    pub wait: Option<Duration>,
    /// Whether what does not stop in time is killed.
    pub force: bool,
    /// Whether it prints errors only.
    pub quiet: bool,
    /// Whether the status is for programs.
    pub json: bool,
    /// Whether the status is shown again at each change.
    pub watch: bool,
}

/// The end of the help.
const END: &str = "Exit status: 0 done, or all up; 1 something is down or failed; 2 wrong usage;
3 no such service; 4 not in time; 5 not permitted; 6 sysmgr is not running.
Examples:  svctl    svctl restart web db    svctl stop -f web    svctl why web
";

/// The definition.
#[must_use]
pub fn command(settings: &Settings) -> Command {
    let options = [wait(settings), force(), quiet(), json(), watch(), sysdir(settings), rundir(settings)];
    let base = tool("svctl", "Starts and stops the services that sysmgr keeps, and says how they are.")
        .override_usage("svctl [OPTION]... [OPERATION [SERVICE]...]")
        .subcommand_value_name("OPERATION")
        .subcommand_help_heading("Operations")
        .disable_help_subcommand(true)
        .infer_subcommands(false)
        .help_template(format!("{{about}}\n{{usage-heading}} {{usage}}\n\n{}{}{END}", operations(), listed(&options)))
        .args(options);
    GROUPS.iter().flat_map(|group| group.1).fold(base, |command, entry| command.subcommand(operation(entry, settings)))
}

fn operation(entry: &'static Entry, settings: &Settings) -> Command {
    let mut command = Command::new(entry.name)
        .about(entry.about)
        .override_usage(format!("svctl {} [OPTION]... {}", entry.name, entry.operand_usage()))
        .args_override_self(true)
        .disable_help_flag(true)
        .help_template("{about}.\n\n{usage-heading} {usage}\n\n{all-args}\n")
        .arg(help())
        .arg(sysdir(settings))
        .arg(rundir(settings))
        .arg(quiet());
    if let Some(alias) = entry.alias {
        command = command.visible_alias(alias);
    }
    if entry.operation.changes() {
        command = command.arg(wait(settings));
    }
    command = match entry.operation {
        Operation::Stop => command.arg(force()),
        Operation::Status => command.arg(json()).arg(watch()),
        _ => command,
    };
    match entry.operands {
        Operands::Some => command.arg(services().required(true)),
        Operands::Any => command.arg(services()),
        Operands::Signal => command
            .arg(
                Arg::new("signal")
                    .display_order(0)
                    .value_name("SIG")
                    .value_hint(ValueHint::Other)
                    .value_parser(clap::value_parser!(OsString))
                    .required(true)
                    .help("A signal, as in HUP, SIGHUP or 1")
                    .help_heading("Operands"),
            )
            .arg(services().required(true)),
    }
}

/// The operations as the help lists them, in their groups, two on a line.
fn operations() -> String {
    let mut text = String::new();
    for (title, entries) in &GROUPS {
        let _ = writeln!(text, "{title}:");
        for pair in entries.chunks(2) {
            let mut line = String::new();
            for entry in pair {
                let _ = write!(line, "  {:<12}  {:<23}", entry.names(), entry.about);
            }
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
    text
}

/// The options as the help lists them: one on a line, but for those that every tool has.
fn listed(options: &[Arg]) -> String {
    let mut text = String::from("Options:\n");
    for option in options {
        let short = option.get_short().map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
        let value = option.get_value_names().map_or_else(String::new, |names| format!(" <{}>", names[0]));
        let name = format!("{short}--{}{value}", option.get_long().unwrap_or_default());
        let help = option.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "  {name:<20}  {help}");
    }
    text + "  -h, --help            Print this help; -V, --version: the version\n"
}

fn wait(settings: &Settings) -> Arg {
    let default = in_seconds(settings.stop_timeout_ms);
    seconds("wait", 'w', format!("How long to wait; 0: not at all [{default}]"))
}

fn force() -> Arg {
    flag("force", Some('f'), "With stop: SIGKILL to what is not gone in time")
}

fn quiet() -> Arg {
    flag("quiet", Some('q'), "Print errors only; the exit status tells")
}

fn json() -> Arg {
    flag("json", None, "With status: for programs").conflicts_with("quiet")
}

fn watch() -> Arg {
    flag("watch", None, "With status: show each change until interrupted").conflicts_with("quiet")
}

/// Reads the arguments, the name of the program first.
///
/// # Errors
/// Help, version or a wrong usage, for [`super::answer`].
pub fn parse(arguments: impl IntoIterator<Item = OsString>, settings: &Settings) -> Result<Request, clap::Error> {
    let mut command = command(settings);
    let matches = command.try_get_matches_from_mut(arguments).map_err(|e| explain(&mut command, e))?;
    let above = (&matches, directories_of(&matches));
    let (operation, matches) = match matches.subcommand() {
        None => (Operation::Status, &matches),
        Some((name, matches)) => (by_name(name).unwrap_or(Operation::Status), matches),
    };

    // Options are taken before the operation as well as after it; the nearer one wins.
    let below = directories_of(matches);
    let given = |name: &str| [matches, above.0].iter().any(|m| one(m, name) == Some(true));
    let request = Request {
        directories: Directories { sysdir: below.sysdir.or(above.1.sysdir), rundir: below.rundir.or(above.1.rundir) },
        operation,
        services: many(matches, "service"),
        signal: one(matches, "signal"),
        wait: one(matches, "wait").or_else(|| one(above.0, "wait")),
        force: given("force"),
        quiet: given("quiet"),
        json: given("json"),
        watch: given("watch"),
    };
    let goes = [
        !request.force || operation == Operation::Stop,
        !request.json || operation == Operation::Status,
        !request.watch || operation == Operation::Status,
        request.wait.is_none() || operation.changes(),
    ];
    match goes.iter().zip(PLACES).find(|(goes, _)| !**goes) {
        Some((_, place)) => Err(command.error(ErrorKind::ArgumentConflict, place.2)),
        None => Ok(request),
    }
}

/// Options that go with some operations only, and with which.
const PLACES: [(&str, &str, &str); 4] = [
    ("--force", "-f", "--force goes with stop only"),
    ("--json", "", "--json goes with status only"),
    ("--watch", "", "--watch goes with status only"),
    ("--wait", "-w", "--wait goes only with the operations that change services"),
];

fn by_name(name: &str) -> Option<Operation> {
    GROUPS.iter().flat_map(|group| group.1).find(|entry| entry.name == name).map(|entry| entry.operation)
}

/// What is wrong, in our words: what clap calls a subcommand is an operation here.
fn explain(command: &mut Command, error: clap::Error) -> clap::Error {
    let context = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument => {
            let given = context(ContextKind::InvalidArg);
            match PLACES.iter().find(|place| given == place.0 || given == place.1) {
                Some(place) => command.error(ErrorKind::ArgumentConflict, place.2),
                None => error,
            }
        }
        ErrorKind::InvalidSubcommand => {
            let given = context(ContextKind::InvalidSubcommand);
            let near: Vec<String> = match error.get(ContextKind::SuggestedSubcommand) {
                _ if by_name(&given.to_lowercase()).is_some() => vec![format!("'{}'", given.to_lowercase())],
                // the nearest comes last
                Some(ContextValue::Strings(names)) => {
                    names.iter().rev().take(2).map(|name| format!("'{name}'")).collect()
                }
                Some(ContextValue::String(name)) => vec![format!("'{name}'")],
                _ => Vec::new(),
            };
            let advice = if near.is_empty() {
                let all: Vec<&str> = GROUPS.iter().flat_map(|group| group.1).map(|entry| entry.name).collect();
                format!("it comes before the services, as in 'svctl status NAME', and is one of {}", all.join(", "))
            } else {
                format!("did you mean {}?", near.join(" or "))
            };
            command.error(ErrorKind::InvalidSubcommand, format!("there is no operation '{given}'; {advice}"))
        }
        _ => error,
    }
}
