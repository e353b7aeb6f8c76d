//! As Linux tells it, in /proc.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::geteuid;

use super::super::clock;
use super::super::fault::is_passing;
use super::Facts;
use crate::service::pid::Pid;
use crate::service::record::BootId;

/// Whether the system tells when a process was started, and whether it is a zombie: not without /proc, or with
/// that of other processes.
pub(in super::super) fn knows() -> bool {
    let own = std::process::id().to_string();
    std::fs::read_link("/proc/self").is_ok_and(|link| link.as_os_str().as_bytes() == own.as_bytes())
}

/// Whether all processes are shown: /proc can be mounted so that those of others are not, see proc(5).
pub(in super::super) fn shows_all() -> bool {
    std::fs::metadata("/proc/1").is_ok()
}

pub(super) fn boot_id() -> Result<BootId, Errno> {
    let mut text = [0; 64];
    let text = read("/proc/sys/kernel/random/boot_id", &mut text)?;
    Ok(text.and_then(BootId::parse).unwrap_or(BootId::UNKNOWN))
}

/// From `/proc/PID/stat`, which may be read where more private files of a process may not.
pub(super) fn facts(pid: Pid) -> Result<Option<Facts>, Errno> {
    let mut text = [0; 1024];
    Ok(read(&format!("/proc/{pid}/stat"), &mut text)?.and_then(parse))
}

/// All processes.
pub(super) fn list() -> Result<Vec<(Pid, Facts)>, Errno> {
    let mut found = Vec::new();
    let Some(all) = answer(std::fs::read_dir("/proc"))? else { return Ok(found) };
    for entry in all {
        let Some(entry) = answer(entry)? else { continue };
        let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(pid) = number.and_then(Pid::new) else { continue };
        found.extend(facts(pid)?.map(|facts| (pid, facts)));
    }
    Ok(found)
}

/// The processes of ours that run the tool `name` with `arguments` among theirs, one behind the other; with the last
/// argument of each.
pub(super) fn list_tools(name: &str, arguments: &[&OsStr]) -> Result<Vec<(Pid, Facts, OsString)>, Errno> {
    let mut found = Vec::new();
    for (pid, facts) in list()? {
        if facts.zombie || !is_ours(pid)? {
            continue;
        }
        let Some(line) = answer(std::fs::read(format!("/proc/{pid}/cmdline")))? else { continue };
        let words: Vec<&[u8]> = line.strip_suffix(&[0]).unwrap_or(&line).split(|byte| *byte == 0).collect();
        let is_tool = words[0].rsplit(|byte| *byte == b'/').next() == Some(name.as_bytes());
        let has_all =
            words.windows(arguments.len()).any(|some| some.iter().zip(arguments).all(|(a, b)| *a == b.as_bytes()));
        if is_tool && has_all {
            found.push((pid, facts, OsStr::from_bytes(words[words.len() - 1]).to_owned()));
        }
    }
    Ok(found)
}

/// The files called `name` that a process has open, also those that were removed since.
pub(super) fn open_files(pid: Pid, name: &str) -> Vec<OwnedFd> {
    let all = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    // a removed one has " (deleted)" behind its name, see proc(5)
    let is_it = |path: &Path| path.file_name().is_some_and(|file| file.as_bytes().starts_with(name.as_bytes()));
    let called = all.map(|entry| entry.path()).filter(|path| path.read_link().is_ok_and(|target| is_it(&target)));
    called.filter_map(|path| Some(File::open(path).ok()?.into())).collect()
}

/// Whether a process was executed with all of these variables.
pub(super) fn carries(pid: Pid, variables: &[(&str, &OsStr)]) -> bool {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let strings = environment.split(|byte| *byte == 0);
    variables.iter().all(|(key, value)| {
        let value_of = |string: &[u8]| string.strip_prefix(key.as_bytes())?.strip_prefix(b"=").map(<[u8]>::to_vec);
        strings.clone().find_map(value_of).is_some_and(|found| found == value.as_bytes())
    })
}

