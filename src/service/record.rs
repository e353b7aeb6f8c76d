//! The record in `.owner`: which process a supervisor has started.

use super::pid::Pid;

/// The bytes that a record takes in its file, whatever it says: allocated when the file is made, so
/// that a full disk can't prevent a record from being written.
pub const LENGTH: usize = 160;

/// The version of the format. A reader takes any later one too, as long as its first fields are
/// these: a later version may only add fields at the end, and then must do without them where an older
/// one has written. It may be longer too: what is beyond `LENGTH` is nothing that this one knows.
const VERSION: u32 = 1;

/// Which boot of the machine a number is of: process ids and start times repeat after a reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BootId {
    length: u8,
    bytes: [u8; 40],
}

impl BootId {
    /// Where the system does not say.
    pub const UNKNOWN: Self = Self::dash();

    const fn dash() -> Self {
        let mut bytes = [0; 40];
        bytes[0] = b'-';
        Self { length: 1, bytes }
    }

    /// The id as the system gives it: up to 40 letters, digits and dashes.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let mut bytes = [0; 40];
        let length = u8::try_from(text.len()).ok().filter(|n| (1..=40).contains(n))?;
        if !text.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-') {
            return None;
        }
        bytes[..text.len()].copy_from_slice(text);
        Some(Self { length, bytes })
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or("-")
    }
}

/// A process, known for certain: its number together with when it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its process id.
    pub pid: Pid,
    /// When it was started, in clock ticks since boot (`/proc/PID/stat`, field 22 of proc(5)); 0
    /// where the system does not say.
    pub start: u64,
}

/// What a supervisor has been told by a signal, and has to remember beyond its own death.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Told {
    /// To stop the service with SIGTERM.
    Stop,
    /// To end it with SIGKILL.
    Kill,
}

/// One run of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The main process.
    pub process: Process,
    /// The process group in which it was started.
    pub group: Pid,
    /// The session in which it was started; 0 if its leader is in an outer PID namespace.
    pub session: i32,
}

/// What `.owner` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// The boot in which it was written.
    pub boot: BootId,
    /// The run that has not been cleared away yet.
    pub run: Option<Run>,
    /// An order by signal that is being carried out.
    pub told: Option<Told>,
    /// Whether the lock has been seen since: its removal takes back what was told.
    pub locked: bool,
}

impl Record {
    /// One of which nothing more is known.
    #[must_use]
    pub const fn of(boot: BootId, run: Option<Run>) -> Self {
        Self { boot, run, told: None, locked: false }
    }

    /// The content of the file: one line, filled up with blanks.
    #[must_use]
    pub fn encode(&self) -> [u8; LENGTH] {
        let mut bytes = [b' '; LENGTH];
        bytes[LENGTH - 1] = b'\n';
        let (pid, start, group, session) = match self.run {
            Some(run) => (run.process.pid.raw(), run.process.start, run.group.raw(), run.session),
            None => (0, 0, 0, 0),
        };
        let told = match self.told {
            None => "-",
            Some(Told::Stop) => "stop",
            Some(Told::Kill) => "kill",
        };
        let locked = if self.locked { " locked" } else { "" };
        let boot = self.boot.as_str();
        // At most 7 + 10 + 41 + 3 * 12 + 21 + 5 + 7 bytes: it always fits.
        let text = format!("sysmgr {VERSION} {boot} {pid} {start} {group} {session} {told}{locked}");
        bytes.iter_mut().take(LENGTH - 1).zip(text.bytes()).for_each(|(place, byte)| *place = byte);
        bytes
    }

    /// Reads the content of the file; `None` if it is no record. All that this version knows stands
    /// in the first `LENGTH` bytes.
    #[must_use]
    pub fn decode(content: &[u8]) -> Option<Self> {
        let content = content.get(..LENGTH).unwrap_or(content);
        let end = content.iter().position(|b| *b == b'\n').or((content.len() == LENGTH).then_some(LENGTH))?;
        let line = std::str::from_utf8(&content[..end]).ok()?;
        let mut words = line.split(' ');
        if words.next()? != "sysmgr" || words.next()?.parse::<u32>().ok()? < VERSION {
            return None;
        }
        let boot = BootId::parse(words.next()?.as_bytes())?;
        let pid: i32 = words.next()?.parse().ok()?;
        let start = words.next()?.parse().ok()?;
        let group: i32 = words.next()?.parse().ok()?;
        let session: i32 = words.next()?.parse().ok()?;
        let told = match words.next()? {
            "-" => None,
            "stop" => Some(Told::Stop),
            "kill" => Some(Told::Kill),
            _ => return None,
        };
        let run = if pid == 0 {
            None
        } else {
            let process = Process { pid: Pid::new(pid)?, start };
            Some(Run { process, group: Pid::new(group)?, session: Some(session).filter(|s| *s >= 0)? })
        };
        Some(Self { boot, run, told, locked: words.next() == Some("locked") })
    }
}

