//! Supervisors that die: what runs goes on, and gets another one.

mod common;

use std::fs;

use common::services::{DEAF, SLEEPER};
use common::{POSIX_ONLY, Signal, TestBed, available, is_alive, kill, millis, process, skip, stays, until, value_of};
use sysmgr::service::ended::Ended;
use sysmgr::service::status::Phase;

/// Kills the runsyssv of a service, and waits for the next.
fn orphan(bed: &TestBed, name: &str) {
    let old = bed.syspid(name).expect("it has a supervisor");
    kill(old, Signal::SIGKILL);
    until("it has another supervisor", || bed.syspid(name).is_some_and(|new| new != old && is_alive(new)));
}

fn cannot_adopt() -> bool {
    if POSIX_ONLY {
        skip("start times of processes can't be had");
    }
    POSIX_ONLY
}

#[test]
fn a_service_whose_supervisor_is_killed_keeps_its_process() {
    if cannot_adopt() {
        return;
    }
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    let pid = bed.up("web");
    for _ in 0..3 {
        orphan(&bed, "web");
        assert_eq!(bed.up("web"), pid);
    }
    // it can be stopped, started, restarted
    bed.nudge("web", Signal::SIGTERM);
    bed.down("web");
    assert!(!is_alive(pid));
    bed.unlock("web");
    let pid = bed.up_again("web", pid);
    orphan(&bed, "web");
    bed.order("web", "restart");
    bed.up_again("web", pid);
}

#[test]
fn an_adopted_service_is_restarted_when_it_ends_and_its_end_is_unknown() {
    if cannot_adopt() {
        return;
    }
    let bed = TestBed::new().with_delays(60000, 60000).started();
    bed.service("web", SLEEPER);
    let pid = bed.up("web");
    orphan(&bed, "web");
    assert_eq!(bed.up("web"), pid);
    kill(pid, Signal::SIGKILL);
    let next = bed.up_again("web", pid);
    assert_eq!(bed.last_exit("web"), Some(Ended::Unknown));
    // its own child again
    kill(next, Signal::SIGTERM);
    bed.comes_to("web", Phase::Backoff);
    assert_eq!(bed.last_exit("web"), Some(Ended::Signal { number: 15, core: false }));
}

#[test]
fn what_an_adopted_service_leaves_behind_is_ended_before_its_restart() {
    if cannot_adopt() {
        return;
    }
    let bed = TestBed::new().with("STOP_TIMEOUT_MS", "300").started();
    bed.service(
        "parent",
        "sh -c 'trap \"\" TERM; echo $$ >> $BED/log; exec sleep 1000' &
         exec sleep 1000",
    );
    let pid = bed.up("parent");
    let left: i32 = value_of("its child is deaf", || bed.log().first()?.parse().ok());
    orphan(&bed, "parent");
    assert_eq!(bed.up("parent"), pid);
    kill(pid, Signal::SIGKILL);
    bed.up_again("parent", pid);
    assert!(!is_alive(left));
}

#[test]
fn what_is_left_when_service_and_supervisor_die_together_is_ended_before_the_next_start() {
    let bed = TestBed::new().with("STOP_TIMEOUT_MS", "300").started();
    bed.service(
        "parent",
        "sh -c 'trap \"\" TERM; echo $$ >> $BED/log; exec sleep 1000' &
         exec sleep 1000",
    );
    let pid = bed.up("parent");
    let left: i32 = value_of("its child is deaf", || bed.log().first()?.parse().ok());
    // nothing in between, so that nobody can react
    kill(bed.sysmgr(), Signal::SIGSTOP);
    let supervisor = bed.syspid("parent").expect("it has a supervisor");
    kill(supervisor, Signal::SIGSTOP);
    kill(pid, Signal::SIGKILL);
    kill(supervisor, Signal::SIGKILL);
    kill(bed.sysmgr(), Signal::SIGCONT);
    bed.up_again("parent", pid);
    assert!(!is_alive(left));
}

