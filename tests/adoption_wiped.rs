//! A run directory that is wiped while supervisors die: what runs is not forgotten, and nothing runs twice.

mod common;

use std::fs;

use common::services::SLEEPER;
use common::{POSIX_ONLY, Signal, TestBed, available, is_alive, kill, millis, skip, stays, until, value_of};
use sysmgr::service::status::Phase;

/// A service that tells of each run, and whether another one still holds its lock.
const ALONE: &str = "exec 9>>$BED/held; flock -n 9 || echo twice >> $BED/log
    echo ran >> $BED/log; exec sleep 1000";

/// A bed in which that runs, with the process and its supervisor.
fn running() -> Option<(TestBed, i32, i32)> {
    if POSIX_ONLY {
        skip("start times of processes can't be had");
        return None;
    }
    available("flock").then(|| {
        let bed = TestBed::new().with_delays(10, 50).started();
        bed.service("web", ALONE);
        let pid = bed.asleep("web");
        // sysmgr tells it of this order, and so has seen by then what was done before
        bed.order("web", "");
        until("the order is known", || bed.status("web").is_some_and(|status| status.order.is_some()));
        bed.unlock("web");
        until("it is void", || bed.status("web").is_some_and(|status| status.order.is_none()));
        let supervisor = bed.syspid("web").expect("it has a supervisor");
        (bed, pid, supervisor)
    })
}

/// The ways of wiping: all of it, all that is in it, what is known of one service, its record.
const WAYS: [&str; 4] = ["rm -rf $R", "rm -rf $R/* $R/.owner", "rm -rf $R/web", "rm $R/web/.owner"];

fn wipe(bed: &TestBed, way: &str) {
    let mut shell = bed.command("/bin/sh");
    shell.args(["-c", way]).env("R", &bed.rundir);
    // whoever heals at the same time may have put something back
    assert!(shell.status().is_ok(), "{way}");
}

/// The same process, with a supervisor that does what it is told.
#[track_caller]
fn goes_on(bed: &TestBed, pid: i32, way: &str) {
    until(&format!("its files are there again after {way}"), || {
        bed.pid("web") == Some(pid)
            && bed.syspid("web").is_some_and(is_alive)
            && bed.phase("web") == Some(Phase::Up)
            && bed.path("web", ".owner").exists()
            && bed.sysmgr_pid() == Some(bed.sysmgr())
    });
    assert_eq!((is_alive(pid), bed.log()), (true, vec!["ran".to_owned()]), "{way}");
    until("there is one supervisor", || bed.processes().len() == 3);
    bed.order("web", "restart");
    bed.up_again("web", pid);
    until("it runs a second time", || bed.logged("ran") == 2);
    assert_eq!(bed.logged("twice"), 0, "{way}");
}

#[test]
fn wiped_and_sysmgr_killed() {
    for way in WAYS {
        let Some((mut bed, pid, supervisor)) = running() else { return };
        kill(bed.sysmgr(), Signal::SIGSTOP);
        wipe(&bed, way);
        bed.kill_sysmgr();
        bed.start();
        goes_on(&bed, pid, way);
        assert!(is_alive(supervisor), "{way}");
    }
}

#[test]
fn wiped_and_the_supervisor_killed() {
    for way in WAYS {
        let Some((bed, pid, supervisor)) = running() else { return };
        kill(bed.sysmgr(), Signal::SIGSTOP);
        wipe(&bed, way);
        kill(supervisor, Signal::SIGKILL);
        kill(bed.sysmgr(), Signal::SIGCONT);
        goes_on(&bed, pid, way);
    }
}

#[test]
fn sysmgr_killed_and_wiped_and_started_while_the_supervisor_is_suspended() {
    for way in WAYS {
        let Some((mut bed, pid, supervisor)) = running() else { return };
        kill(supervisor, Signal::SIGSTOP);
        bed.kill_sysmgr();
        wipe(&bed, way);
        bed.start();
        bed.service("other", SLEEPER);
        bed.up("other");
        stays("nobody else starts it", millis(200), || bed.log() == ["ran"] && is_alive(pid));
        bed.remove("other");
        until("the other is gone", || !bed.rundir.join("other").exists());
        kill(supervisor, Signal::SIGCONT);
        goes_on(&bed, pid, way);
        assert!(is_alive(supervisor), "{way}");
    }
}

#[test]
fn sysmgr_killed_and_wiped_and_the_suspended_supervisor_killed_before_it_knows() {
    for (round, way) in WAYS.into_iter().enumerate() {
        let Some((mut bed, pid, mut supervisor)) = running() else { return };
        if round % 2 == 0 {
            // what it has adopted is neither its child nor in its session
            let old = std::mem::take(&mut supervisor);
            kill(old, Signal::SIGKILL);
            supervisor = value_of("another takes over", || bed.syspid("web").filter(|new| *new != old));
            until("it has", || bed.pid("web") == Some(pid) && bed.phase("web") == Some(Phase::Up));
        }
        kill(supervisor, Signal::SIGSTOP);
        bed.kill_sysmgr();
        wipe(&bed, way);
        bed.service("other", SLEEPER);
        bed.start();
        // it has looked for those that live by now
        bed.up("other");
        kill(supervisor, Signal::SIGKILL);
        bed.remove("other");
        until("the other is gone", || !bed.rundir.join("other").exists());
        goes_on(&bed, pid, way);
    }
}

#[test]
fn wiped_again_and_again_while_all_are_killed_in_turn() {
    let Some((mut bed, ..)) = running() else { return };
    for round in 0..6 {
        let old = bed.syspid("web").expect("it has a supervisor");
        wipe(&bed, WAYS[round % 4]);
        if round % 2 == 0 {
            bed.kill_sysmgr();
            bed.start();
        } else {
            // at once: what sysmgr has not seen on record yet is ended, and never left beside a second one
            kill(old, Signal::SIGKILL);
            until("it is dead", || !is_alive(old));
        }
        until("it is up and supervised", || {
            bed.syspid("web").is_some_and(is_alive) && bed.pid("web").is_some_and(is_alive)
        });
    }
    until("there is one supervisor and one service", || bed.processes().len() == 3);
    assert_eq!(bed.logged("twice"), 0);
}

#[test]
fn what_is_wiped_while_all_are_dead_is_started_anew_but_nothing_is_believed_of_what_was() {
    let Some((bed, pid, supervisor)) = running() else { return };
    let mut bed = bed.may_leave();
    bed.kill_sysmgr();
    kill(supervisor, Signal::SIGKILL);
    fs::remove_dir_all(&bed.rundir).expect("it can be removed");
    bed.start();
    bed.up_again("web", pid);
    assert!(is_alive(pid), "as the manual says: who has seen it is dead, and its record is gone");
}
