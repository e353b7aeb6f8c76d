//! As ps(1) tells it; but when a process was started, and whether it is a zombie, only where `one` knows.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::{User, geteuid};

use super::{Facts, one, session_of};
use crate::service::pid::Pid;
use crate::service::record::BootId;

/// Whether the system tells when a process was started, and whether it is a zombie.
pub(in super::super) fn knows() -> bool {
    one::knows()
}

/// Whether all processes are shown.
pub(in super::super) const fn shows_all() -> bool {
    true
}

pub(super) fn boot_id() -> Result<BootId, Errno> {
    Ok(BootId::UNKNOWN)
}

pub(super) fn facts(pid: Pid) -> Result<Option<Facts>, Errno> {
    one::facts(pid)
}

/// All processes.
pub(super) fn list() -> Result<Vec<(Pid, Facts)>, Errno> {
    let text = ps(&["pid", "ppid", "pgid"])?;
    Ok(text.split(|byte| *byte == b'\n').filter_map(|line| fields(line).map(|(pid, facts, _)| (pid, facts))).collect())
}

/// The processes of ours that run the tool `name` with `arguments` among theirs; with the last argument of each.
pub(super) fn list_tools(name: &str, arguments: &[&OsStr]) -> Result<Vec<(Pid, Facts, OsString)>, Errno> {
    let text = ps(&["pid", "ppid", "pgid", "user", "ruser", "args"])?;
    let own = geteuid();
    let user = User::from_uid(own).ok().flatten().map_or_else(|| own.to_string(), |user| user.name);
    let arguments = arguments.join(OsStr::new(" "));
    let lines = text.split(|byte| *byte == b'\n');
    let found = lines.filter_map(|line| {
        let (pid, facts, rest) = fields(line)?;
        let (owner, rest) = word(rest);
        // who has executed a file that makes him us is somebody else in truth
        let (starter, args) = word(rest);
        // where a name is too long, its number stands there
        let is_us = |name: &[u8]| name == user.as_bytes() || name == own.to_string().as_bytes();
        let last = operand(args, name, arguments.as_bytes()).filter(|_| is_us(owner) && is_us(starter))?;
        Some((pid, facts, OsStr::from_bytes(last).to_owned()))
    });
    Ok(found.collect())
}

/// Which files a process has open is not told.
pub(super) fn open_files(_: Pid, _: &str) -> Vec<OwnedFd> {
    Vec::new()
}

/// With which variables a process was executed is not told.
pub(super) fn carries(_: Pid, _: &[(&str, &OsStr)]) -> bool {
    false
}

/// Whose a process is, is not asked.
pub(super) fn user_of(_: i32) -> Option<u32> {
    None
}

/// Where its messages go is not known.
pub(super) fn standard_error_of(_: Pid) -> Option<PathBuf> {
    None
}

/// How long ago something was started at `start`.
pub(super) fn age(start: u64) -> Duration {
    one::age(start)
}

/// A table of all processes with these columns, without headings.
fn ps(columns: &[&str]) -> Result<Vec<u8>, Errno> {
    let mut command = Command::new("ps");
    command.arg("-A");
    for column in columns {
        command.arg("-o").arg(format!("{column}="));
    }
    // lines are not to be cut
    if cfg!(sysmgr_bsd) {
        command.arg("-ww");
    }
    command.env("COLUMNS", "32767").stdin(Stdio::null()).stderr(Stdio::null());
    match command.output() {
        Ok(output) if output.status.success() => Ok(output.stdout),
        Ok(_) => Err(Errno::EIO),
        Err(error) => Err(Errno::from_raw(error.raw_os_error().unwrap_or(nix::libc::EIO))),
    }
}

/// A line of the table: its first three columns, and the rest.
fn fields(line: &[u8]) -> Option<(Pid, Facts, &[u8])> {
    let (pid, rest) = word(line);
    let (parent, rest) = word(rest);
    let (group, rest) = word(rest);
    let number = |text| std::str::from_utf8(text).ok()?.parse::<i32>().ok();
    let pid = Pid::new(number(pid)?)?;
    let facts = if knows() {
        facts(pid).ok()??
    } else {
        let session = session_of(pid).ok()?;
        let (parent, group) = (number(parent)?, number(group)?);
        Facts { zombie: false, suspended: false, parent, group, session, start: 0 }
    };
    Some((pid, facts, rest))
}

/// The first word, and what comes after it.
fn word(text: &[u8]) -> (&[u8], &[u8]) {
    let text = text.trim_ascii_start();
    text.split_at(text.iter().position(|byte| *byte == b' ').unwrap_or(text.len()))
}

/// The last argument of the tool `name` in a command line whose arguments stand there with blanks between them, if
/// `arguments` are among them.
fn operand<'l>(line: &'l [u8], name: &str, arguments: &[u8]) -> Option<&'l [u8]> {
    let (program, rest) = word(line);
    let is_tool = program.rsplit(|byte| *byte == b'/').next() == Some(name.as_bytes());
    let sought = [b" ", arguments, b" "].concat();
    let at = rest.windows(sought.len()).position(|part| part == sought).filter(|_| is_tool)?;
    let mut last = rest[at + sought.len()..].trim_ascii_end();
    for flag in ["-q ", "-v "] {
        last = last.strip_prefix(flag.as_bytes()).unwrap_or(last);
    }
    // ps(1) has its own way to show everything else
    let is_plain = last.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'\\'));
    (is_plain && !last.is_empty()).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::{fields, operand};

    #[test]
    fn the_operand_stands_behind_the_arguments() {
        let of = |line: &str| operand(line.as_bytes(), "runsyssv", b"--rundir /r").map(<[u8]>::to_vec);
        assert_eq!(of("runsyssv --sysdir /s --rundir /r web").as_deref(), Some(&b"web"[..]));
        assert_eq!(of("/bin/runsyssv --rundir /r -q web ").as_deref(), Some(&b"web"[..]));
        assert_eq!(of("runsyssv --rundir /r2 web"), None);
        assert_eq!(of("vi --rundir /r web"), None);
        assert_eq!(of("runsyssv --rundir /r a b"), None);
        assert_eq!(of("runsyssv --rundir /r ?"), None);
        assert_eq!(of("runsyssv --rundir /r "), None);
    }

    #[test]
    fn a_line_is_numbers_and_the_rest() {
        let own = std::process::id();
        let line = format!("  {own}  2 33 root x y");
        let (pid, facts, rest) = fields(line.as_bytes()).expect("it is well formed");
        assert_eq!((pid.raw().unsigned_abs(), facts.parent, facts.group), (own, 2, 33));
        assert_eq!(rest, b" root x y");
        assert_eq!(fields(b"PID PPID PGID"), None);
        assert_eq!(fields(b""), None);
    }
}
