//! Process ids that may be signalled.

use std::fmt;

/// The id of a process, a process group or a session: 2 or more.
///
/// Numbers below mean something else to kill(2): 0 is the caller's own group, -1 is everybody; 1 is
/// the init of the machine. They can't be expressed, so that no rubbish in a file reaches them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(i32);

impl Pid {
    /// The process id `raw`, if it is one that may be signalled.
    #[must_use]
    pub const fn new(raw: i32) -> Option<Self> {
        if raw >= 2 { Some(Self(raw)) } else { None }
    }

    /// Reads a decimal number as it stands in a file, with or without a newline at its end.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
            return None;
        }
        Self::new(std::str::from_utf8(text).ok()?.parse().ok()?)
    }

    /// The number for system calls.
    #[must_use]
    pub const fn raw(self) -> i32 {
        self.0
    }
}

impl fmt::Display for Pid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::Pid;
    use crate::service::rubbish::variations;

    #[test]
    fn what_is_not_a_process_of_its_own_is_none() {
        for rubbish in ["", "\n", "-1", "0", "1", "+5", " 5", "5 ", "5\n\n", "99999999999", "\0", "5x"] {
            assert_eq!(Pid::parse(rubbish.as_bytes()), None, "{rubbish:?}");
        }
        assert_eq!(Pid::parse(b"2\n").map(Pid::raw), Some(2));
        assert_eq!(Pid::parse(b"4194304").map(Pid::raw), Some(4_194_304));
    }

    #[test]
    fn whatever_stands_there_is_a_plain_number_from_2_or_nobody() {
        variations(&[b"2\n", b"4194304\n", b"2147483647", b"-1\n", b"1\n", b"0\n"], |content| {
            if let Some(pid) = Pid::parse(content) {
                let digits = String::from_utf8_lossy(content);
                let digits = digits.trim_end_matches('\n').trim_start_matches('0');
                assert!(pid.raw() >= 2 && pid.to_string() == digits, "{content:?}");
            }
        });
    }
}
