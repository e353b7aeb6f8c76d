//! The programs that tests run, and that a machine may not have.
#![allow(dead_code)] // each file of tests uses a part of it

use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The directory of the executables that are tested: those that were just built, or others, such as static ones or
/// those of a package.
pub fn directory() -> PathBuf {
    let built = Path::new(env!("CARGO_BIN_EXE_sysmgr")).parent().expect("an executable is in a directory");
    std::env::var_os("SYSMGR_TEST_BIN").map_or_else(|| built.to_owned(), PathBuf::from)
}

/// Says why a test did nothing. Not by `eprintln!`, of which the harness shows only what failed.
pub fn skip(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

/// The same for a program. On a machine that was made for the tests, it is a fault that it is not there.
pub fn lacking(program: &str) {
    assert!(std::env::var_os("SYSMGR_TESTS_COMPLETE").is_none(), "no {program}: SYSMGR_TESTS_COMPLETE wants all tests");
    skip(&format!("no {program}"));
}

/// Whether a program is in PATH; says so when it is not.
pub fn available(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = std::env::split_paths(&path).any(|dir| dir.join(program).is_file());
    if !there {
        lacking(program);
    }
    there
}
