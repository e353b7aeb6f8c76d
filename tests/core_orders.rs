//! Standing orders: what stands in the lock is carried out, whoever comes next.

mod common;

use std::fs;

use common::services::SLEEPER;
use common::{Signal, TestBed, is_alive, kill, millis, stays, until};
use sysmgr::service::ended::Ended;
use sysmgr::service::status::Phase;

/// A service that is down by an order to stop.
fn stopped(bed: &TestBed) -> i32 {
    bed.service("web", SLEEPER);
    let pid = bed.up("web");
    bed.nudge("web", Signal::SIGTERM);
    bed.down("web");
    assert!(!is_alive(pid));
    pid
}

#[test]
fn stop_in_the_lock_stops_it() {
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    let pid = bed.up("web");
    bed.order("web", "stop");
    bed.down("web");
    assert!(!is_alive(pid));
    assert_eq!(bed.last_exit("web"), Some(Ended::Signal { number: 15, core: false }));
    assert_eq!(bed.lock("web").as_deref(), Some("stop"));
}

#[test]
fn kill_in_the_lock_kills_it() {
    let bed = TestBed::new().started();
    bed.service("web", common::services::DEAF);
    bed.up("web");
    bed.order("web", "kill");
    bed.down("web");
    assert_eq!(bed.last_exit("web"), Some(Ended::Signal { number: 9, core: false }));
}

#[test]
fn an_order_without_a_newline_or_moved_in_counts_too() {
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    bed.up("web");
    let aside = bed.dir.join("aside");
    bed.file(&aside, b"stop", 0o644);
    fs::rename(&aside, bed.path("web", "lock")).expect("it can be moved in");
    bed.down("web");
}

#[test]
fn restart_in_the_lock_restarts_it_and_is_taken_back() {
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    let pid = bed.up("web");
    let supervisor = bed.syspid("web");
    bed.order("web", "restart");
    bed.up_again("web", pid);
    assert!(!is_alive(pid));
    until("the order is taken back", || bed.lock("web").is_none());
    assert_eq!(bed.syspid("web"), supervisor);
    assert_eq!(bed.status("web").map(|status| status.failures), Some(0));
}

#[test]
fn once_in_the_lock_starts_it_once() {
    let bed = TestBed::new().started();
    let old = stopped(&bed);
    bed.order("web", "once");
    let pid = bed.up_again("web", old);
    until("the order is carried out", || bed.lock("web").as_deref() == Some("ran"));
    kill(pid, Signal::SIGKILL);
    bed.down("web");
    assert_eq!(bed.lock("web").as_deref(), Some("ran"));
    stays("it stays down", millis(200), || bed.pid("web").is_none());
}

#[test]
fn once_for_a_service_that_is_up_lets_it_run_and_end() {
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    let pid = bed.up("web");
    bed.order("web", "once");
    until("the order is carried out", || bed.lock("web").as_deref() == Some("ran"));
    assert_eq!(bed.up("web"), pid);
    kill(pid, Signal::SIGKILL);
    bed.down("web");
}

#[test]
fn once_for_a_service_that_fails_at_once_runs_it_one_time() {
    let bed = TestBed::new().started();
    bed.service("task", "echo ran >> $BED/log; [ -e $BED/task ] || exec sleep 1000");
    bed.asleep("task");
    bed.nudge("task", Signal::SIGTERM);
    bed.down("task");
    bed.file(&bed.dir.join("task"), b"", 0o644);
    bed.order("task", "once");
    until("it ran", || bed.logged("ran") == 2);
    bed.down("task");
    stays("it ran one time", millis(200), || bed.logged("ran") == 2);
    assert_eq!(bed.last_exit("task"), Some(Ended::Code(0)));
}

#[test]
fn an_empty_lock_leaves_it_alone_and_down_when_it_ends() {
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    let pid = bed.up("web");
    bed.file(&bed.path("web", "lock"), b"", 0o644);
    stays("it runs on", millis(200), || is_alive(pid));
    kill(pid, Signal::SIGKILL);
    bed.down("web");
    assert_eq!(fs::read(bed.path("web", "lock")).ok(), Some(Vec::new()), "the lock is its owner's");
}

#[test]
fn rubbish_in_the_lock_leaves_it_alone_and_down_when_it_ends() {
    let bed = TestBed::new().started();
    for (number, rubbish) in
        [&b"Stop"[..], b"\xff\x00\xfe", b"stop\nkill\n", &vec![b'x'; 100_000]].into_iter().enumerate()
    {
        let name = format!("web{number}");
        bed.service(&name, SLEEPER);
        let pid = bed.up(&name);
        bed.file(&bed.path(&name, "lock"), rubbish, 0o644);
        stays("it runs on", millis(150), || is_alive(pid));
        kill(pid, Signal::SIGKILL);
        bed.down(&name);
        bed.unlock(&name);
        bed.up_again(&name, pid);
    }
}

