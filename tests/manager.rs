//! sysmgr itself: its start, its end, and what it owes to the system.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Instant;

use common::services::{DEAF, SLEEPER};
use common::{POSIX_ONLY, Signal, TestBed, is_alive, kill, millis, process, skip, stays, until, value_of};
use sysmgr::service::status::Phase;

/// Runs a command to its end; gives its exit code.
fn code_of(mut command: Command) -> Option<i32> {
    let mut child = command.spawn().expect("it can be started");
    process::wait(&mut child).code()
}

#[test]
fn a_second_sysmgr_is_refused_and_told_of_the_first() {
    let bed = TestBed::new().started();
    bed.service("a", SLEEPER);
    let pid = bed.up("a");
    assert_eq!(code_of(bed.program("sysmgr")), Some(1));
    until("it names the first", || bed.said(&["sysmgr", &bed.sysmgr().to_string()]));
    assert_eq!(bed.sysmgr_pid(), Some(bed.sysmgr()));
    assert_eq!(bed.up("a"), pid);
}

#[test]
fn each_stop_signal_stops_everything_and_removes_the_files() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGABRT] {
        let mut bed = TestBed::new();
        bed.service("a", SLEEPER);
        bed.service("b", "trap 'echo told >> $BED/log; exit 0' TERM; while :; do sleep 0.02; done");
        bed.service("fails", "exit 1");
        bed.start();
        let pids = [bed.up("a"), bed.up("b")];
        until("it has come to its trap", || {
            process::status_line(pids[1], "SigCgt").is_some_and(|set| set.ends_with("4000"))
                || process::status_line(pids[1], "SigCgt").is_some_and(|set| !set.ends_with("0000"))
        });
        kill(bed.sysmgr(), signal);
        assert_eq!(bed.wait().code(), Some(0), "{signal}");
        assert!(pids.iter().all(|pid| !is_alive(*pid)), "{signal}");
        assert_eq!(bed.logged("told"), 1);
        assert_eq!(bed.processes(), Vec::<i32>::new());
        for file in ["pid", ".owner"] {
            assert!(!bed.rundir.join(file).exists(), "{signal}: {file}");
        }
        for name in ["a", "b", "fails"] {
            assert_eq!((bed.pid(name), bed.syspid(name)), (None, None));
        }
    }
}

#[test]
fn deaf_services_and_what_is_left_behind_are_killed_within_the_shutdown_timeout() {
    let mut bed = TestBed::new().with("STOP_TIMEOUT_MS", "60000").with("SHUTDOWN_TIMEOUT_MS", "700");
    bed.service("deaf", DEAF);
    bed.service("parent", "sh -c 'trap \"\" TERM; echo deaf >> $BED/log; exec sleep 1000' & exec sleep 1000");
    bed.service("fine", SLEEPER);
    bed.start();
    let pid = bed.up("deaf");
    bed.up("parent");
    bed.up("fine");
    until("it is deaf", || process::status_line(pid, "SigIgn").is_some_and(|set| set.ends_with("4000")));
    until("the child is deaf", || bed.logged("deaf") == 1);
    let begin = Instant::now();
    assert_eq!(bed.stop().code(), Some(0));
    assert!(begin.elapsed() >= millis(600), "it had its time");
    assert!(begin.elapsed() < millis(10_000), "not that of the stop timeout");
    assert_eq!(bed.processes(), Vec::<i32>::new());
}

#[test]
fn services_that_are_suspended_stop_with_sysmgr() {
    let mut bed = TestBed::new();
    bed.service("a", SLEEPER);
    bed.start();
    kill(bed.up("a"), Signal::SIGSTOP);
    assert_eq!(bed.stop().code(), Some(0));
}

#[test]
fn what_was_running_runs_again_with_the_next_sysmgr_and_what_was_stopped_stays_so() {
    let mut bed = TestBed::new();
    for name in ["runs", "stopped", "held"] {
        bed.service(name, SLEEPER);
    }
    bed.start();
    let pid = bed.up("runs");
    bed.up("stopped");
    bed.up("held");
    bed.nudge("stopped", Signal::SIGTERM);
    bed.order("held", "");
    bed.down("stopped");
    bed.stop();
    bed.start();
    bed.up_again("runs", pid);
    stays("the others stay down", millis(300), || bed.pid("stopped").is_none() && bed.pid("held").is_none());
    assert_eq!(bed.lock("stopped").as_deref(), Some("stop"));
}

