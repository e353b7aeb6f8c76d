//! What the system refuses to a runsyssv, at any system call of its work, is survived; and all is as it
//! should be afterwards. Each test does it at some calls, with `SYSMGR_THOROUGH` set at all.

mod common;
mod rigged;

use common::TestBed;
use rigged::life::{Life, PARENT, calls_of, some_of};
use rigged::{Rigged, can_rig};

/// What each call may fail with.
const ERRORS: &[(&str, &[&str])] = &[
    ("openat", &["EMFILE", "ENFILE", "ENOMEM"]),
    ("newfstatat", &["ENOMEM"]),
    ("fstat", &["EIO"]),
    ("read", &["EIO"]),
    ("pread64", &["EIO"]),
    ("write", &["ENOSPC", "EIO"]),
    ("pwrite64", &["ENOSPC", "EIO"]),
    ("renameat", &["ENOSPC", "EROFS"]),
    ("renameat2", &["ENOSYS", "EROFS"]),
    ("linkat", &["ENOSPC", "EMLINK"]),
    ("unlinkat", &["EROFS", "EIO"]),
    ("mkdirat", &["ENOSPC"]),
    ("fcntl", &["ENOLCK"]),
    ("clone", &["EAGAIN", "ENOMEM"]),
    ("socketpair", &["EMFILE", "ENOBUFS"]),
    ("pidfd_open", &["EMFILE", "ENOSYS", "EPERM"]),
    ("pidfd_send_signal", &["EPERM"]),
    ("ppoll", &["ENOMEM"]),
    ("poll", &["ENOMEM"]),
    ("prctl", &["EINVAL"]),
];

fn bed() -> TestBed {
    TestBed::new().with("RESTART_DELAY_MS", "10").with("RESTART_DELAY_MAX_MS", "50").with("STOP_TIMEOUT_MS", "100")
}

/// Leads as many lives as there are calls that can fail, in the runsyssv number `start`; each fails `times`
/// times in a row.
fn fails_at_each_call(start: usize, times: usize) {
    if !can_rig() {
        return;
    }
    let mut points = Vec::new();
    for (call, number) in calls_of(Rigged::new(bed()), start) {
        let errors = ERRORS.iter().find(|(fallible, _)| *fallible == call).map_or(&[][..], |(_, errors)| errors);
        points.extend(errors.iter().map(|error| (call.clone(), number, *error)));
    }
    let mut rig = Rigged::new(bed());
    let mut names = Vec::new();
    for (call, number, error) in some_of(points, start + times) {
        let name = format!("{call}-{number}-{error}");
        let when = format!("{number}..{}", number + times - 1);
        rig.rule(&name, start, &format!("-e trace={call} -e inject={call}:error={error}:when={when}"));
        names.push(name);
    }
    rig.start();
    for names in names.chunks(5) {
        Life::new(&rig, names, PARENT).lead();
    }
    let failed = names.iter().filter(|name| rig.trace(name).contains("(INJECTED)")).count();
    eprintln!("{failed} of {} have failed", names.len());
    assert!(failed * 2 > names.len());
}

#[test]
fn a_call_fails_while_a_supervisor_starts_a_service() {
    fails_at_each_call(0, 1);
}

#[test]
fn a_call_fails_while_a_supervisor_adopts_and_restarts_a_service() {
    fails_at_each_call(1, 1);
}

#[test]
fn a_call_fails_while_a_supervisor_clears_away_what_is_left_and_stops_a_service() {
    fails_at_each_call(2, 1);
}

#[test]
fn a_call_fails_several_times_in_a_row() {
    fails_at_each_call(1, 4);
}
