//! The status file: what is known of a service, as `key='value'` lines that `sh` can source.

use std::fmt::{self, Write as _};

use super::ended::Ended;
use super::moment::Moment;
use super::pid::Pid;

/// In which state a service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its process exists but does not execute the service yet.
    Starting,
    /// It runs.
    Up,
    /// It was told to end and has not yet.
    Stopping,
    /// Its main process is gone; what it left behind is being ended.
    Clearing,
    /// It has failed and waits for its next start.
    Backoff,
    /// It has no process and gets none.
    Down,
    /// Its file can't be a service as it is; tried again when that changes.
    Refused,
}

impl Phase {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Starting, "starting"),
        (Self::Up, "up"),
        (Self::Stopping, "stopping"),
        (Self::Clearing, "clearing"),
        (Self::Backoff, "backoff"),
        (Self::Down, "down"),
        (Self::Refused, "refused"),
    ];

    /// The word for it in the file.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(phase, _)| *phase == self).map_or("", |(_, word)| word)
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, w)| *w == word).map(|(phase, _)| *phase)
    }
}

/// What the status file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The state of the service.
    pub phase: Phase,
    /// Since when, in seconds of the time of day (for people).
    pub since: u64,
    /// Since when, on the monotonic clock (for reckoning).
    pub since_ms: Moment,
    /// The boot to which the moments and process ids belong.
    pub boot: String,
    /// The main process, while there is one.
    pub pid: Option<Pid>,
    /// When that process was started, as in the record.
    pub start_time: Option<u64>,
    /// How often the service was started since it was last down.
    pub starts: u64,
    /// How often in a row it has ended too soon.
    pub failures: u32,
    /// How its last run ended.
    pub last_exit: Option<Ended>,
    /// How long its last run was, in milliseconds.
    pub last_run_ms: Option<u64>,
    /// Whether it ended its last run because it was told to.
    pub by_order: bool,
    /// When it is tried again.
    pub next_try_ms: Option<Moment>,
    /// The standing order, as the lock has it.
    pub order: Option<String>,
    /// Why it is so, in words.
    pub reason: Option<String>,
}

impl Status {
    /// A status that says nothing yet but in which state the service is.
    #[must_use]
    pub fn new(phase: Phase, since: u64, since_ms: Moment, boot: String) -> Self {
        Self {
            phase,
            since,
            since_ms,
            boot,
            pid: None,
            start_time: None,
            starts: 0,
            failures: 0,
            last_exit: None,
            last_run_ms: None,
            by_order: false,
            next_try_ms: None,
            order: None,
            reason: None,
        }
    }

    /// Reads a status file; keys that it does not know are passed over, since a later version may
    /// have them. `None` if it is no status.
    #[must_use]
    pub fn decode(content: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(content).ok()?;
        let mut phase = None;
        let mut status = Self::new(Phase::Down, 0, Moment(0), String::new());
        for line in text.strip_suffix('\n')?.split('\n') {
            let (key, quoted) = line.split_once('=')?;
            let value = unquote(quoted)?;
            match key {
                "state" => phase = Some(Phase::parse(&value)?),
                "since" => status.since = value.parse().ok()?,
                "since_ms" => status.since_ms = Moment(value.parse().ok()?),
                "boot" => status.boot = value,
                "pid" => status.pid = Some(Pid::parse(value.as_bytes())?),
                "start_time" => status.start_time = Some(value.parse().ok()?),
                "starts" => status.starts = value.parse().ok()?,
                "failures" => status.failures = value.parse().ok()?,
                "last_exit" => status.last_exit = Some(Ended::parse(&value)?),
                "last_run_ms" => status.last_run_ms = Some(value.parse().ok()?),
                "by_order" => status.by_order = true,
                "next_try_ms" => status.next_try_ms = Some(Moment(value.parse().ok()?)),
                "order" => status.order = Some(value),
                "reason" => status.reason = Some(value),
                _ => {}
            }
        }
        status.phase = phase?;
        Some(status)
    }
}

