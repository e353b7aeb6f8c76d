//! What sysmgr tells itself when it executes itself anew: the runsyssv that are its children, and which
//! run of each service it has seen on record.

use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use super::services::{Services, Supervisor};
use crate::service::moment::Moment;
use crate::service::name::Name;
use crate::service::pid::Pid;
use crate::service::record::{LENGTH, Record};
use crate::sys::{reap, scratch};

/// What is told of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    name: Name,
    /// Its runsyssv if that is a child, and since when.
    child: Option<(Pid, Moment)>,
    record: Record,
}

/// Writes it into a file without a name: `None` if the system refuses, which costs no more than that a
/// record that is wiped just now is not known any more.
pub fn write(services: &Services) -> Option<OwnedFd> {
    let mut content = Vec::new();
    for (name, service) in &services.all {
        let child = match service.supervisor {
            Supervisor::Child(pid, since) => Some((pid, since)),
            Supervisor::None | Supervisor::Adopted(_) | Supervisor::Lost(_) | Supervisor::Clearing(_) => None,
        };
        let record = Record::of(services.boot, service.run);
        encode(&mut content, &Told { name: name.clone(), child, record });
    }
    scratch::write(&services.rundir, &content).ok()
}

/// Takes it over. A child that is none any more is left to be found in other ways.
pub fn read(services: &mut Services, file: OwnedFd) {
    let content = scratch::read(file);
    let mut rest = content.as_slice();
    while let Some(told) = decode(&mut rest) {
        let service = services.know(&told.name);
        service.run = told.record.run;
        if let Some((pid, since)) = told.child.filter(|(pid, _)| reap::is_child(*pid)) {
            services.children.insert(pid, told.name.clone());
            services.set_supervisor(&told.name, Supervisor::Child(pid, since));
        }
    }
}

/// `PID SINCE NAME`, a newline, and the record as it stands in its file; 0 for no process.
fn encode(content: &mut Vec<u8>, told: &Told) {
    let (pid, since) = told.child.map_or((0, 0), |(pid, since)| (pid.raw(), since.0));
    content.extend_from_slice(format!("{pid} {since} ").as_bytes());
    content.extend_from_slice(told.name.as_os_str().as_bytes());
    content.push(b'\n');
    content.extend_from_slice(&told.record.encode());
}

fn decode(rest: &mut &[u8]) -> Option<Told> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let (line, behind) = (&rest[..end], &rest[end + 1..]);
    let mut words = line.splitn(3, |byte| *byte == b' ');
    let mut number = || std::str::from_utf8(words.next()?).ok();
    let pid: i32 = number()?.parse().ok()?;
    let since = number()?.parse().ok()?;
    let name = Name::new(std::ffi::OsStr::from_bytes(words.next()?)).ok()?;
    let record = Record::decode(behind.get(..LENGTH)?)?;
    *rest = &behind[LENGTH..];
    Some(Told { name, child: Pid::new(pid).map(|pid| (pid, Moment(since))), record })
}

#[cfg(test)]
mod tests {
    use super::{Told, decode, encode};
    use crate::service::moment::Moment;
    use crate::service::name::Name;
    use crate::service::pid::Pid;
    use crate::service::record::{BootId, Process, Record, Run};
    use crate::service::rubbish::variations;

    fn pid(raw: i32) -> Pid {
        Pid::new(raw).expect("a number from a test")
    }

    #[test]
    fn what_is_told_is_understood_and_what_is_cut_short_is_not() {
        let run = Run { process: Process { pid: pid(7), start: 8 }, group: pid(9), session: 10 };
        let of = |name: &str, child, run| Told {
            name: Name::new(name.as_ref()).expect("a name from a test"),
            child,
            record: Record::of(BootId::UNKNOWN, run),
        };
        let told = [of("a name with spaces", Some((pid(5), Moment(6))), Some(run)), of("b", None, None)];
        let mut content = Vec::new();
        for told in &told {
            encode(&mut content, told);
        }
        let mut rest = content.as_slice();
        assert_eq!([decode(&mut rest), decode(&mut rest)], told.map(Some));
        assert_eq!(decode(&mut rest), None);
        for end in 0..content.len() - 1 {
            let mut rest = &content[..end];
            decode(&mut rest);
            assert_eq!(decode(&mut rest), None, "{end}");
        }
    }

    #[test]
    fn whatever_is_told_is_understood_or_left() {
        let mut content = Vec::new();
        let run = Run { process: Process { pid: pid(7), start: 8 }, group: pid(9), session: 10 };
        for (name, run) in [("a b", Some(run)), ("c", None)] {
            let name = Name::new(name.as_ref()).expect("a name from a test");
            let child = Some((pid(5), Moment(6)));
            encode(&mut content, &Told { name, child, record: Record::of(BootId::UNKNOWN, run) });
        }
        variations(&[&content, b"-1 2 x\n", b"1 99999999999999999999 y\n"], |content| {
            let mut rest = content;
            while let Some(told) = decode(&mut rest) {
                assert!(told.child.is_none_or(|(pid, _)| pid.raw() >= 2), "{content:?}");
            }
        });
    }
}
