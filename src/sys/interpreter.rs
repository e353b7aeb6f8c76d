//! The interpreters of scripts.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::service::name::Printable;

/// The interpreter that the first line of a script names, if there is no such file.
#[must_use]
pub fn missing(script: &Path) -> Option<String> {
    let mut begin = [0; 256];
    let n = File::open(script).ok()?.read(&mut begin).ok()?;
    let interpreter = named(&begin[..n])?;
    (!Path::new(OsStr::from_bytes(interpreter)).exists()).then(|| Printable(interpreter).to_string())
}

/// What the kernel takes for the interpreter, as in execve(2): a carriage return is part of it.
fn named(script: &[u8]) -> Option<&[u8]> {
    let line = script.strip_prefix(b"#!")?.split(|b| *b == b'\n').next()?;
    line.split(|b| *b == b' ' || *b == b'\t').find(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn the_first_word_of_the_first_line() {
        assert_eq!(named(b"#!/bin/sh\n"), Some(&b"/bin/sh"[..]));
        assert_eq!(named(b"#! \t/usr/bin/env -S python\nx"), Some(&b"/usr/bin/env"[..]));
        assert_eq!(named(b"#!/bin/sh\r\n"), Some(&b"/bin/sh\r"[..]));
        assert_eq!(named(b"#!  \nx"), None);
        assert_eq!(named(b"\x7fELF"), None);
    }
}
