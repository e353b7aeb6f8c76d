//! What is wrong is refused, with words that say what, where and why, and nothing is touched.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use common::services::SLEEPER;
use common::{Signal, TestBed, USER, is_root, kill, millis, process, skip, stays, until};
use sysmgr::service::status::Phase;

/// Runs a command to its end; gives its exit code.
fn code_of(mut command: Command) -> Option<i32> {
    let mut child = command.spawn().expect("it can be started");
    process::wait(&mut child).code()
}

#[test]
fn a_wrong_service_directory_is_an_error() {
    let bed = TestBed::unprivileged();
    let refused = |path: &std::path::Path, words: &str| {
        let mut command = bed.command(bed.executable("sysmgr"));
        command.arg("--sysdir").arg(path).arg("--rundir").arg(&bed.rundir);
        assert_eq!(code_of(command), Some(1), "{}", path.display());
        assert!(bed.said(&[&path.display().to_string(), words]), "{:?}", bed.messages());
        assert!(bed.sysmgr_pid().is_none());
    };
    refused(&bed.dir.join("missing"), "No such file");
    let file = bed.dir.join("file");
    bed.file(&file, b"", 0o755);
    refused(&file, "Not a directory");
    let closed = bed.dir.join("closed");
    fs::create_dir(&closed).expect("a directory can be made");
    bed.adjust(&closed, 0o000);
    refused(&closed, "Permission denied");
    bed.adjust(&closed, 0o755);
}

#[test]
fn a_run_directory_that_cannot_be_is_an_error() {
    let bed = TestBed::unprivileged();
    let refused = |path: &std::path::Path| {
        let mut command = bed.command(bed.executable("sysmgr"));
        command.arg("--sysdir").arg(&bed.sysdir).arg("--rundir").arg(path);
        assert_eq!(code_of(command), Some(1), "{}", path.display());
        assert!(bed.said(&[&path.display().to_string()]), "{:?}", bed.messages());
    };
    let file = bed.dir.join("file");
    bed.file(&file, b"", 0o644);
    refused(&file);
    refused(&file.join("below"));
    refused(std::path::Path::new("/proc/run"));
}

#[test]
fn a_run_directory_of_another_user_is_an_error() {
    if !is_root() {
        return skip("only root may give a directory away");
    }
    for (bed, owner) in [(TestBed::new(), USER), (TestBed::unprivileged(), 0)] {
        fs::create_dir(&bed.rundir).expect("a directory can be made");
        fs::set_permissions(&bed.rundir, fs::Permissions::from_mode(0o777)).expect("chmod");
        chown(&bed.rundir, Some(owner), Some(owner)).expect("root may chown");
        assert_eq!(code_of(bed.program("sysmgr")), Some(1));
        assert!(bed.said(&[&bed.rundir.display().to_string(), "user"]), "{:?}", bed.messages());
        assert_eq!(fs::read_dir(&bed.rundir).map(Iterator::count).ok(), Some(0));
    }
}

#[test]
fn wrong_usage_is_told_on_standard_error() {
    let bed = TestBed::new();
    for arguments in [&["--nonsense"][..], &["operand"], &["--sysdir"], &["-x"]] {
        let mut command = bed.command(bed.executable("sysmgr"));
        command.args(arguments);
        assert_eq!(code_of(command), Some(2), "{arguments:?}");
        assert!(bed.said(&[arguments[0]]), "{:?}", bed.messages());
    }
    for arguments in [&[][..], &["a", "b"], &["--nonsense", "a"]] {
        let mut command = bed.command(bed.executable("runsyssv"));
        command.args(arguments);
        assert_eq!(code_of(command), Some(2), "{arguments:?}");
    }
    for name in ["..", "/", "", "a\nb", "pid", ".hidden"] {
        let mut command = bed.program("runsyssv");
        command.arg(name);
        let code = code_of(command);
        assert!(matches!(code, Some(1 | 2)), "{name:?}: {code:?}");
    }
    assert!(!bed.rundir.exists(), "nothing was touched");
}

#[test]
fn root_refuses_what_others_could_have_written() {
    if !is_root() {
        return skip("only root refuses them");
    }
    let bed = TestBed::new().started();
    let script = b"#!/bin/sh\nexec sleep 1000\n";
    bed.entry("group", script, 0o775);
    bed.entry("others", script, 0o757);
    let aside = bed.sysdir.join(".foreign");
    bed.file(&aside, script, 0o755);
    chown(&aside, Some(USER), None).expect("root may chown");
    fs::rename(&aside, bed.sysdir.join("foreign")).expect("it can be renamed");
    let open = bed.dir.join("open");
    fs::create_dir(&open).expect("a directory can be made");
    bed.adjust(&open, 0o777);
    bed.file(&open.join("target"), script, 0o755);
    bed.link("linked", &open.join("target"));
    for name in ["group", "others", "foreign", "linked"] {
        let status = bed.comes_to(name, Phase::Refused);
        assert!(status.reason.is_some_and(|reason| !reason.is_empty()), "{name}");
        until("it is said", || bed.said(&[&format!("{name}:")]));
        assert!(bed.pid(name).is_none());
    }
    bed.adjust(&bed.sysdir.join("group"), 0o755);
    bed.adjust(&bed.sysdir.join("others"), 0o755);
    chown(bed.sysdir.join("foreign"), Some(0), None).expect("root may chown");
    bed.adjust(&open, 0o755);
    kill(bed.sysmgr(), Signal::SIGUSR1);
    for name in ["group", "others", "foreign", "linked"] {
        bed.up(name);
    }
}

#[test]
fn root_refuses_a_service_directory_that_others_can_write() {
    if !is_root() {
        return skip("only root refuses it");
    }
    let mut bed = TestBed::new();
    bed.service("a", SLEEPER);
    bed.adjust(&bed.sysdir, 0o775);
    bed.start();
    let status = bed.comes_to("a", Phase::Refused);
    assert!(status.reason.is_some_and(|reason| reason.contains("775")));
    bed.adjust(&bed.sysdir, 0o755);
    kill(bed.sysmgr(), Signal::SIGUSR1);
    bed.up("a");
}

#[test]
fn the_owner_check_can_be_turned_off() {
    let mut bed = TestBed::new().with("OWNER_CHECK", "false");
    bed.entry("a", b"#!/bin/sh\nexec sleep 1000\n", 0o777);
    bed.adjust(&bed.sysdir, 0o777);
    bed.start();
    bed.up("a");
}

#[test]
fn a_supervisor_of_what_is_no_service_says_so_and_waits_for_it() {
    let bed = TestBed::new();
    let mut alone = bed.program("runsyssv").arg("later").spawn().expect("it can be started");
    let status = bed.comes_to("later", Phase::Refused);
    assert!(status.reason.is_some_and(|reason| reason.contains("service directory")));
    until("it is said", || bed.said(&["later:", "service directory"]));
    stays("it waits", millis(100), || bed.syspid("later") == Some(process::of_child(&alone)));
    bed.service("later", SLEEPER);
    // nobody watches the directory for a supervisor that is alone
    bed.nudge("later", Signal::SIGCONT);
    bed.up("later");
    kill(process::of_child(&alone), Signal::SIGTERM);
    assert_eq!(process::wait(&mut alone).code(), Some(0));
}
