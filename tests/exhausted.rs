//! What the system has no more of: it is said once, survived, and all goes on when there is some again.

mod common;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write as _;
use std::time::Instant;

use common::mount::Mount;
use common::services::SLEEPER;
use common::{POSIX_ONLY, Signal, TestBed, available, is_alive, is_root, kill, lacking, process, skip, until};
use sysmgr::service::ended::Ended;
use sysmgr::service::status::Phase;

/// Sets a limit of living processes, as `--nofile=3:`, as their user may.
fn limit(bed: &TestBed, pids: &[i32], what: &str) {
    for pid in pids {
        let status = bed.command("prlimit").args([what, "--pid", &pid.to_string()]).status();
        assert!(status.is_ok_and(|status| status.success()), "{what} can be set");
    }
}

/// How often a line of messages has all of these parts.
fn times(bed: &TestBed, parts: &[&str]) -> usize {
    bed.messages().iter().filter(|line| parts.iter().all(|part| line.contains(part))).count()
}

#[test]
fn without_processes_it_says_so_once_and_goes_on_when_there_are_some() {
    if !available("prlimit") {
        return;
    }
    if !is_root() {
        return lacking("root, who can be a user without other processes");
    }
    let bed = TestBed::lonely().started();
    bed.service("a", SLEEPER);
    let pid = bed.asleep("a");
    let supervisor = bed.syspid("a").expect("it has a supervisor");
    limit(&bed, &[bed.sysmgr(), supervisor], "--nproc=3:");
    bed.service("b", SLEEPER);
    until("sysmgr says so", || times(&bed, &["sysmgr: b: ", "cannot start"]) == 1);
    // now there is one process less, and a start takes two for a moment
    kill(pid, Signal::SIGKILL);
    let tried = || bed.status("a").is_some_and(|status| matches!(status.last_exit, Some(Ended::Fork(_))));
    until("its supervisor says so", || tried() && times(&bed, &["sysmgr: a: ", "cannot make a process"]) == 1);
    let first = bed.status("a").and_then(|status| status.next_try_ms);
    until("it is tried again", || bed.status("a").is_some_and(|s| s.next_try_ms.is_some() && s.next_try_ms != first));
    let said = ["cannot start", "a: cannot make", "b: cannot make"].map(|what| times(&bed, &[what]));
    assert!(said[0] == 1 && said[1] == 1 && said[2] <= 1, "each says it once: {:?}", bed.messages());
    limit(&bed, &[bed.sysmgr(), supervisor], "--nproc=1000:");
    bed.up_again("a", pid);
    until("the other one is up", || {
        // if its supervisor could be started by now, it has the limit that sysmgr had
        bed.syspid("b").filter(|pid| is_alive(*pid)).inspect(|pid| limit(&bed, &[*pid], "--nproc=1000:"));
        bed.phase("b") == Some(Phase::Up)
    });
    assert_eq!(bed.syspid("a"), Some(supervisor));
}

#[test]
fn without_descriptors_it_says_so_and_goes_on_when_there_are_some() {
    if !available("prlimit") {
        return;
    }
    let bed = TestBed::new().started();
    bed.service("a", SLEEPER);
    bed.service("c", SLEEPER);
    let (pid, c) = (bed.asleep("a"), bed.asleep("c"));
    let supervisors = ["a", "c"].map(|name| bed.syspid(name).expect("it has a supervisor"));
    limit(&bed, &[bed.sysmgr(), supervisors[0], supervisors[1]], "--nofile=3:");
    bed.service("b", SLEEPER);
    kill(pid, Signal::SIGKILL);
    until("it is said", || times(&bed, &["a: ", "Too many open files"]) > 0);
    kill(supervisors[1], Signal::SIGTERM);
    until("a stop needs none", || !is_alive(c));
    let turns = || process::switches(bed.sysmgr()) + process::switches(supervisors[0]);
    let before = turns();
    common::stays("it comes to rest between", common::millis(1500), || turns() < before + 400);
    let said = bed.messages();
    let different: BTreeSet<&String> = said.iter().collect();
    assert_eq!(different.len(), said.len(), "each is said once: {said:?}");
    limit(&bed, &[bed.sysmgr(), supervisors[0], supervisors[1]], "--nofile=1000:");
    bed.up_again("a", pid);
    bed.up("b");
    bed.down("c");
    assert_eq!(bed.lock("c").as_deref(), Some("stop"));
}

/// Fills a file system.
fn fill(bed: &TestBed) {
    let mut file = File::create(bed.rundir.join("filler")).expect("it can be made");
    let mut size = 65536;
    while size > 0 {
        while file.write(&vec![b'x'; size]).is_ok_and(|n| n > 0) {}
        size /= 2;
    }
}

/// A bed whose run directory is a small file system of its own.
fn small() -> Option<(TestBed, Mount)> {
    let bed = TestBed::new().with_delays(10, 50);
    fs::create_dir(&bed.rundir).expect("a directory can be made");
    let mount = Mount::on(&bed.rundir, "mode=755,size=256k")?;
    Some((bed, mount))
}