#[test]
fn a_stop_goes_on_when_the_supervisor_that_was_told_is_killed() {
    if cannot_adopt() {
        return;
    }
    let bed = TestBed::new().started();
    bed.service("deaf", DEAF);
    let pid = bed.up("deaf");
    until("it is deaf", || process::status_line(pid, "SigIgn").is_some_and(|set| set.ends_with("4000")));
    bed.nudge("deaf", Signal::SIGTERM);
    bed.comes_to("deaf", Phase::Stopping);
    orphan(&bed, "deaf");
    bed.comes_to("deaf", Phase::Stopping);
    assert_eq!(bed.pid("deaf"), Some(pid));
    bed.nudge("deaf", Signal::SIGUSR1);
    bed.down("deaf");
    assert!(!is_alive(pid));
}

#[test]
fn a_back_off_goes_on_when_the_supervisor_is_killed() {
    let bed = TestBed::new().with_delays(500, 500).started();
    bed.service("fails", "echo ran >> $BED/log; exit 1");
    until("it has failed twice", || bed.status("fails").is_some_and(|s| s.failures == 2 && s.phase == Phase::Backoff));
    orphan(&bed, "fails");
    until("it is tried again", || bed.logged("ran") >= 3);
    until("it has failed more often", || bed.status("fails").is_some_and(|status| status.failures >= 2));
}

#[test]
fn sysmgr_is_killed_and_its_supervisors_go_on() {
    let mut bed = TestBed::new().started();
    for name in ["a", "b"] {
        bed.service(name, SLEEPER);
    }
    let (a, b) = (bed.up("a"), bed.up("b"));
    let supervisors = (bed.syspid("a"), bed.syspid("b"));
    bed.kill_sysmgr();
    // they restart their services
    kill(a, Signal::SIGKILL);
    let a = bed.up_again("a", a);
    bed.start();
    stays("the next sysmgr keeps them", millis(200), || {
        (bed.pid("a"), bed.pid("b")) == (Some(a), Some(b)) && (bed.syspid("a"), bed.syspid("b")) == supervisors
    });
    // and knows of them
    bed.nudge("a", Signal::SIGTERM);
    bed.down("a");
    bed.unlock("a");
    bed.up_again("a", a);
    let supervisor = bed.syspid("b").expect("it has a supervisor");
    kill(supervisor, Signal::SIGKILL);
    until("it has another supervisor", || bed.syspid("b").is_some_and(|new| new != supervisor && is_alive(new)));
}

#[test]
fn all_supervisors_and_sysmgr_are_killed_and_every_service_is_adopted() {
    if cannot_adopt() {
        return;
    }
    let mut bed = TestBed::new();
    let names = ["a", "b", "c", "d"];
    for name in names {
        bed.service(name, SLEEPER);
    }
    bed.start();
    let pids = names.map(|name| bed.up(name));
    for round in 0..3 {
        if round % 2 == 0 {
            bed.kill_sysmgr();
        }
        let old = names.map(|name| bed.syspid(name).expect("it has a supervisor"));
        for supervisor in old {
            kill(supervisor, Signal::SIGKILL);
        }
        if round % 2 == 0 {
            bed.start();
        }
        for (name, old) in names.iter().zip(old) {
            until("it has another supervisor", || bed.syspid(name).is_some_and(|new| new != old && is_alive(new)));
        }
        assert_eq!(names.map(|name| bed.up(name)), pids);
    }
}

#[test]
fn services_that_ended_while_nobody_looked_are_started_again() {
    let mut bed = TestBed::new().started();
    bed.service("a", SLEEPER);
    let pid = bed.up("a");
    bed.kill_sysmgr();
    kill(bed.syspid("a").expect("it has a supervisor"), Signal::SIGKILL);
    kill(pid, Signal::SIGKILL);
    bed.start();
    bed.up_again("a", pid);
}

