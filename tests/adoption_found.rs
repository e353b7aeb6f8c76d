//! Supervisors that die, sysmgr that ends or is upgraded, files that change, all within moments: what the random test
//! in `chaos` has found, forced.

mod common;

use std::fs;

use common::said::Said;
use common::services::{DEAF, SLEEPER};
use common::{POSIX_ONLY, Signal, TestBed, is_alive, kill, process, skip, until, value_of};
use sysmgr::service::status::Phase;

fn supervisor_of(pid: i32) -> i32 {
    process::facts(pid).expect("it lives").parent
}

fn cannot_adopt() -> bool {
    if POSIX_ONLY {
        skip("start times of processes can't be had");
    }
    POSIX_ONLY
}

#[test]
fn a_file_that_was_refused_and_is_mended_while_there_is_no_sysmgr_is_tried_by_the_next() {
    let mut bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    let pid = bed.up("web");
    bed.adjust(&bed.sysdir.join("web"), 0o644);
    kill(pid, Signal::SIGKILL);
    bed.comes_to("web", Phase::Refused);
    bed.kill_sysmgr();
    bed.adjust(&bed.sysdir.join("web"), 0o755);
    bed.start();
    bed.up_again("web", pid);
}

#[test]
fn a_supervisor_that_executes_itself_anew_keeps_its_service_whatever_its_record_says() {
    let mut bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    let pid = bed.up("web");
    let supervisor = bed.syspid("web").expect("it has a supervisor");
    // nobody to notice
    bed.kill_sysmgr();
    bed.file(&bed.path("web", ".owner"), b"rubbish", 0o600);
    kill(supervisor, Signal::SIGUSR2);
    until("its record is there again", || {
        fs::read(bed.path("web", ".owner")).is_ok_and(|it| it.starts_with(b"sysmgr "))
    });
    bed.start();
    assert_eq!((bed.up("web"), bed.syspid("web")), (pid, Some(supervisor)));
    bed.nudge("web", Signal::SIGTERM);
    bed.down("web");
    assert!(!is_alive(pid));
}

#[test]
fn an_upgrade_with_the_run_directory_wiped_and_a_supervisor_killed_forgets_no_service() {
    if cannot_adopt() {
        return;
    }
    let bed = TestBed::new().started();
    bed.service("web", "exec setsid sleep 1000");
    let pid = bed.asleep("web");
    let supervisor = bed.syspid("web").expect("it has a supervisor");
    // when sysmgr has had this put back, it has seen what came before
    fs::remove_file(bed.path("web", "pid")).expect("there is one");
    until("it is put back", || bed.pid("web") == Some(pid));
    kill(bed.sysmgr(), Signal::SIGSTOP);
    kill(supervisor, Signal::SIGKILL);
    fs::remove_dir_all(&bed.rundir).expect("it can be removed");
    kill(bed.sysmgr(), Signal::SIGUSR2);
    kill(bed.sysmgr(), Signal::SIGCONT);
    assert_eq!(bed.up("web"), pid);
}

#[test]
fn a_service_in_a_session_of_its_own_of_which_no_record_was_seen_is_ended_before_it_is_started_again() {
    if cannot_adopt() {
        return;
    }
    let bed = TestBed::new().started();
    bed.service("web", "exec setsid sleep 1000");
    let pid = bed.asleep("web");
    kill(bed.sysmgr(), Signal::SIGSTOP);
    kill(pid, Signal::SIGKILL);
    bed.up_again("web", pid);
    let unseen = bed.asleep("web");
    fs::remove_dir_all(&bed.rundir).expect("it can be removed");
    kill(supervisor_of(unseen), Signal::SIGKILL);
    kill(bed.sysmgr(), Signal::SIGCONT);
    bed.up_again("web", unseen);
    assert!(!is_alive(unseen));
}

#[test]
fn a_stopped_service_that_died_with_its_supervisor_is_stopped() {
    let mut bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    let pid = bed.up("web");
    bed.kill_sysmgr();
    kill(bed.syspid("web").expect("it has a supervisor"), Signal::SIGKILL);
    kill(pid, Signal::SIGKILL);
    until("it is dead", || !is_alive(pid));
    bed.order("web", "stop");
    bed.start();
    Said::by(bed.program("svctl").args(["stop", "web"])).ended(0).quietly();
    Said::by(bed.program("svctl").args(["start", "web"])).ended(0).quietly();
    bed.up_again("web", pid);
}

#[test]
fn a_lock_that_is_removed_takes_back_what_a_signal_told_a_dead_supervisor() {
    let mut bed = TestBed::new().started();
    bed.service("web", DEAF);
    let pid = bed.up("web");
    // so that what was told is not done yet
    until("it is deaf", || process::status_line(pid, "SigIgn").is_some_and(|set| set.ends_with("4000")));
    let supervisor = bed.syspid("web").expect("it has a supervisor");
    kill(supervisor, Signal::SIGTERM);
    bed.comes_to("web", Phase::Stopping);
    bed.kill_sysmgr();
    kill(supervisor, Signal::SIGKILL);
    until("its supervisor is dead", || !is_alive(supervisor));
    kill(pid, Signal::SIGKILL);
    bed.unlock("web");
    bed.start();
    bed.up_again("web", pid);
}

#[test]
fn sysmgr_does_not_end_before_what_a_supervisor_had_to_clear_away_that_was_killed_meanwhile() {
    let mut bed = TestBed::new().started();
    bed.service(
        "parent",
        "sh -c 'trap \"\" TERM; echo $$ >> $BED/log; exec sleep 1000' &
         exec sleep 1000",
    );
    let pid = bed.up("parent");
    let left: i32 = value_of("its child is deaf", || bed.log().first()?.parse().ok());
    let supervisor = bed.syspid("parent").expect("it has a supervisor");
    kill(pid, Signal::SIGKILL);
    bed.comes_to("parent", Phase::Clearing);
    kill(bed.sysmgr(), Signal::SIGTERM);
    until("it is ending", || bed.said(&["told to end"]));
    kill(supervisor, Signal::SIGKILL);
    assert!(bed.wait().success());
    assert!(!is_alive(left));
}