#[test]
fn nothing_stays_stopped_when_sysmgr_is_killed_in_the_middle_of_its_end() {
    let mut bed = TestBed::new().with("SHUTDOWN_TIMEOUT_MS", "60000");
    bed.service("fine", SLEEPER);
    bed.service(
        "slow",
        "trap 'until [ -e $BED/go ]; do sleep 0.01; done; exit 0' TERM
         echo ready >> $BED/log; while :; do sleep 0.01; done",
    );
    bed.start();
    let (fine, slow) = (bed.up("fine"), bed.up("slow"));
    until("it is ready", || bed.logged("ready") == 1);
    kill(bed.sysmgr(), Signal::SIGTERM);
    bed.comes_to("slow", Phase::Stopping);
    until("the other has ended", || !is_alive(fine));
    assert_eq!(bed.lock("slow").as_deref(), Some("shutdown"));
    bed.kill_sysmgr();
    bed.start();
    bed.up_again("fine", fine);
    bed.file(&bed.dir.join("go"), b"", 0o644);
    bed.up_again("slow", slow);
    assert_eq!((bed.lock("fine"), bed.lock("slow")), (None, None));
}

#[test]
fn a_stop_that_is_given_twice_is_one() {
    let mut bed = TestBed::new();
    for name in ["a", "b"] {
        bed.service(name, SLEEPER);
    }
    bed.start();
    bed.up("a");
    bed.up("b");
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGTERM] {
        process::try_kill(bed.sysmgr(), signal);
    }
    assert_eq!(bed.wait().code(), Some(0));
}

#[test]
fn a_service_that_appears_during_the_end_is_not_started() {
    let mut bed = TestBed::new().with("SHUTDOWN_TIMEOUT_MS", "1000");
    bed.service("deaf", DEAF);
    bed.start();
    let pid = bed.up("deaf");
    until("it is deaf", || process::status_line(pid, "SigIgn").is_some_and(|set| set.ends_with("4000")));
    kill(bed.sysmgr(), Signal::SIGTERM);
    bed.comes_to("deaf", Phase::Stopping);
    bed.service("late", "echo ran >> $BED/log; exec sleep 1000");
    bed.wait();
    assert!(bed.log().is_empty());
}

#[test]
fn a_run_directory_with_missing_parents_is_made() {
    let mut bed = TestBed::unprivileged();
    bed.service("a", SLEEPER);
    bed.rundir = bed.dir.join("deep/er/run");
    bed.start_by_shell("umask 0777; exec \"$@\"");
    bed.up("a");
    for part in ["deep", "deep/er", "deep/er/run", "deep/er/run/a"] {
        let mode = fs::metadata(bed.dir.join(part)).map(|it| it.permissions().mode() & 0o7777);
        assert_eq!(mode.ok(), Some(0o755), "{part}");
    }
}

#[test]
fn every_child_and_every_orphan_is_reaped() {
    let bed = TestBed::new().with_delays(10, 20);
    let bed = bed.started();
    bed.service("orphans", "for i in 1 2 3 4 5; do (sleep 0.05 &) ; done; echo ran >> $BED/log");
    bed.service("apart", "for i in 1 2 3 4 5; do (setsid sleep 0.05 &) ; done; sleep 0.1");
    bed.service("lasting", "while :; do (true &); (setsid true &); sleep 0.02; done");
    let pid = bed.up("lasting");
    let supervisor = bed.syspid("lasting").expect("it has a supervisor");
    // where orphans go to process 1, each run waits until that one has reaped them
    let runs = if POSIX_ONLY { 2 } else { 10 };
    until("it has run a while", || bed.logged("ran") >= runs);
    until("there is no zombie of a supervisor", || process::zombies(supervisor).is_empty());
    for name in ["orphans", "apart"] {
        bed.nudge(name, Signal::SIGTERM);
        bed.down(name);
    }
    kill(pid, Signal::SIGSTOP);
    until("there is no zombie", || {
        process::zombies(bed.sysmgr()).is_empty() && process::zombies(supervisor).is_empty()
    });
    // an orphan of a supervisor that dies comes to sysmgr
    kill(supervisor, Signal::SIGKILL);
    until("there is no zombie of it either", || process::zombies(bed.sysmgr()).is_empty());
    // what has a session of its own is left alone, and ends by itself
    let lines = || bed.processes().into_iter().map(process::command_line);
    until("all of them have ended", || lines().all(|line| !line.starts_with("sleep 0.05")));
}