/// Without a place for files: a restart still works and is still on record, a stop is not forgotten.
fn works_without_space(bed: &mut TestBed, empty: impl FnOnce(&TestBed)) {
    let (a, b) = (bed.asleep("a"), bed.asleep("b"));
    let supervisor = bed.syspid("a").expect("it has a supervisor");
    kill(a, Signal::SIGKILL);
    let record = |name: &str| {
        let content = fs::read(bed.path(name, ".owner")).ok()?;
        sysmgr::service::record::Record::decode(&content)?.run.map(|run| run.process.pid.raw())
    };
    until("another one is on record", || record("a").is_some_and(|pid| pid != a && is_alive(pid)));
    let next = record("a").expect("it is on record");
    until("it executes", || process::command_name(next) == "sleep");
    if !POSIX_ONLY {
        kill(supervisor, Signal::SIGKILL);
        until("another takes over", || {
            process::children(bed.sysmgr())
                .iter()
                .any(|child| *child != supervisor && process::command_line(*child).ends_with(" a") && is_alive(*child))
        });
    }
    kill(bed.syspid("b").expect("it has a supervisor"), Signal::SIGTERM);
    until("the other is stopped", || !is_alive(b));
    assert!(is_alive(next), "{:?}", bed.messages());
    let faults = times(bed, &["sysmgr: b: cannot "]);
    assert_eq!(faults, 1, "it is said once: {:?}", bed.messages());
    empty(bed);
    until("all is told", || bed.pid("a") == Some(next) && bed.phase("a") == Some(Phase::Up));
    bed.down("b");
    assert_eq!(bed.lock("b").as_deref(), Some("stop"));
}

#[test]
fn a_full_run_directory_stops_nothing() {
    let Some((mut bed, _mount)) = small() else { return };
    bed.service("a", SLEEPER);
    bed.service("b", SLEEPER);
    bed.start();
    bed.up("a");
    bed.up("b");
    fill(&bed);
    works_without_space(&mut bed, |bed| fs::remove_file(bed.rundir.join("filler")).expect("it can be removed"));
    // and all ends, and begins as it was
    fill(&bed);
    assert_eq!(bed.stop().code(), Some(0));
    assert_eq!(bed.processes(), Vec::<i32>::new());
    fs::remove_file(bed.rundir.join("filler")).expect("it can be removed");
    bed.start();
    bed.up("a");
    assert_eq!(bed.lock("b").as_deref(), Some("stop"));
    bed.stop();
}

#[test]
fn a_read_only_run_directory_stops_nothing() {
    let bed = TestBed::new().with_delays(10, 50).started();
    bed.service("a", SLEEPER);
    bed.service("b", SLEEPER);
    let (pid, b) = (bed.asleep("a"), bed.asleep("b"));
    let Some(mount) = Mount::read_only(&bed.rundir) else { return };
    kill(pid, Signal::SIGKILL);
    let next = bed.up_again("a", pid);
    let record = fs::read(bed.path("a", ".owner")).expect("there is a record");
    assert!(String::from_utf8_lossy(&record).contains(&format!(" {next} ")), "it is on record");
    if !POSIX_ONLY {
        // who comes new to it can write nothing; the service goes on all the same
        let old = bed.syspid("b").expect("it has a supervisor");
        kill(old, Signal::SIGKILL);
        until("it is said", || times(&bed, &["b: ", "Read-only file system"]) > 0);
        assert!(is_alive(b));
        drop(mount);
        until("another one takes over", || bed.syspid("b").is_some_and(|new| new != old && is_alive(new)));
        assert_eq!(bed.up("b"), b);
    }
}

#[test]
fn more_changes_than_can_be_queued_are_all_seen() {
    if POSIX_ONLY {
        return skip("it has no queue");
    }
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap_or_default();
    let limit: usize = limit.trim_end().parse().unwrap_or(16384);
    let bed = TestBed::new().started();
    bed.service("a", SLEEPER);
    bed.service("gone", SLEEPER);
    let (pid, gone) = (bed.up("a"), bed.up("gone"));
    kill(bed.sysmgr(), Signal::SIGSTOP);
    for dir in [&bed.sysdir, &bed.rundir] {
        // made, closed, removed: at least three events
        for number in 0..limit / 3 + 2 {
            let path = dir.join(format!(".{number}"));
            drop(File::create(&path).expect("it can be made"));
            fs::remove_file(path).expect("it can be removed");
        }
    }
    bed.service("late", SLEEPER);
    bed.remove("gone");
    bed.order("a", "restart");
    fs::remove_file(bed.rundir.join("pid")).expect("it can be removed");
    kill(bed.sysmgr(), Signal::SIGCONT);
    bed.up("late");
    bed.up_again("a", pid);
    until("what is gone is stopped", || !is_alive(gone));
    until("its file is there again", || bed.sysmgr_pid() == Some(bed.sysmgr()));
}

