//! A runsyssv that is killed at any system call of its work: no service runs twice, none is lost, and
//! no order. Each test does it at some of them, with `SYSMGR_THOROUGH` set at all.

mod common;
mod rigged;

use common::TestBed;
use rigged::life::{Life, PARENT, calls_of, some_of};
use rigged::{Rigged, can_rig};

fn bed() -> TestBed {
    TestBed::new().with("RESTART_DELAY_MS", "10").with("RESTART_DELAY_MAX_MS", "50").with("STOP_TIMEOUT_MS", "100")
}

/// Leads as many lives as the runsyssv number `start` makes system calls in one, each with that
/// runsyssv killed at another of them.
fn killed_at_each_call(start: usize) {
    if !can_rig() {
        return;
    }
    let calls = calls_of(Rigged::new(bed()), start);
    let mut rig = Rigged::new(bed());
    let mut names = Vec::new();
    for (call, number) in some_of(calls, start) {
        let name = format!("{call}-{number}");
        rig.rule(&name, start, &format!("-e trace={call} -e inject={call}:signal=KILL:when={number}"));
        names.push(name);
    }
    rig.start();
    for names in names.chunks(5) {
        Life::new(&rig, names, PARENT).lead();
    }
    let killed = names.iter().filter(|name| rig.trace(name).contains("killed by SIGKILL")).count();
    eprintln!("{killed} of {} were killed", names.len());
    assert!(killed * 2 > names.len());
}

#[test]
fn a_supervisor_is_killed_while_it_starts_a_service() {
    killed_at_each_call(0);
}

#[test]
fn a_supervisor_is_killed_while_it_adopts_and_restarts_a_service() {
    killed_at_each_call(1);
}

#[test]
fn a_supervisor_is_killed_while_it_clears_away_what_is_left_and_stops_a_service() {
    killed_at_each_call(2);
}

#[test]
fn a_supervisor_is_killed_while_it_runs_a_service_once() {
    killed_at_each_call(3);
}
