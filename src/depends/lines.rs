//! The written forms of `waiting` and `depends`.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use crate::service::name::{Name, Printable};
use crate::service::pid::Pid;
use crate::service::record::Process;

/// What somebody waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Awaited {
    /// That a service is up.
    Up(Name),
    /// That a service is up and says that it is ready.
    Ready(Name),
    /// That there is something at this path, which begins with a slash.
    Path(Vec<u8>),
}

/// What follows the name of a service whose ready file is awaited. No name has a slash.
const READY: &[u8] = b"/ready";

impl Awaited {
    /// The service that it is about.
    #[must_use]
    pub fn service(&self) -> Option<&Name> {
        match self {
            Self::Up(name) | Self::Ready(name) => Some(name),
            Self::Path(_) => None,
        }
    }

    /// The name of the service, or the path.
    #[must_use]
    pub fn plain(&self) -> String {
        match self {
            Self::Up(name) | Self::Ready(name) => name.to_string(),
            Self::Path(path) => Printable(path).to_string(),
        }
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let name = |bytes| Name::new(OsStr::from_bytes(bytes)).ok();
        match text {
            [b'/', ..] => Some(Self::Path(text.to_vec())),
            _ => match text.strip_suffix(READY) {
                Some(service) => name(service).map(Self::Ready),
                None => name(text).map(Self::Up),
            },
        }
    }

    fn write(&self, line: &mut Vec<u8>) {
        match self {
            Self::Up(name) => line.extend_from_slice(name.as_bytes()),
            Self::Ready(name) => line.extend([name.as_bytes(), READY].concat()),
            // the end of a line ends it
            Self::Path(path) => line.extend(path.iter().map(|b| if *b == b'\n' { b'?' } else { *b })),
        }
    }
}

/// In words.
impl fmt::Display for Awaited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up(name) => name.fmt(f),
            Self::Ready(name) => write!(f, "{name} to be ready"),
            Self::Path(path) => Printable(path).fmt(f),
        }
    }
}

/// A line of `waiting`: one process, and one thing that it waits for. A process that waits for
/// several has several lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiter {
    /// The sysmgr-depends that waits.
    pub process: Process,
    /// For what.
    pub awaited: Awaited,
}

/// Reads `waiting`: lines `PID START WHAT`. Rubbish is passed over.
#[must_use]
pub fn read_waiting(content: &[u8]) -> Vec<Waiter> {
    let waiter = |line: &[u8]| {
        let mut parts = line.splitn(3, |b| *b == b' ');
        let pid = Pid::parse(parts.next()?)?;
        let start = std::str::from_utf8(parts.next()?).ok()?.parse().ok()?;
        let awaited = Awaited::parse(parts.next()?)?;
        let process = Process { pid, start };
        Some(Waiter { process, awaited })
    };
    content.split(|b| *b == b'\n').filter_map(waiter).collect()
}

/// The content of `waiting`.
#[must_use]
pub fn write_waiting(waiters: &[Waiter]) -> Vec<u8> {
    let mut content = Vec::new();
    for Waiter { process, awaited } in waiters {
        content.extend(format!("{} {} ", process.pid, process.start).bytes());
        awaited.write(&mut content);
        content.push(b'\n');
    }
    content
}

/// Reads `depends`: one name a line. Rubbish is passed over.
#[must_use]
pub fn read_depends(content: &[u8]) -> Vec<Name> {
    content.split(|b| *b == b'\n').filter_map(|line| Name::new(OsStr::from_bytes(line)).ok()).collect()
}

/// The content of `depends`.
#[must_use]
pub fn write_depends(names: &[Name]) -> Vec<u8> {
    let mut content = Vec::new();
    for name in names {
        content.extend_from_slice(name.as_bytes());
        content.push(b'\n');
    }
    content
}

#[cfg(test)]
mod tests {
    use super::{Awaited, Name, Pid, Process, Waiter, read_depends, read_waiting, write_depends, write_waiting};
    use crate::service::rubbish::variations;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    fn name(bytes: &[u8]) -> Name {
        Name::new(OsStr::from_bytes(bytes)).expect("a name from a test")
    }

    #[test]
    fn written_and_read_back_with_the_oddest_names() {
        let process = Process { pid: Pid::new(77).expect("valid"), start: 4242 };
        let awaited = [
            Awaited::Up(name(b"db")),
            Awaited::Up(name(b"with space  and ready")),
            Awaited::Ready(name(b"\xff '$(id)' ")),
            Awaited::Ready(name(b"ready")),
            Awaited::Path(b"/run/a b/ready".to_vec()),
        ];
        let waiters = awaited.map(|awaited| Waiter { process, awaited });
        assert_eq!(read_waiting(&write_waiting(&waiters)), waiters);
        let names = [name(b"a"), name(b" b "), name(b"\xfe")];
        assert_eq!(read_depends(&write_depends(&names)), names);
    }

    #[test]
    fn rubbish_is_passed_over() {
        for rubbish in [
            &b""[..],
            b"\n\n",
            b"1 2 db\n",
            b"77 x db\n",
            b"77 4242\n",
            b"77 4242 \n",
            b"77 4242 .x\n",
            b"77 4242 a/b\n",
            b"\0\xff",
        ] {
            assert_eq!(read_waiting(rubbish), [], "{rubbish:?}");
        }
        let mixed = read_waiting(b"rubbish\n77 1 db\n-1 1 db");
        assert_eq!(mixed.len(), 1);
        assert_eq!(read_depends(b"../x\n\n.y\ndb\npid\n"), [name(b"db")]);
    }

    #[test]
    fn a_path_can_not_forge_a_line() {
        let process = Process { pid: Pid::new(77).expect("valid"), start: 1 };
        let awaited = Awaited::Path(b"/x\n88 1 db".to_vec());
        assert_eq!(read_waiting(&write_waiting(&[Waiter { process, awaited }])).len(), 1);
    }

    #[test]
    fn whatever_stands_there_is_read_as_what_can_be_written() {
        let waiting = b"77 4242 db\n78 1 db/ready\n79 0 /run/a b\n-1 1 x\n";
        variations(&[waiting, b"db\n a \n\xff\npid\n../x\n"], |content| {
            let waiters = read_waiting(content);
            assert_eq!(read_waiting(&write_waiting(&waiters)), waiters, "{content:?}");
            assert!(waiters.iter().all(|waiter| waiter.process.pid.raw() >= 2), "{content:?}");
            let names = read_depends(content);
            assert_eq!(read_depends(&write_depends(&names)), names, "{content:?}");
        });
    }
}
