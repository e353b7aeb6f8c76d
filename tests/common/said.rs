//! What a program says, and how it ends.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

/// The end of a program.
pub struct Said {
    /// Its exit code; minus the signal that ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "code {}\n--- output\n{}--- error\n{}", self.code, self.out, self.err)
    }
}

impl Said {
    /// What `command` says, to its end.
    pub fn by(command: &mut Command) -> Self {
        let output = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output().expect("it can be started");
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let signal = output.status.signal().map(|signal| -signal);
        Self {
            code: output.status.code().or(signal).expect("it has ended"),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// Fails unless it ended with `code`.
    #[track_caller]
    pub fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        self
    }

    /// Fails unless a line of its standard error has all `parts`.
    #[track_caller]
    pub fn complained(self, parts: &[&str]) -> Self {
        let has = |line: &str| parts.iter().all(|part| line.contains(part));
        assert!(self.err.lines().any(has), "no {parts:?} in {self:?}");
        self
    }

    /// Fails if there is anything on standard error.
    #[track_caller]
    pub fn quietly(self) -> Self {
        assert_eq!(self.err, "", "{self:?}");
        self
    }
}
