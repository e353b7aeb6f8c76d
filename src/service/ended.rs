//! How a run of a service ended.

use std::fmt;

use nix::sys::signal::Signal;

use super::errno;

/// How the last run of a service ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ended {
    /// It exited with this code.
    Code(i32),
    /// A signal ended it.
    Signal {
        /// Its number, as in signal(7).
        number: i32,
        /// Whether the kernel wrote a core dump.
        core: bool,
    },
    /// It could not be executed: the errno of execve(2).
    Exec(i32),
    /// No process could be made for it: the errno of fork(2).
    Fork(i32),
    /// It ended while it was nobody's child, so that nobody could learn how.
    Unknown,
}

impl Ended {
    /// Reads what `Display` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let (kind, number) = (words.next()?, words.next());
        let extra = words.next();
        let number = match number {
            Some(n) => Some(n.parse::<i32>().ok().filter(|n| *n >= 0)?),
            None => None,
        };
        if words.next().is_some() || (extra.is_some() && kind != "signal") {
            return None;
        }
        match (kind, number, extra) {
            ("exit", Some(code), _) => Some(Self::Code(code)),
            ("signal", Some(number), None) => Some(Self::Signal { number, core: false }),
            ("signal", Some(number), Some("core")) => Some(Self::Signal { number, core: true }),
            ("exec", Some(errno), _) => Some(Self::Exec(errno)),
            ("fork", Some(errno), _) => Some(Self::Fork(errno)),
            ("unknown", None, _) => Some(Self::Unknown),
            _ => None,
        }
    }
}

impl Ended {
    /// The same in words, to follow the name of a service.
    #[must_use]
    pub fn in_words(self) -> String {
        match self {
            Self::Code(code) => format!("exited with {code}"),
            Self::Signal { number, core } => {
                let core = if core { " (core dumped)" } else { "" };
                format!("killed by {}{core}", signal_name(number))
            }
            Self::Exec(errno) => format!("cannot be executed: {}", errno::words(errno)),
            Self::Fork(errno) => format!("no process could be made: {}", errno::words(errno)),
            Self::Unknown => "ended in an unknown way while its supervisor was dead".to_owned(),
        }
    }

    /// The same, with the interpreter that its file names and that is not there.
    #[must_use]
    pub fn in_words_with(self, interpreter: Option<&str>) -> String {
        match (self, interpreter) {
            (Self::Exec(errno), Some(interpreter)) => {
                format!("cannot be executed: {interpreter}: {}", errno::words(errno))
            }
            _ => self.in_words(),
        }
    }
}

/// The name of a signal, as in signal(7); of a realtime signal, its number.
#[must_use]
pub fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}

/// The form of the status file.
impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit {code}"),
            Self::Signal { number, core: false } => write!(f, "signal {number}"),
            Self::Signal { number, core: true } => write!(f, "signal {number} core"),
            Self::Exec(errno) => write!(f, "exec {errno}"),
            Self::Fork(errno) => write!(f, "fork {errno}"),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Ended;

    #[test]
    fn written_and_read_back() {
        for ended in [
            Ended::Code(0),
            Ended::Code(255),
            Ended::Signal { number: 9, core: false },
            Ended::Signal { number: 11, core: true },
            Ended::Exec(2),
            Ended::Fork(11),
            Ended::Unknown,
        ] {
            assert_eq!(Ended::parse(&ended.to_string()), Some(ended));
        }
    }

    #[test]
    fn rubbish_is_none() {
        for text in ["", "exit", "exit -1", "exit x", "exit 1 core", "signal 9 cor", "signal 9 core x", "unknown 1"] {
            assert_eq!(Ended::parse(text), None, "{text:?}");
        }
    }
}
