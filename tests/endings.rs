//! The end of sysmgr, and of a service, whatever stands in the way.

mod common;

use std::fs;
use std::os::unix::fs::chown;

use common::mount::Mount;
use common::services::SLEEPER;
use common::{Signal, TestBed, USER, is_alive, is_root, kill, until};
use sysmgr::service::status::Phase;

#[test]
fn what_stands_in_the_place_of_a_directory_does_not_keep_sysmgr_from_ending() {
    let mut bed = TestBed::new();
    bed.service("a", SLEEPER);
    bed.service("b", SLEEPER);
    bed.service("c", SLEEPER);
    fs::create_dir_all(bed.rundir.join("c")).expect("it can be made");
    fs::write(bed.rundir.join("a"), "").expect("it can be made");
    if is_root() {
        chown(bed.rundir.join("c"), Some(USER), None).expect("root may");
    }
    bed.start();
    bed.up("b");
    until("it is said", || bed.said(&["sysmgr: a: ", "it is tried again"]));
    assert_eq!(bed.stop().code(), Some(0));
    assert!(bed.rundir.join("a").is_file());
}

#[test]
fn what_others_have_in_the_run_directory_stays_when_sysmgr_ends() {
    let mut bed = TestBed::new().started();
    bed.service("a", SLEEPER);
    bed.up("a");
    for foreign in [".mine.tmp", ".a.b.tmp", ".pid.tmp", "file"] {
        fs::write(bed.rundir.join(foreign), "").expect("it can be made");
        fs::write(bed.path("a", foreign), "").expect("it can be made");
    }
    for foreign in [".empty", "empty"] {
        fs::create_dir(bed.rundir.join(foreign)).expect("it can be made");
    }
    fs::write(bed.path("a", ".status.99999.tmp"), "").expect("it can be made");
    assert_eq!(bed.stop().code(), Some(0));
    let names = |dir: &std::path::Path| {
        let mut names: Vec<_> =
            fs::read_dir(dir).expect("it is there").flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&bed.rundir), [".a.b.tmp", ".empty", ".mine.tmp", ".pid.tmp", "a", "empty", "file"]);
    assert_eq!(names(&bed.rundir.join("a")), [".a.b.tmp", ".mine.tmp", ".pid.tmp", "file"]);
}

#[test]
fn a_service_whose_files_are_removed_just_before_the_end_of_all_is_started_by_the_next_sysmgr() {
    for _ in 0..5 {
        let mut bed = TestBed::new().started();
        bed.service("a", SLEEPER);
        let pid = bed.up("a");
        fs::remove_dir_all(bed.rundir.join("a")).expect("it can be removed");
        assert_eq!(bed.stop().code(), Some(0));
        assert!(!is_alive(pid));
        bed.start();
        bed.up_again("a", pid);
    }
}

#[test]
fn a_removed_service_is_stopped_as_soon_as_a_full_run_directory_has_space_again() {
    let bed = TestBed::new();
    fs::create_dir(&bed.rundir).expect("a directory can be made");
    let Some(mount) = Mount::on(&bed.rundir, "mode=755,size=128k") else { return };
    let bed = bed.started();
    bed.service("a", SLEEPER);
    let pid = bed.up("a");
    let filler = bed.rundir.join("filler");
    let _ = fs::write(&filler, vec![b'x'; 256 * 1024]);
    bed.remove("a");
    until("it is said", || bed.said(&["sysmgr: a: cannot write", "it is tried again"]));
    fs::remove_file(filler).expect("it can be removed");
    until("it is stopped", || !is_alive(pid));
    drop(bed);
    drop(mount);
}

#[test]
fn a_removed_service_that_was_to_run_once_is_stopped_though_its_supervisor_is_dead() {
    let bed = TestBed::new().started();
    bed.service("a", SLEEPER);
    let pid = bed.up("a");
    bed.order("a", "ran");
    bed.remove("a");
    let mut killed = 0;
    until("it is stopped", || {
        if let Some(supervisor) = bed.syspid("a").filter(|supervisor| *supervisor != killed && killed == 0) {
            kill(supervisor, Signal::SIGKILL);
            killed = supervisor;
        }
        !is_alive(pid)
    });
    until("nobody has it", || !bed.path("a", "syspid").exists() && bed.phase("a") != Some(Phase::Up));
}
