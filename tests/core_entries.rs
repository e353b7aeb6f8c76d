//! The service directory: what appears in it is started, what is removed is stopped.

mod common;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::time::Instant;

use common::mount::Mount;
use common::services::SLEEPER;
use common::{Signal, TestBed, is_alive, kill, millis, stays, until};
use sysmgr::service::ended::Ended;
use sysmgr::service::status::Phase;

#[test]
fn services_that_are_there_at_the_start_are_started() {
    let mut bed = TestBed::new();
    for name in ["a", "b", "c"] {
        bed.service(name, SLEEPER);
    }
    bed.start();
    for name in ["a", "b", "c"] {
        let pid = bed.up(name);
        let runsyssv = bed.syspid(name).expect("it has a supervisor");
        let facts = common::facts(pid).expect("it lives");
        assert_eq!(facts.parent, runsyssv);
        assert_eq!(common::facts(runsyssv).map(|facts| facts.parent), Some(bed.sysmgr()));
    }
}

#[test]
fn a_file_that_is_moved_in_is_started_at_once() {
    let bed = TestBed::new().started();
    bed.service("late", SLEEPER);
    bed.up("late");
}

#[test]
fn a_file_that_is_written_in_place_is_started_when_it_is_whole() {
    let bed = TestBed::new().started();
    let path = bed.sysdir.join("slow");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(&path).expect("it can be made");
    file.write_all(b"#!/bin/sh\necho half >> $BED/log\n").expect("it can be written");
    bed.adjust(&path, 0o755);
    stays("half a script is not run", millis(300), || {
        bed.log().is_empty() && bed.status("slow").is_none_or(|status| status.failures == 0)
    });
    file.write_all(b"echo whole >> $BED/log\nexec sleep 1000\n").expect("it can be written");
    drop(file);
    bed.up("slow");
    assert_eq!(bed.logs(2), ["half", "whole"]);
    let status = bed.status("slow").expect("it has a status");
    assert_eq!((status.starts, status.failures, status.last_exit), (1, 0, None));
}

#[test]
fn a_service_that_is_being_written_when_it_would_be_started_again_waits_for_that() {
    let bed = TestBed::new().with_delays(100, 30000).started();
    bed.service("busy", SLEEPER);
    let pid = bed.asleep("busy");
    let path = bed.sysdir.join("busy");
    let mut file = fs::OpenOptions::new().append(true).open(&path).expect("it can be opened");
    kill(pid, Signal::SIGKILL);
    until("its end is known", || bed.last_exit("busy").is_some());
    stays("it waits", millis(500), || bed.phase("busy") != Some(Phase::Up));
    let ended = bed.last_exit("busy");
    assert_eq!(ended, Some(Ended::Signal { number: 9, core: false }), "ETXTBSY is no end of a run");
    file.write_all(b"# more\n").expect("it can be written");
    drop(file);
    bed.up("busy");
}

#[test]
fn a_file_that_is_made_executable_is_started() {
    let bed = TestBed::new().started();
    bed.entry("plain", b"#!/bin/sh\nexec sleep 1000\n", 0o644);
    let status = bed.comes_to("plain", Phase::Refused);
    assert!(status.reason.is_some_and(|reason| reason.contains("executable")));
    bed.adjust(&bed.sysdir.join("plain"), 0o755);
    bed.up("plain");
}

#[test]
fn a_stopped_service_whose_refused_file_is_mended_is_down_and_no_longer_refused() {
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    bed.up("web");
    bed.nudge("web", Signal::SIGTERM);
    bed.down("web");
    bed.adjust(&bed.sysdir.join("web"), 0o644);
    bed.comes_to("web", Phase::Refused);
    bed.adjust(&bed.sysdir.join("web"), 0o755);
    let status = bed.comes_to("web", Phase::Down);
    assert_eq!((status.reason, bed.lock("web").as_deref()), (None, Some("stop")));
}

#[test]
fn a_link_is_started_and_runs_what_it_leads_to() {
    let bed = TestBed::new().started();
    let target = bed.dir.join("target");
    bed.file(&target, b"#!/bin/sh\necho \"$0\" >> $BED/log\nexec sleep 1000\n", 0o755);
    bed.link("linked", &target);
    bed.up("linked");
    // its own path, not that of the target
    assert_eq!(bed.logs(1), [bed.sysdir.join("linked").display().to_string()]);
}

#[test]
fn a_hard_link_is_started_as_it_is_whole_already() {
    let bed = TestBed::new().started();
    let target = bed.dir.join("target");
    bed.file(&target, b"#!/bin/sh\nexec sleep 1000\n", 0o755);
    fs::hard_link(&target, bed.sysdir.join("hard")).expect("a link can be made");
    bed.up("hard");
}

#[test]
fn hidden_files_are_no_services() {
    let bed = TestBed::new();
    bed.service(".hidden", "echo ran >> $BED/log");
    let bed = bed.started();
    bed.service(".later", "echo ran >> $BED/log");
    bed.service("seen", SLEEPER);
    bed.up("seen");
    assert!(bed.log().is_empty());
    assert!(!bed.said(&["hidden"]), "{:?}", bed.messages());
}

