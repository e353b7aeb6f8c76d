//! Each row of the table "Without svctl", by a shell with nothing but kill, rm, touch and cat.

mod common;

use std::process::Stdio;

use common::services::SLEEPER;
use common::{TestBed, is_alive, millis, stays, until};
use sysmgr::service::ended::Ended;

/// What a person types, with `R` for the run directory; gives what is printed.
fn sh(bed: &TestBed, typed: &str) -> String {
    let mut shell = bed.command("/bin/sh");
    shell.args(["-c", typed]).env("R", &bed.rundir).env("PATH", "/bin:/usr/bin");
    let output = shell.stdout(Stdio::piped()).output().expect("there is a shell");
    assert!(output.status.success(), "{typed}: {:?}", bed.messages());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn with_a_service() -> (TestBed, i32) {
    let bed = TestBed::unprivileged().started();
    bed.service("NAME", SLEEPER);
    let pid = bed.up("NAME");
    (bed, pid)
}

#[test]
fn stop() {
    let (bed, pid) = with_a_service();
    sh(&bed, "kill $(cat $R/NAME/syspid)");
    bed.down("NAME");
    assert!(!is_alive(pid));
    stays("it stays down", millis(200), || bed.pid("NAME").is_none());
}

#[test]
fn kill() {
    let (bed, pid) = with_a_service();
    sh(&bed, "kill -USR1 $(cat $R/NAME/syspid)");
    bed.down("NAME");
    assert!(!is_alive(pid));
    assert_eq!(bed.last_exit("NAME"), Some(Ended::Signal { number: 9, core: false }));
}

#[test]
fn start_again() {
    let (bed, pid) = with_a_service();
    sh(&bed, "kill $(cat $R/NAME/syspid)");
    bed.down("NAME");
    sh(&bed, "rm $R/NAME/lock");
    bed.up_again("NAME", pid);
}

#[test]
fn start_again_by_removing_all_that_is_known_of_it() {
    let (bed, pid) = with_a_service();
    sh(&bed, "kill $(cat $R/NAME/syspid)");
    bed.down("NAME");
    sh(&bed, "rm -r $R/NAME");
    bed.up_again("NAME", pid);
}

#[test]
fn run_once() {
    let (bed, pid) = with_a_service();
    sh(&bed, "touch $R/NAME/lock");
    stays("it runs on", millis(200), || is_alive(pid));
    sh(&bed, "kill $(cat $R/NAME/pid)");
    bed.down("NAME");
    stays("it stays down", millis(200), || bed.pid("NAME").is_none());
}

#[test]
fn see() {
    let (bed, pid) = with_a_service();
    let shown = sh(&bed, "cat $R/NAME/status");
    for line in ["state='up'".to_owned(), format!("pid='{pid}'"), "starts='1'".to_owned()] {
        assert!(shown.lines().any(|shown| shown == line), "{shown}");
    }
    assert_eq!(sh(&bed, "cat $R/NAME/pid"), format!("{pid}\n"));
}

#[test]
fn stop_everything() {
    let (mut bed, pid) = with_a_service();
    bed.service("other", SLEEPER);
    let other = bed.up("other");
    sh(&bed, "kill $(cat $R/pid)");
    assert_eq!(bed.wait().code(), Some(0));
    assert!(!is_alive(pid) && !is_alive(other));
    until("nothing is left", || bed.processes().is_empty());
}