#[test]
fn an_idle_sysmgr_and_its_supervisors_do_not_run() {
    if POSIX_ONLY {
        return skip("without events of directories it has to look");
    }
    let mut bed = TestBed::new();
    let names: Vec<String> = (0..20).map(|number| format!("s{number}")).collect();
    for name in &names {
        bed.service(name, SLEEPER);
    }
    bed.entry("refused", b"", 0o644);
    bed.link("dangling", &bed.dir.join("nowhere"));
    bed.start();
    for name in &names {
        bed.up(name);
    }
    let mut tools: Vec<i32> = names.iter().filter_map(|name| bed.syspid(name)).collect();
    tools.push(bed.sysmgr());
    assert_eq!(tools.len(), 21);
    let count = || tools.iter().map(|pid| process::switches(*pid)).sum::<u64>();
    // whatever the starts had in their wake is over
    let mut last = (count(), Instant::now());
    until("they have come to rest", || {
        if count() != last.0 {
            last = (count(), Instant::now());
        }
        last.1.elapsed() > millis(400)
    });
    stays("they do not run", millis(1500), || count() == last.0);
}

#[test]
fn quiet_is_quiet_and_messages_are_one_line_each() {
    let mut bed = TestBed::new();
    bed.service("a", SLEEPER);
    bed.start_by(|command| {
        command.arg("--quiet");
    });
    let pid = bed.up("a");
    kill(pid, Signal::SIGKILL);
    bed.up_again("a", pid);
    bed.stop();
    assert!(bed.messages().is_empty(), "{:?}", bed.messages());
}

#[test]
fn a_service_that_fails_again_and_again_floods_nothing() {
    let bed = TestBed::new().with_delays(100, 100);
    let bed = bed.started();
    bed.service("fails", "echo ran >> $BED/log; exit 1");
    bed.entry("wrong", b"#!/nonexistent\n", 0o755);
    until("it has failed ten times", || bed.logged("ran") >= 10);
    let about = bed.messages().iter().filter(|line| line.contains(" fails: ")).count();
    assert!(about <= bed.logged("ran") + 1, "one message an event: {:?}", bed.messages());
    for line in bed.messages() {
        assert!(line.starts_with("sysmgr: "), "{line}");
    }
}

#[test]
fn the_supervisor_is_found_beside_sysmgr_before_path() {
    let mut bed = TestBed::new();
    let fake = bed.dir.join("runsyssv");
    bed.file(&fake, b"#!/bin/sh\necho wrong >> $BED/log\n", 0o755);
    bed.service("a", SLEEPER);
    let path = format!("{}:{}", bed.dir.display(), std::env::var("PATH").unwrap_or_default());
    bed.start_by(|command| {
        command.env("PATH", path);
    });
    bed.up("a");
    assert!(bed.log().is_empty());
}

#[test]
fn sysmgr_runs_in_the_foreground_and_its_files_name_it() {
    let bed = TestBed::new().started();
    assert_eq!(bed.sysmgr_pid(), Some(bed.sysmgr()));
    let mode = fs::metadata(bed.rundir.join(".owner")).map(|it| it.permissions().mode() & 0o777);
    assert_eq!(mode.ok(), Some(0o600));
    let name = value_of("it is there", || Some(process::command_name(bed.sysmgr())));
    assert_eq!(name, "sysmgr");
}