#[cfg(test)]
mod tests {
    use super::{BootId, LENGTH, Pid, Process, Record, Run, Told};
    use crate::service::rubbish::variations;

    fn pid(raw: i32) -> Pid {
        Pid::new(raw).expect("a number from a test")
    }

    fn sample() -> Record {
        let boot = BootId::parse(b"3fa164de-f154-4387-82ef-cdd9a756bf93\n").expect("valid");
        let process = Process { pid: pid(i32::MAX), start: u64::MAX };
        let run = Run { process, group: pid(i32::MAX), session: i32::MAX };
        Record { boot, run: Some(run), told: Some(Told::Kill), locked: true }
    }

    #[test]
    fn written_and_read_back_and_always_of_one_length() {
        let longest = sample();
        let none = Record::of(BootId::UNKNOWN, None);
        for record in [longest, none] {
            let bytes = record.encode();
            assert_eq!(bytes[LENGTH - 1], b'\n');
            assert_eq!(Record::decode(&bytes), Some(record));
        }
    }

    #[test]
    fn a_later_version_with_more_fields_is_understood() {
        let mut text = String::from_utf8_lossy(&sample().encode()).trim_end().replacen("sysmgr 1", "sysmgr 2", 1);
        text.push_str(" something new\n");
        assert_eq!(Record::decode(text.as_bytes()), Some(sample()));
    }

    #[test]
    fn a_longer_record_of_a_later_version_is_understood_and_a_shorter_one_of_an_older() {
        let line = String::from_utf8_lossy(&sample().encode()).trim_end().to_owned();
        let later = format!("{line:<400}\n").replacen("sysmgr 1", "sysmgr 2", 1);
        assert_eq!(Record::decode(later.as_bytes()), Some(sample()));
        assert_eq!(Record::decode(&later.as_bytes()[..LENGTH]), Some(sample()));
        assert_eq!(Record::decode(&later.as_bytes()[..LENGTH - 1]), None, "it was cut short");
        assert_eq!(Record::decode(format!("{line}\n").as_bytes()), Some(sample()));
    }

    #[test]
    fn an_earlier_version_with_fewer_fields_is_understood() {
        let text = String::from_utf8_lossy(&sample().encode()).replacen(" locked", "", 1);
        assert_eq!(Record::decode(text.as_bytes()), Some(Record { locked: false, ..sample() }));
    }

    #[test]
    fn no_part_of_a_record_is_a_record_and_no_change_of_a_byte_panics() {
        let bytes = sample().encode();
        let line = bytes.iter().position(|b| *b == b'\n').expect("a line");
        for end in 0..line {
            assert_eq!(Record::decode(&bytes[..end]), None);
        }
        for at in 0..line {
            for byte in [0, b' ', b'-', b'0', b'9', b'\n', 0xff] {
                let mut changed = bytes;
                changed[at] = byte;
                if let Some(Record { run: Some(run), .. }) = Record::decode(&changed) {
                    assert!(run.process.pid.raw() >= 2 && run.group.raw() >= 2 && run.session >= 0);
                }
            }
        }
    }

    #[test]
    fn whatever_stands_there_gives_a_whole_record_or_none() {
        let (full, empty) = (sample().encode(), Record::of(BootId::UNKNOWN, None).encode());
        variations(&[&full, &empty, b"sysmgr 2 - 0 0 0 0 -", b" -1 1 2 stop kill\n"], |content| {
            let Some(record) = Record::decode(content) else { return };
            assert_eq!(Record::decode(&record.encode()), Some(record), "{content:?}");
            if let Some(run) = record.run {
                assert!(run.process.pid.raw() >= 2 && run.group.raw() >= 2 && run.session >= 0, "{content:?}");
            }
        });
    }
}
