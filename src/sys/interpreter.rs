//! The interpreters of scripts.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::libc;

use crate::service::name::Printable;

/// The interpreter that the first line of a script names, if there is no such file.
#[must_use]
pub fn missing(script: &Path) -> Option<String> {
    let mut begin = [0; 256];
    // it may be another kind of file by now, at which one would wait
    let mut file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(script).ok()?;
    let n = file.metadata().is_ok_and(|meta| meta.is_file()).then(|| file.read(&mut begin).ok())??;
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
    use super::{missing, named};

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let dir = std::env::temp_dir().join(format!("sysmgr-interpreter-{}", std::process::id()));
        nix::unistd::mkfifo(&dir, nix::sys::stat::Mode::S_IRWXU).expect("it can be made");
        let (tell, told) = std::sync::mpsc::channel();
        let fifo = dir.clone();
        std::thread::spawn(move || tell.send(missing(&fifo)));
        let answer = told.recv_timeout(std::time::Duration::from_secs(20));
        std::fs::remove_file(&dir).expect("it is there");
        assert_eq!(answer, Ok(None));
    }

    #[test]
    fn the_first_word_of_the_first_line() {
        assert_eq!(named(b"#!/bin/sh\n"), Some(&b"/bin/sh"[..]));
        assert_eq!(named(b"#! \t/usr/bin/env -S python\nx"), Some(&b"/usr/bin/env"[..]));
        assert_eq!(named(b"#!/bin/sh\r\n"), Some(&b"/bin/sh\r"[..]));
        assert_eq!(named(b"#!  \nx"), None);
        assert_eq!(named(b"\x7fELF"), None);
    }
}
