//! Reading the arguments of sysmgr and runsyssv, as `cli` defines them, without clap.
//!
//! These two stay: there is one runsyssv for each service, and what reading arguments has allocated
//! would stay with each of them. A test holds this against clap.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use crate::cli::{self, Directories, Verbosity};
use crate::service::name::Printable;
use crate::service::nearest::nearest;
use crate::sys::{message, program};

/// What a tool is asked to do.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The directories given.
    pub directories: Directories,
    /// How much it says.
    pub verbosity: Verbosity,
    /// The service, by its name or path, for a tool that takes one.
    pub service: OsString,
}

/// What the arguments say.
#[derive(Debug, PartialEq, Eq)]
enum Arguments {
    /// Do this.
    Request(Request),
    /// Print the help.
    Help,
    /// Print the version.
    Version,
    /// What is wrong with them.
    Wrong(String),
}

/// The arguments of this program; or the exit code, when help, version or what is wrong was said
/// instead. `help` has a line with the usage.
///
/// # Errors
/// The exit code.
pub fn of_program(tool: &str, help: &str, takes_service: bool) -> Result<Request, u8> {
    match read(program::arguments().into_iter().skip(1), takes_service) {
        Arguments::Request(request) => Ok(request),
        Arguments::Help => Err(tell(help)),
        Arguments::Version => Err(tell(&format!("{tool} {}\n", env!("CARGO_PKG_VERSION")))),
        Arguments::Wrong(why) => {
            let usage = help.lines().find(|line| line.starts_with("Usage:")).unwrap_or_default();
            message::say(format_args!("{tool}: {why}\n\n{usage}\n\nFor more information, try '--help'."));
            Err(cli::USAGE)
        }
    }
}

/// Prints what was asked for, and gives the exit code.
fn tell(text: &str) -> u8 {
    u8::from(!message::print(text))
}

/// Reads arguments, without the name of the program; with one operand or none.
#[must_use]
fn read(arguments: impl IntoIterator<Item = OsString>, takes_service: bool) -> Arguments {
    let mut arguments = arguments.into_iter();
    let mut request = Request::default();
    let mut operand = None;
    let mut only_operands = false;
    while let Some(argument) = arguments.next() {
        let bytes = argument.as_bytes();
        if only_operands || !bytes.starts_with(b"-") || bytes == b"-" {
            if operand.is_some() || !takes_service {
                return unexpected(&argument);
            }
            operand = Some(argument);
        } else if bytes == b"--" {
            only_operands = true;
        } else if bytes.starts_with(b"--") {
            let (name, value) = split(bytes);
            let directory = match name {
                b"--sysdir" => &mut request.directories.sysdir,
                b"--rundir" => &mut request.directories.rundir,
                _ => match (long(name), value) {
                    (Some(flag), None) => match flag {
                        Flag::Verbosity(verbosity) => {
                            request.verbosity = verbosity;
                            continue;
                        }
                        Flag::Help => return Arguments::Help,
                        Flag::Version => return Arguments::Version,
                    },
                    _ => return unexpected(&argument),
                },
            };
            let next = || arguments.next().filter(|next| !next.as_bytes().starts_with(b"-") || next.len() == 1);
            let Some(value) = value.map(|value| OsStr::from_bytes(value).to_owned()).or_else(next) else {
                let name = Printable(name);
                return Arguments::Wrong(format!("a value is required for '{name} <DIR>' but none was supplied"));
            };
            *directory = Some(value);
        } else {
            for letter in &bytes[1..] {
                match letter {
                    b'v' => request.verbosity = Verbosity::Verbose,
                    b'q' => request.verbosity = Verbosity::Quiet,
                    b'h' => return Arguments::Help,
                    b'V' => return Arguments::Version,
                    _ => return unexpected(OsStr::from_bytes(&[b'-', *letter])),
                }
            }
        }
    }
    match operand {
        Some(service) => Arguments::Request(Request { service, ..request }),
        None if !takes_service => Arguments::Request(request),
        None => Arguments::Wrong("the required argument <SERVICE> was not provided".to_owned()),
    }
}

const LONG: [&str; 6] = ["--sysdir", "--rundir", "--verbose", "--quiet", "--help", "--version"];

enum Flag {
    Verbosity(Verbosity),
    Help,
    Version,
}

fn long(name: &[u8]) -> Option<Flag> {
    match name {
        b"--verbose" => Some(Flag::Verbosity(Verbosity::Verbose)),
        b"--quiet" => Some(Flag::Verbosity(Verbosity::Quiet)),
        b"--help" => Some(Flag::Help),
        b"--version" => Some(Flag::Version),
        _ => None,
    }
}

fn split(argument: &[u8]) -> (&[u8], Option<&[u8]>) {
    match argument.iter().position(|byte| *byte == b'=') {
        Some(at) => (&argument[..at], Some(&argument[at + 1..])),
        None => (argument, None),
    }
}

fn unexpected(argument: &OsStr) -> Arguments {
    let shown = Printable(argument.as_bytes()).to_string();
    let tip = nearest(&shown.as_str(), &LONG)
        .filter(|_| shown.starts_with("--"))
        .map(|near| format!("\n\n  tip: a similar argument exists: '{near}'"));
    Arguments::Wrong(format!("unexpected argument '{shown}' found{}", tip.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Request, read};
    use crate::cli;
    use crate::settings::BUILT_IN;
    use std::ffi::OsString;

    const WORDS: [&str; 13] = [
        "web",
        "/x/web",
        "-",
        "--",
        "-vq",
        "-qx",
        "--verbose",
        "--quiet",
        "--sysdir",
        "--sysdir=/s",
        "--rundir=",
        "--verbose=1",
        "",
    ];

    #[test]
    fn they_are_read_as_clap_would() {
        let mut lines: Vec<Vec<&str>> = vec![vec![]];
        for _ in 0..3 {
            let longer: Vec<Vec<&str>> = lines
                .iter()
                .flat_map(|line| WORDS.iter().map(|word| line.iter().chain([word]).copied().collect()))
                .collect();
            lines.extend(longer);
        }
        for line in lines {
            let arguments = || line.iter().map(OsString::from);
            let all = |tool: &str| [OsString::from(tool)].into_iter().chain(arguments());
            let one = cli::runsyssv::parse(all("runsyssv"), &BUILT_IN).ok().map(|request| Request {
                directories: request.directories,
                verbosity: request.verbosity,
                service: request.service,
            });
            let none = cli::sysmgr::parse(all("sysmgr"), &BUILT_IN).ok().map(|request| Request {
                directories: request.directories,
                verbosity: request.verbosity,
                service: OsString::new(),
            });
            for (takes_service, expected) in [(true, one), (false, none)] {
                let request = match read(arguments(), takes_service) {
                    Arguments::Request(request) => Some(request),
                    Arguments::Wrong(_) => None,
                    other => panic!("{line:?}: {other:?}"),
                };
                assert_eq!(request, expected, "{line:?}");
            }
        }
    }

    #[test]
    fn help_and_version_are_found() {
        let one = |word: &str| read([OsString::from("-v"), OsString::from(word), OsString::from("web")], true);
        assert_eq!((one("-h"), one("--help")), (Arguments::Help, Arguments::Help));
        assert_eq!((one("-V"), one("--version")), (Arguments::Version, Arguments::Version));
    }
}
