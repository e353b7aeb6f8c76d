//! Names of services.

use std::ffi::{OsStr, OsString};
use std::fmt::{self, Write as _};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::files;

/// The name of a service: a file name that can stand in both directories.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(OsString);

/// Why something is no name of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameError {
    /// There is nothing to be a name.
    Empty,
    /// A name is one component of a path.
    Slash,
    /// Lists of names have one in a line.
    Newline,
    /// No file name can have it.
    Nul,
    /// Hidden entries are no services.
    Dot,
    /// It would be taken for an option.
    Dash,
    /// It is the name of a file of sysmgr in the run directory.
    Reserved,
    /// File systems end at 255 bytes.
    Long,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the name of a service can't be empty",
            Self::Slash => "the name of a service can't have a slash in it",
            Self::Newline => "the name of a service can't have a newline in it",
            Self::Nul => "the name of a service can't have a NUL byte in it",
            Self::Dot => "the name of a service can't begin with a dot",
            Self::Dash => "the name of a service can't begin with a dash",
            Self::Reserved => "a service can't be called 'pid', which is a file of sysmgr's own",
            Self::Long => "the name of a service can't be longer than 255 bytes",
        })
    }
}

impl std::error::Error for NameError {}

impl Name {
    /// Checks that `name` can be the name of a service.
    ///
    /// # Errors
    /// Which rule it breaks.
    pub fn new(name: &OsStr) -> Result<Self, NameError> {
        let bytes = name.as_bytes();
        match bytes {
            [] => Err(NameError::Empty),
            [b'.', ..] => Err(NameError::Dot),
            [b'-', ..] => Err(NameError::Dash),
            _ if bytes.contains(&b'/') => Err(NameError::Slash),
            _ if bytes.contains(&b'\n') => Err(NameError::Newline),
            _ if bytes.contains(&0) => Err(NameError::Nul),
            _ if bytes == files::PID.as_bytes() => Err(NameError::Reserved),
            _ if bytes.len() > 255 => Err(NameError::Long),
            _ => Ok(Self(name.to_owned())),
        }
    }

    /// A service as people give it: its name, or a path whose last part is the name. Slashes at
    /// the end, as shells complete them, don't count.
    ///
    /// # Errors
    /// Which rule the last part breaks.
    pub fn from_operand(operand: &OsStr) -> Result<Self, NameError> {
        let bytes = operand.as_bytes();
        let end = bytes.iter().rposition(|b| *b != b'/').map_or(0, |i| i + 1);
        let begin = bytes[..end].iter().rposition(|b| *b == b'/').map_or(0, |i| i + 1);
        Self::new(OsStr::from_bytes(&bytes[begin..end]))
    }

    /// The bytes of the name.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The name as a string of the system.
    #[must_use]
    pub fn as_os_str(&self) -> &OsStr {
        &self.0
    }
}

impl AsRef<Path> for Name {
    fn as_ref(&self) -> &Path {
        Path::new(&self.0)
    }
}

/// For messages: what would break a line or is not UTF-8 is shown as `\xNN`.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        printable(self.as_bytes(), f)
    }
}

impl Name {
    /// The name as one types it in a shell.
    #[must_use]
    pub fn typed(&self) -> String {
        let shown = self.to_string();
        let plain = |c: char| c.is_alphanumeric() || "_.,:@%+=-".contains(c);
        if shown.as_bytes() != self.as_bytes() {
            // the one form that takes any byte
            let byte = |b: &u8| match b {
                b'\'' | b'\\' => format!("\\{}", char::from(*b)),
                b' '..=b'~' => char::from(*b).to_string(),
                _ => format!("\\x{b:02x}"),
            };
            format!("$'{}'", self.as_bytes().iter().map(byte).collect::<String>())
        } else if shown.chars().all(plain) {
            shown
        } else {
            let quoted = shown.chars().map(|c| if "\\\"$`".contains(c) { format!("\\{c}") } else { c.to_string() });
            format!("\"{}\"", quoted.collect::<String>())
        }
    }
}

/// Bytes of the world in a form that can stand in a line of text: what is not UTF-8 and control
/// characters are written as `\xNN`.
pub struct Printable<'a>(pub &'a [u8]);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        printable(self.0, f)
    }
}

fn printable(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() {
                write!(f, "\\x{:02x}", u32::from(c))?;
            } else {
                f.write_char(c)?;
            }
        }
        for byte in chunk.invalid() {
            write!(f, "\\x{byte:02x}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Name, NameError};
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    fn new(bytes: &[u8]) -> Result<Name, NameError> {
        Name::new(OsStr::from_bytes(bytes))
    }

    #[test]
    fn odd_but_valid_names() {
        for name in ["a", "with space", "100%", "it's", "$(id)", "\u{e9}t\u{e9}", "a.b", "pid2", "a-", "#x"] {
            assert!(new(name.as_bytes()).is_ok(), "{name}");
        }
        assert!(new(b"\xff\xfe").is_ok());
        assert!(new(&[b'x'; 255]).is_ok());
    }

    #[test]
    fn invalid_names_say_which_rule() {
        assert_eq!(new(b""), Err(NameError::Empty));
        assert_eq!(new(b"a/b"), Err(NameError::Slash));
        assert_eq!(new(b"a\nb"), Err(NameError::Newline));
        assert_eq!(new(b"a\0b"), Err(NameError::Nul));
        assert_eq!(new(b".hidden"), Err(NameError::Dot));
        assert_eq!(new(b".."), Err(NameError::Dot));
        assert_eq!(new(b"-x"), Err(NameError::Dash));
        assert_eq!(new(b"pid"), Err(NameError::Reserved));
        assert_eq!(new(&[b'x'; 256]), Err(NameError::Long));
    }

    #[test]
    fn a_path_gives_its_last_part() {
        let operand = |s: &str| Name::from_operand(OsStr::new(s)).map(|n| n.to_string());
        assert_eq!(operand("/var/sysmgr/web").as_deref(), Ok("web"));
        assert_eq!(operand("web").as_deref(), Ok("web"));
        assert_eq!(operand("./web//").as_deref(), Ok("web"));
        assert_eq!(operand("/"), Err(NameError::Empty));
        assert_eq!(operand(".."), Err(NameError::Dot));
        assert_eq!(operand("/var/sysmgr/.."), Err(NameError::Dot));
    }

    #[test]
    fn a_shell_reads_what_is_typed() {
        let typed = |bytes: &[u8]| new(bytes).map(|name| name.typed());
        assert_eq!(typed(b"getty@tty1").as_deref(), Ok("getty@tty1"));
        assert_eq!(typed("\u{e9}t\u{e9}".as_bytes()).as_deref(), Ok("\u{e9}t\u{e9}"));
        assert_eq!(typed(b"with space").as_deref(), Ok("\"with space\""));
        for name in [&b"a'b\"c $(id) `id` \\ !x*"[..], b"a\xff'b\\x41", b"tab\t~"] {
            let typed = typed(name).expect("a name");
            let script = format!("printf %s {typed}");
            // A package builder may have no bash.
            let Ok(said) = std::process::Command::new("bash").args(["-c", &script]).output() else { return };
            assert_eq!(said.stdout, name, "{typed}");
        }
    }

    #[test]
    fn display_never_breaks_a_line() {
        let shown = new(b"a\x1b[2J\xff\xc3\xa9").map(|n| n.to_string());
        assert_eq!(shown.as_deref(), Ok("a\\x1b[2J\\xff\u{e9}"));
    }
}