/// The effective user of a process.
pub(super) fn user_of(pid: i32) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(format!("/proc/{pid}")).ok().map(|meta| meta.uid())
}

/// Whether a process is ours, and nobody else's who has executed a file that makes him us: such a one has his own
/// arguments.
fn is_ours(pid: Pid) -> Result<bool, Errno> {
    use std::os::unix::fs::MetadataExt;
    let Some(status) = answer(std::fs::read(format!("/proc/{pid}/status")))? else { return Ok(false) };
    let own = geteuid().to_string();
    let users = status.split(|byte| *byte == b'\n').find_map(|line| line.strip_prefix(b"Uid:\t"));
    let is_it = users.is_some_and(|users| users.split(|byte| *byte == b'\t').all(|user| user == own.as_bytes()));
    if !is_it {
        return Ok(false);
    }
    let file = answer(std::fs::metadata(format!("/proc/{pid}/exe")))?;
    Ok(file.is_none_or(|file| file.mode() & libc::S_ISUID == 0))
}

/// What a link in /proc says.
pub(super) fn standard_error_of(pid: Pid) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/fd/2")).ok()
}

/// How long ago something was started at `start`; zero if that is not known.
pub(super) fn age(start: u64) -> Duration {
    if start == 0 {
        return Duration::ZERO;
    }
    // SAFETY: sysconf(3) only reads a setting.
    let ticks = u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) }).unwrap_or(100).max(1);
    let started = Duration::from_millis(start.saturating_mul(1000) / ticks);
    clock::uptime().saturating_sub(started)
}

/// What was read, or that there is nothing; not being able to look just now is neither.
fn answer<T>(read: std::io::Result<T>) -> Result<Option<T>, Errno> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) => match error.raw_os_error().map(Errno::from_raw) {
            Some(errno) if is_passing(errno) => Err(errno),
            _ => Ok(None),
        },
    }
}

fn read<'b>(path: &str, buffer: &'b mut [u8]) -> Result<Option<&'b [u8]>, Errno> {
    let n = answer(File::open(path).and_then(|mut file| file.read(buffer)))?;
    Ok(n.map(|n| &buffer[..n]))
}

/// The fields are numbered in proc(5); the second is a name that may have anything in it, so
/// they are counted from its closing parenthesis.
fn parse(text: &[u8]) -> Option<Facts> {
    let after = text.iter().rposition(|b| *b == b')')? + 2;
    let rest = std::str::from_utf8(text.get(after..)?).ok()?;
    let mut fields = rest.split(' ');
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    let session = fields.next()?.parse().ok()?;
    let threads: u32 = fields.nth(20 - 7)?.parse().ok()?;
    let start = fields.nth(22 - 21)?.parse().ok()?;
    // the first thread may end before the others, and is a zombie then
    let (zombie, suspended) = (matches!(state, "Z" | "X") && threads <= 1, state == "T");
    Some(Facts { zombie, suspended, parent, group, session, start })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_name_with_parentheses_and_spaces_is_no_trouble() {
        let text = b"42 (a) Z 1 (b)) S 7 40 39 0 -1 4194304 98 0 0 0 0 0 0 0 20 0 1 0 11813 3133440 382";
        let facts = super::parse(text).expect("it is well formed");
        assert_eq!((facts.parent, facts.group, facts.session, facts.start), (7, 40, 39, 11813));
        assert!(!facts.zombie);
        assert_eq!(super::parse(b"42 (a) S 7"), None);
        assert_eq!(super::parse(b""), None);
    }

    #[test]
    fn a_process_whose_first_thread_has_ended_is_a_zombie_only_without_others() {
        let zombie = |threads| {
            let text = format!("42 (a) Z 7 40 39 0 -1 4194304 98 0 0 0 0 0 0 0 20 0 {threads} 0 11813 0 0");
            super::parse(text.as_bytes()).expect("it is well formed").zombie
        };
        assert_eq!([zombie(0), zombie(1), zombie(2)], [true, true, false]);
    }
}