/// The content of the file.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "state='{}'\nsince='{}'\nsince_ms='{}'", self.phase.word(), self.since, self.since_ms.0)?;
        writeln!(f, "boot='{}'", Quoted(&self.boot))?;
        if let Some(pid) = self.pid {
            writeln!(f, "pid='{pid}'")?;
        }
        if let Some(start) = self.start_time {
            writeln!(f, "start_time='{start}'")?;
        }
        writeln!(f, "starts='{}'\nfailures='{}'", self.starts, self.failures)?;
        if let Some(ended) = self.last_exit {
            writeln!(f, "last_exit='{ended}'")?;
        }
        if let Some(length) = self.last_run_ms {
            writeln!(f, "last_run_ms='{length}'")?;
        }
        if self.by_order {
            writeln!(f, "by_order='yes'")?;
        }
        if let Some(moment) = self.next_try_ms {
            writeln!(f, "next_try_ms='{}'", moment.0)?;
        }
        if let Some(order) = &self.order {
            writeln!(f, "order='{}'", Quoted(order))?;
        }
        if let Some(reason) = &self.reason {
            writeln!(f, "reason='{}'", Quoted(reason))?;
        }
        Ok(())
    }
}

/// Text inside single quotes of sh(1), kept on one line.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\'' => f.write_str("'\\''")?,
                c if c.is_control() => f.write_char(' ')?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

fn unquote(quoted: &str) -> Option<String> {
    let inner = quoted.strip_prefix('\'')?.strip_suffix('\'')?;
    let mut parts = inner.split('\'');
    let mut value = parts.next()?.to_owned();
    while let Some(part) = parts.next() {
        if part != "\\" || parts.next() != Some("") {
            return None;
        }
        value.push('\'');
        value.push_str(parts.next()?);
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::{Ended, Moment, Phase, Pid, Status};
    use crate::service::rubbish::variations;

    fn full() -> Status {
        Status {
            phase: Phase::Backoff,
            since: 1_700_000_000,
            since_ms: Moment(12_345),
            boot: "3fa1-x".into(),
            pid: Pid::new(77),
            start_time: Some(4242),
            starts: 7,
            failures: 3,
            last_exit: Some(Ended::Signal { number: 11, core: true }),
            last_run_ms: Some(200),
            by_order: true,
            next_try_ms: Some(Moment(99_999)),
            order: Some("it's $(x) `y` \"z\"".into()),
            reason: Some("''quoted''".into()),
        }
    }

    #[test]
    fn written_and_read_back() {
        let least = Status::new(Phase::Down, 1, Moment(2), String::new());
        for status in [full(), least] {
            assert_eq!(Status::decode(status.to_string().as_bytes()), Some(status));
        }
    }

    #[test]
    fn unknown_keys_are_passed_over() {
        let text = format!("{}future='x'\n", full());
        assert_eq!(Status::decode(text.as_bytes()), Some(full()));
    }

    #[test]
    fn rubbish_is_none() {
        let text = full().to_string();
        assert_eq!(Status::decode(&text.as_bytes()[..text.len() / 2]), None);
        for rubbish in [&b""[..], b"\n", b"state=up\n", b"state='flying'\n", b"pid='1'\nstate='up'\n", b"\xff\n"] {
            assert_eq!(Status::decode(rubbish), None, "{rubbish:?}");
        }
    }

    #[test]
    fn sh_sources_it_and_runs_nothing() {
        let mut status = full();
        status.reason = Some("a'b\n$(touch /nonexistent/x) `false`".into());
        let script = format!("{status}printf %s \"$reason|$order|$state\"");
        let shell = std::process::Command::new("/bin/sh").arg("-c").arg(script).output().expect("there is a shell");
        let said = String::from_utf8_lossy(&shell.stdout);
        assert_eq!(said, "a'b $(touch /nonexistent/x) `false`|it's $(x) `y` \"z\"|backoff");
        assert!(shell.stderr.is_empty());
    }

    #[test]
    fn whatever_stands_there_gives_a_whole_status_or_none() {
        let (full, least) = (full().to_string(), Status::new(Phase::Up, 1, Moment(2), String::new()).to_string());
        variations(&[full.as_bytes(), least.as_bytes(), b"reason='a'\\''b'\nlast_exit='signal 9'\n"], |content| {
            let Some(status) = Status::decode(content) else { return };
            let written = status.to_string();
            let read = Status::decode(written.as_bytes()).expect("what we write we can read");
            assert_eq!(read.to_string(), written, "{content:?}");
            assert!(status.pid.is_none_or(|pid| pid.raw() >= 2), "{content:?}");
        });
    }
}