#[test]
fn a_script_that_is_deleted_while_it_runs_is_not_started_again_when_it_ends() {
    let bed = TestBed::new().started();
    bed.service("a", "echo ran >> $BED/log; while :; do sleep 0.02; done");
    let pid = bed.up("a");
    until("it runs", || bed.logged("ran") == 1);
    bed.remove("a");
    kill(pid, Signal::SIGKILL);
    until("it is gone", || !bed.rundir.join("a").exists());
    assert_eq!(bed.logged("ran"), 1);
    bed.service("a", "echo ran >> $BED/log; exec sleep 1000");
    bed.up("a");
}

/// A bed whose sysmgr may not have more than `limit` of `what` (user_namespaces(7)).
fn limited(what: &str, limit: u32) -> Option<TestBed> {
    let mut bed = TestBed::new();
    let script = format!("echo {limit} > /proc/sys/user/{what}; exec \"$@\"");
    let mut try_it = bed.command("unshare");
    try_it.args(["-Ur", "sh", "-c", &script, "sh", "true"]);
    if !try_it.status().is_ok_and(|status| status.success()) {
        lacking("user namespace");
        return None;
    }
    bed.service("a", SLEEPER);
    let inner = "exec unshare -Ur sh -c \"$LIMIT\" sh \"$@\"";
    let mut command = bed.program_by_shell(inner, "sysmgr");
    bed.start_command(command.env("LIMIT", script));
    Some(bed)
}

fn works_without_events(bed: &TestBed) {
    let pid = bed.up("a");
    bed.service("late", SLEEPER);
    let late = bed.up("late");
    bed.order("late", "restart");
    bed.up_again("late", late);
    kill(pid, Signal::SIGKILL);
    let pid = bed.up_again("a", pid);
    bed.remove("a");
    until("it is stopped", || !is_alive(pid) && bed.syspid("a").is_none());
    assert_eq!(times(bed, &["watch"]), 1, "said once: {:?}", bed.messages());
}

/// There are enough of them by now: so they are used again, which is said once too.
fn sees_again(bed: &TestBed, what: &str) {
    let script = format!("echo 100 > /proc/sys/user/{what}");
    let mut enter = bed.command("nsenter");
    enter.args(["--user", "--preserve-credentials", "-t", &bed.sysmgr().to_string(), "sh", "-c", &script]);
    assert!(enter.status().is_ok_and(|status| status.success()), "the limit can be raised");
    until("it is said", || times(bed, &["all directories are watched again"]) == 1);
    let late = bed.up("late");
    bed.order("late", "restart");
    bed.up_again("late", late);
    bed.service("latest", SLEEPER);
    bed.up("latest");
    assert_eq!(times(bed, &["watch"]), 2, "{:?}", bed.messages());
}

#[test]
fn without_inotify_instances_it_looks_and_says_so_once() {
    if POSIX_ONLY {
        return skip("it uses none");
    }
    if let Some(bed) = limited("max_inotify_instances", 0) {
        works_without_events(&bed);
        sees_again(&bed, "max_inotify_instances");
    }
}

#[test]
fn without_inotify_watches_it_looks_and_says_so_once() {
    if POSIX_ONLY {
        return skip("it uses none");
    }
    if let Some(bed) = limited("max_inotify_watches", 0) {
        works_without_events(&bed);
        sees_again(&bed, "max_inotify_watches");
    }
}

#[test]
fn with_too_few_inotify_watches_it_looks_at_the_rest() {
    if POSIX_ONLY {
        return skip("it uses none");
    }
    if let Some(bed) = limited("max_inotify_watches", 3) {
        for name in ["b", "c", "d"] {
            bed.service(name, SLEEPER);
        }
        let pids = ["b", "c", "d"].map(|name| bed.up(name));
        for (name, pid) in ["b", "c", "d"].into_iter().zip(pids) {
            bed.order(name, "restart");
            bed.up_again(name, pid);
        }
    }
}

#[test]
fn a_fault_that_is_over_is_forgotten_and_the_next_one_is_said() {
    let bed = TestBed::new().started();
    bed.service("a", SLEEPER);
    bed.asleep("a");
    let supervisor = bed.syspid("a").expect("it has a supervisor");
    let status = bed.path("a", "status");
    for count in [1, 2] {
        // in its way stands a directory that is not empty
        let aside = bed.path("a", "in the way");
        fs::create_dir_all(aside.join("something")).expect("it can be made");
        fs::remove_file(&status).and_then(|()| fs::rename(&aside, &status)).expect("it can be put there");
        until("it is said", || times(&bed, &["sysmgr: a: cannot write", "status"]) == count);
        // as soon as it is empty, its supervisor removes it too
        let _ = fs::remove_dir_all(&status);
        until("it is put back", || bed.phase("a") == Some(Phase::Up));
        // it looks again after a second as long as there is something to look at
        let mut quiet = (process::switches(supervisor), Instant::now());
        until("it rests", || {
            let switches = process::switches(supervisor);
            if switches != quiet.0 {
                quiet = (switches, Instant::now());
            }
            quiet.1.elapsed() > common::millis(2500)
        });
    }
}
