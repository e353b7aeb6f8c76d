//! Processes that are not what they seem to be, or are not shown.

mod common;

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use common::services::SLEEPER;
use common::{
    POSIX_ONLY, Signal, TestBed, available, is_alive, is_root, kill, lacking, process, skip, until, value_of,
};
use sysmgr::service::status::Phase;

/// Compiles a program; says so when that can't be.
fn compiled(bed: &TestBed, name: &str, source: &str) -> bool {
    let (from, to) = (bed.dir.join("program.c"), bed.dir.join(name));
    fs::write(&from, source).expect("it can be written");
    let done = available("cc") && Command::new("cc").args(["-pthread", "-o"]).args([&to, &from]).status().is_ok();
    assert!(!done || to.exists(), "it can be compiled");
    done
}

#[test]
fn a_service_whose_first_thread_has_ended_is_not_started_a_second_time() {
    if POSIX_ONLY {
        return skip("start times of processes can't be had");
    }
    let bed = TestBed::new().started();
    let source = "#include <pthread.h>
        #include <unistd.h>
        static void *work(void *it) { for (;;) pause(); return it; }
        int main(void) { pthread_t it; pthread_create(&it, 0, work, 0); pthread_exit(0); }";
    if !compiled(&bed, "work", source) {
        return;
    }
    bed.service("web", "echo $$ >> $BED/log; exec $BED/work");
    let pid = value_of("it is started", || bed.pid("web"));
    until("its first thread has ended", || !is_alive(pid));
    for _ in 0..2 {
        let supervisor = bed.syspid("web").expect("it has a supervisor");
        kill(supervisor, Signal::SIGKILL);
        until("it has another", || bed.syspid("web").is_some_and(|next| next != supervisor));
        bed.comes_to("web", Phase::Up);
        assert_eq!(bed.pid("web"), Some(pid));
    }
    assert_eq!(bed.log(), [pid.to_string()]);
    bed.nudge("web", Signal::SIGTERM);
    bed.down("web");
    assert_eq!(process::facts(pid), None);
}

#[test]
fn who_executes_a_file_that_makes_him_root_is_no_supervisor() {
    let mut bed = TestBed::new();
    if !is_root() {
        return lacking("root, who can be another user too");
    }
    let source = "#include <unistd.h>
        int main(int n, char **words) { if (n > 4) setuid(0); write(1, \"ready\\n\", 6); for (;;) pause(); }";
    if !compiled(&bed, "passwd", source) {
        return;
    }
    bed.adjust(&bed.dir.join("passwd"), 0o4755);
    bed.adjust(&bed.dir, 0o755);
    bed.service("web", SLEEPER);
    let mut forged = Vec::new();
    // the second one has become root in all ways, which only its file tells, and that not everywhere
    let forgeries = [&[][..], &["--verbose"]];
    for more in &forgeries[..if POSIX_ONLY { 1 } else { 2 }] {
        let mut command = bed.command(bed.dir.join("passwd"));
        command.arg0("runsyssv").arg("--rundir").arg(&bed.rundir).args(*more).arg("web").uid(65534).gid(65534);
        forged.push(command.spawn().expect("it can be started"));
    }
    until("all are ready", || bed.messages().iter().filter(|line| *line == "ready").count() == forged.len());
    bed.start();
    bed.up("web");
    assert!(forged.iter_mut().all(|it| it.try_wait().is_ok_and(|ended| ended.is_none())), "they were left alone");
    for mut it in forged {
        it.kill().expect("it can be killed");
        process::wait(&mut it);
    }
}