#[test]
fn a_removed_entry_is_stopped_after_a_grace() {
    let bed = TestBed::new().started();
    bed.service("gone", SLEEPER);
    bed.service("stays", SLEEPER);
    let (pid, other) = (bed.asleep("gone"), bed.asleep("stays"));
    let begin = Instant::now();
    bed.remove("gone");
    until("it is stopped", || !is_alive(pid));
    assert!(begin.elapsed() >= millis(900), "after {:?} already", begin.elapsed());
    until("nothing of it runs", || bed.syspid("gone").is_none() && bed.pid("gone").is_none());
    assert_eq!(bed.up("stays"), other);

    bed.service("gone", SLEEPER);
    bed.up("gone");
}

#[test]
fn an_entry_that_is_moved_away_is_stopped_and_one_that_is_renamed_runs_under_its_new_name() {
    let bed = TestBed::new().started();
    bed.service("old", SLEEPER);
    let pid = bed.up("old");
    fs::rename(bed.sysdir.join("old"), bed.sysdir.join("new")).expect("it can be renamed");
    bed.up("new");
    until("the old one is stopped", || !is_alive(pid));
}

#[test]
fn a_replacement_by_delete_within_the_grace_stops_nothing() {
    let bed = TestBed::new().started();
    bed.service("replaced", SLEEPER);
    let pid = bed.asleep("replaced");
    bed.remove("replaced");
    bed.service("replaced", "echo new >> $BED/log; exec sleep 1000");
    stays("it runs on", millis(1500), || is_alive(pid) && bed.pid("replaced") == Some(pid));
    assert!(bed.log().is_empty(), "a changed file is not restarted by itself");
    kill(pid, Signal::SIGKILL);
    bed.up_again("replaced", pid);
    assert_eq!(bed.logs(1), ["new"]);
}

#[test]
fn what_cannot_be_a_service_is_shown_with_the_reason_and_started_when_mended() {
    let bed = TestBed::unprivileged().started();
    fs::create_dir(bed.sysdir.join("folder")).expect("a directory can be made");
    bed.link("dangling", &bed.dir.join("nowhere"));
    bed.entry("plain", b"#!/bin/sh\nexec sleep 1000\n", 0o644);
    let fifo = bed.sysdir.join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o755)).expect("a fifo");
    for (name, reason) in
        [("folder", "directory"), ("dangling", "nowhere"), ("plain", "executable"), ("fifo", "regular file")]
    {
        let status = bed.comes_to(name, Phase::Refused);
        let said = status.reason.unwrap_or_default();
        assert!(said.contains(reason), "{name}: {said}");
        until("it is said", || bed.said(&[&format!("{name}:"), reason]));
        let count = || bed.messages().iter().filter(|l| l.contains(&format!(" {name}:"))).count();
        stays("it is said once", millis(200), || count() == 1);
        assert!(bed.pid(name).is_none() && bed.syspid(name).is_none());
    }
    fs::remove_dir(bed.sysdir.join("folder")).expect("it can be removed");
    bed.service("folder", SLEEPER);
    bed.file(&bed.dir.join("nowhere"), b"#!/bin/sh\nexec sleep 1000\n", 0o755);
    bed.adjust(&bed.sysdir.join("plain"), 0o755);
    bed.service("fifo", SLEEPER);
    for name in ["folder", "dangling", "plain", "fifo"] {
        bed.up(name);
    }
}

#[test]
fn a_link_whose_target_is_replaced_by_rename_is_tried_again_each_time() {
    let bed = TestBed::new().with_delays(60000, 60000).started();
    let (target, aside) = (bed.dir.join("target"), bed.dir.join("aside"));
    bed.link("linked", &target);
    bed.comes_to("linked", Phase::Refused);
    for round in 1..=3 {
        let script = format!("#!/bin/sh\necho {round} >> $BED/log\nexit 1\n");
        bed.file(&aside, script.as_bytes(), 0o755);
        fs::rename(&aside, &target).expect("it can be renamed");
        // one start, one restart at once, then a back-off that only a change ends
        until("it was tried twice", || bed.logged(&round.to_string()) == 2);
        bed.comes_to("linked", Phase::Backoff);
    }
    bed.file(&aside, b"#!/bin/sh\nexec sleep 1000\n", 0o755);
    fs::rename(&aside, &target).expect("it can be renamed");
    bed.up("linked");
}

#[test]
fn a_link_through_links_to_another_directory_is_started_when_its_end_appears() {
    let bed = TestBed::new().started();
    let far = bed.dir.join("far");
    bed.link("chain", &bed.dir.join("middle"));
    std::os::unix::fs::symlink(far.join("end"), bed.dir.join("middle")).expect("a link");
    bed.comes_to("chain", Phase::Refused);
    fs::create_dir(&far).expect("a directory can be made");
    bed.adjust(&far, 0o755);
    bed.file(&far.join("end"), b"#!/bin/sh\nexec sleep 1000\n", 0o755);
    bed.up("chain");
}