#[test]
fn whatever_is_killed_a_service_never_runs_twice() {
    if !available("flock") {
        return;
    }
    let mut bed = TestBed::new().with("STOP_TIMEOUT_MS", "300");
    // its child holds the lock as well
    bed.service(
        "web",
        "exec 9>>$BED/held; flock -n 9 || echo twice >> $BED/log
         (trap '' TERM; exec sleep 1000) & exec sleep 1000",
    );
    bed.start();
    let mut pid = bed.up("web");
    for (sysmgr, supervisor, service) in [
        (false, true, false),
        (true, false, false),
        (true, true, false),
        (false, true, true),
        (true, false, true),
        (true, true, true),
        (false, true, false),
    ] {
        let old = bed.syspid("web").expect("it has a supervisor");
        if supervisor {
            kill(old, Signal::SIGKILL);
        }
        if service {
            process::try_kill(pid, Signal::SIGKILL);
        }
        if sysmgr {
            bed.kill_sysmgr();
            bed.start();
        }
        until("it has a living supervisor", || {
            bed.syspid("web").is_some_and(|new| (new != old) == supervisor && is_alive(new))
        });
        if service || supervisor && POSIX_ONLY {
            // what is left where nothing can be adopted is ended
            let new = bed.up_again("web", pid);
            assert!(!is_alive(pid));
            pid = new;
        } else {
            assert_eq!(bed.up("web"), pid);
        }
        assert_eq!(bed.logged("twice"), 0);
    }
}

#[test]
fn a_second_supervisor_is_refused_and_told_of_the_first() {
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    let pid = bed.up("web");
    let first = bed.syspid("web").expect("it has a supervisor");
    let mut second = bed.program("runsyssv").arg("web").spawn().expect("it can be started");
    let status = process::wait(&mut second);
    assert_eq!(status.code(), Some(1));
    until("it names the first", || bed.said(&["runsyssv", &first.to_string()]));
    assert_eq!((bed.pid("web"), bed.syspid("web")), (Some(pid), Some(first)));
}

#[test]
fn a_supervisor_alone_does_its_work_too() {
    let bed = TestBed::new();
    bed.service("web", SLEEPER);
    let path = bed.sysdir.join("web");
    // a path, whose last part is the name
    let mut alone = bed.program("runsyssv").arg(&path).spawn().expect("it can be started");
    let pid = bed.up("web");
    assert_eq!(bed.syspid("web"), Some(process::of_child(&alone)));
    kill(pid, Signal::SIGKILL);
    bed.up_again("web", pid);
    kill(process::of_child(&alone), Signal::SIGTERM);
    assert_eq!(process::wait(&mut alone).code(), Some(0));
    assert_eq!((bed.pid("web"), bed.syspid("web")), (None, None));
    assert_eq!(bed.phase("web"), Some(Phase::Down));
}

#[test]
fn a_supervisor_that_is_started_by_hand_is_kept_by_sysmgr() {
    let mut bed = TestBed::new().may_leave();
    bed.service("web", SLEEPER);
    let mut alone = bed.program("runsyssv").arg("web").spawn().expect("it can be started");
    let pid = bed.up("web");
    bed.start();
    stays("it is kept", millis(200), || {
        bed.pid("web") == Some(pid) && bed.syspid("web") == Some(process::of_child(&alone))
    });
    bed.stop();
    assert_eq!(process::wait(&mut alone).code(), Some(0));
    assert!(!is_alive(pid));
}

#[test]
fn a_record_of_another_boot_or_process_is_nobody() {
    let mut bed = TestBed::new();
    bed.service("web", SLEEPER);
    let mut stranger = bed.command("sleep").arg("1000").spawn().expect("it can be started");
    let pid = process::of_child(&stranger);
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    for dir in [bed.rundir.clone(), bed.rundir.join("web")] {
        fs::create_dir(&dir).expect("a directory can be made");
        bed.adjust(&dir, 0o755);
    }
    // the number is that of a living process, but it was started at another time
    let record = format!("sysmgr 1 {} {pid} 1 {pid} {pid} -", boot.trim_end());
    bed.file(&bed.path("web", ".owner"), format!("{record:\n<160}").as_bytes(), 0o600);
    bed.file(&bed.path("web", "pid"), format!("{pid}\n").as_bytes(), 0o644);
    bed.start();
    assert_ne!(bed.up_again("web", pid), pid);
    bed.nudge("web", Signal::SIGUSR1);
    bed.down("web");
    assert!(is_alive(pid), "a stranger is never signalled");
    stranger.kill().expect("it is our child");
    process::wait(&mut stranger);
}