#[test]
fn a_lock_that_is_there_at_the_start_is_obeyed() {
    let mut bed = TestBed::new();
    for name in ["web", "held", "task", "again", "killed"] {
        bed.service(name, SLEEPER);
    }
    for dir in ["", "web", "held", "task", "again", "killed"] {
        fs::create_dir(bed.rundir.join(dir)).expect("a directory can be made");
        bed.adjust(&bed.rundir.join(dir), 0o755);
    }
    bed.order("web", "stop");
    bed.order("held", "");
    bed.order("task", "once");
    bed.order("again", "restart");
    bed.order("killed", "kill");
    bed.start();
    bed.up("again");
    bed.up("task");
    until("orders to start are carried out", || {
        bed.lock("task").as_deref() == Some("ran") && bed.lock("again").is_none()
    });
    stays("the others are not started", millis(200), || {
        ["web", "held", "killed"].iter().all(|name| bed.pid(name).is_none())
    });
}

#[test]
fn removing_the_lock_starts_it_again() {
    let bed = TestBed::new().started();
    let old = stopped(&bed);
    bed.unlock("web");
    bed.up_again("web", old);
}

#[test]
fn restart_in_the_lock_starts_what_is_down_and_has_no_supervisor() {
    let bed = TestBed::new().started();
    let old = stopped(&bed);
    bed.order("web", "restart");
    bed.up_again("web", old);
    until("the order is taken back", || bed.lock("web").is_none());
}

#[test]
fn a_stop_for_what_is_down_starts_nothing() {
    let bed = TestBed::new().started();
    stopped(&bed);
    for order in ["kill", "stop", "", "rubbish", "ran"] {
        bed.order("web", order);
        stays("it stays down", millis(100), || bed.pid("web").is_none());
    }
}

#[test]
fn removing_the_lock_while_it_is_stopping_starts_it_again() {
    let bed = TestBed::new().started();
    bed.service(
        "slow",
        "trap 'until [ -e $BED/go ]; do sleep 0.01; done; exit 0' TERM
         echo ready >> $BED/log; while :; do sleep 0.01; done",
    );
    let pid = bed.up("slow");
    until("it is ready", || bed.logged("ready") == 1);
    bed.nudge("slow", Signal::SIGTERM);
    bed.comes_to("slow", Phase::Stopping);
    until("the order is written", || bed.lock("slow").is_some());
    bed.unlock("slow");
    stays("the old one is not left", millis(200), || bed.pid("slow") == Some(pid));
    bed.file(&bed.dir.join("go"), b"", 0o644);
    bed.up_again("slow", pid);
    assert!(!is_alive(pid));
    assert_eq!(bed.lock("slow"), None);
}

#[test]
fn an_order_that_replaces_another_counts() {
    let bed = TestBed::new().started();
    bed.service("deaf", common::services::DEAF);
    let pid = bed.up("deaf");
    until("it is deaf", || common::process::status_line(pid, "SigIgn").is_some_and(|set| set.ends_with("4000")));
    bed.order("deaf", "stop");
    bed.comes_to("deaf", Phase::Stopping);
    bed.order("deaf", "kill");
    bed.down("deaf");
    assert_eq!(bed.lock("deaf").as_deref(), Some("kill"));
}

#[test]
fn sigalrm_has_its_supervisor_look_at_the_order() {
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    let pid = bed.up("web");
    // so that nobody else nudges it
    kill(bed.sysmgr(), Signal::SIGSTOP);
    bed.order("web", "restart");
    stays("nobody has told it", millis(100), || bed.pid("web") == Some(pid));
    bed.nudge("web", Signal::SIGALRM);
    bed.up_again("web", pid);
    kill(bed.sysmgr(), Signal::SIGCONT);
}

#[test]
fn an_order_that_is_written_while_sysmgr_is_suspended_is_carried_out_when_it_goes_on() {
    let bed = TestBed::new().started();
    let old = stopped(&bed);
    kill(bed.sysmgr(), Signal::SIGSTOP);
    bed.order("web", "once");
    kill(bed.sysmgr(), Signal::SIGCONT);
    bed.up_again("web", old);
}

#[test]
fn an_order_that_is_written_while_sysmgr_is_dead_is_carried_out_by_the_next() {
    let mut bed = TestBed::new().started();
    let old = stopped(&bed);
    bed.service("other", SLEEPER);
    let other = bed.up("other");
    bed.kill_sysmgr();
    bed.unlock("web");
    bed.order("other", "restart");
    stays("nobody is there to do it", millis(100), || bed.pid("web").is_none());
    bed.start();
    bed.up_again("web", old);
    bed.up_again("other", other);
    until("the order is taken back", || bed.lock("other").is_none());
}

#[test]
fn the_entry_that_is_removed_and_put_back_has_no_order_left() {
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    let pid = bed.up("web");
    bed.remove("web");
    until("it is stopped", || !is_alive(pid) && bed.syspid("web").is_none());
    bed.service("web", SLEEPER);
    bed.up_again("web", pid);
    assert_eq!(bed.lock("web"), None);
}

#[test]
fn an_entry_that_was_stopped_and_is_removed_and_put_back_stays_stopped() {
    let bed = TestBed::new().started();
    stopped(&bed);
    bed.remove("web");
    // a package manager that replaces it
    bed.service("web", SLEEPER);
    stays("it stays down", millis(1500), || bed.pid("web").is_none());
    assert_eq!(bed.lock("web").as_deref(), Some("stop"));
}