#[test]
fn a_service_directory_that_vanishes_stops_nothing_and_goes_on_when_it_is_back() {
    let bed = TestBed::new().started();
    bed.service("a", SLEEPER);
    let pid = bed.asleep("a");
    let away = bed.dir.join("away");
    fs::rename(&bed.sysdir, &away).expect("it can be renamed");
    stays("it runs on", millis(1600), || is_alive(pid) && bed.pid("a") == Some(pid));
    until("it is said", || bed.said(&[&bed.sysdir.display().to_string()]));
    fs::rename(&away, &bed.sysdir).expect("it can be renamed back");
    bed.service("b", SLEEPER);
    bed.up("b");
    assert_eq!(bed.up("a"), pid);
    bed.remove("a");
    until("what is removed after that is stopped", || !is_alive(pid));
}

#[test]
fn a_service_directory_that_is_removed_whole_stops_nothing() {
    let bed = TestBed::new().started();
    bed.service("a", SLEEPER);
    let pid = bed.asleep("a");
    fs::remove_dir_all(&bed.sysdir).expect("it can be removed");
    stays("it runs on", millis(1600), || is_alive(pid) && bed.pid("a") == Some(pid));
    fs::create_dir(&bed.sysdir).expect("it can be made again");
    bed.adjust(&bed.sysdir, 0o755);
    bed.service("b", SLEEPER);
    bed.up("b");
    bed.service("a", SLEEPER);
    assert_eq!(bed.up("a"), pid);
}

#[test]
fn a_service_directory_that_becomes_unreadable_stops_nothing() {
    let bed = TestBed::unprivileged().started();
    bed.service("a", SLEEPER);
    let pid = bed.asleep("a");
    bed.adjust(&bed.sysdir, 0o000);
    stays("it runs on", millis(1600), || is_alive(pid) && bed.pid("a") == Some(pid));
    bed.adjust(&bed.sysdir, 0o755);
    bed.service("b", SLEEPER);
    bed.up("b");
    assert_eq!(bed.up("a"), pid);
}

#[test]
fn a_service_that_crashes_while_the_service_directory_is_away_is_started_when_it_is_back() {
    let bed = TestBed::unprivileged().started();
    bed.service("closed", SLEEPER);
    let pid = bed.asleep("closed");
    bed.adjust(&bed.sysdir, 0o000);
    kill(pid, Signal::SIGKILL);
    until("its end is known", || bed.last_exit("closed").is_some());
    until("there is no process", || bed.pid("closed").is_none());
    assert!(!bed.said(&["closed:", "not in the service directory"]), "{:?}", bed.messages());
    bed.adjust(&bed.sysdir, 0o755);
    let pid = bed.up_again("closed", pid);
    until("it sleeps", || common::process::command_name(pid) == "sleep");
    let away = bed.dir.join("away");
    fs::rename(&bed.sysdir, &away).expect("it can be renamed");
    kill(pid, Signal::SIGKILL);
    until("there is no process", || bed.pid("closed").is_none());
    fs::rename(&away, &bed.sysdir).expect("it can be renamed back");
    bed.up_again("closed", pid);
}

#[test]
fn a_service_directory_that_is_unmounted_stops_nothing_and_goes_on_when_it_is_mounted_again() {
    let mut bed = TestBed::new();
    let Some(mount) = Mount::on(&bed.sysdir, "mode=755") else {
        return;
    };
    bed.service("a", SLEEPER);
    bed.start();
    let pid = bed.asleep("a");
    drop(mount);
    assert!(!bed.sysdir.join("a").exists());
    stays("it runs on", millis(1600), || is_alive(pid) && bed.pid("a") == Some(pid));
    until("it is said", || bed.said(&[&bed.sysdir.display().to_string()]));
    let _mount = Mount::on(&bed.sysdir, "mode=755");
    bed.service("a", SLEEPER);
    bed.service("b", SLEEPER);
    bed.up("b");
    assert_eq!(bed.up("a"), pid);
    bed.stop();
}

#[test]
fn a_service_directory_that_another_is_mounted_over_stops_nothing() {
    let mut bed = TestBed::new();
    bed.service("a", SLEEPER);
    bed.start();
    let pid = bed.asleep("a");
    let Some(mount) = Mount::on(&bed.sysdir, "mode=755") else {
        return;
    };
    // nobody tells of such a mount, so it is seen when somebody has it look
    kill(bed.sysmgr(), Signal::SIGUSR1);
    until("it is said", || bed.said(&[&bed.sysdir.display().to_string()]));
    stays("it runs on", millis(1600), || is_alive(pid) && bed.pid("a") == Some(pid));
    drop(mount);
    bed.service("b", SLEEPER);
    bed.up("b");
    assert_eq!(bed.up("a"), pid);
    bed.stop();
}

#[test]
fn sigusr1_looks_at_the_service_directory_now() {
    let bed = TestBed::new().started();
    bed.service("a", SLEEPER);
    let pid = bed.up("a");
    kill(bed.sysmgr(), Signal::SIGUSR1);
    bed.service("b", SLEEPER);
    kill(bed.sysmgr(), Signal::SIGUSR1);
    bed.up("b");
    assert_eq!(bed.up("a"), pid);
    assert!(is_alive(bed.sysmgr()));
}
