//! sysmgr-depends with real services: DESIGN.md section 6.

mod common;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::process::{of_bed, of_child};
use common::said::Said;
use common::services::SLEEPER;
use common::{Signal, TestBed, USER, is_alive, is_root, kill, lacking, millis, skip, stays, until};
use sysmgr::service::status::Phase;

fn command(bed: &TestBed, arguments: &str) -> Command {
    let mut command = bed.program("sysmgr-depends");
    command.args(arguments.split_whitespace());
    command
}

/// By hand, outside of any service.
#[track_caller]
fn depends(bed: &TestBed, arguments: &str) -> Said {
    Said::by(&mut command(bed, arguments))
}

/// A bed in whose services `$DEPENDS` is sysmgr-depends.
fn bed() -> TestBed {
    let mut bed = TestBed::new();
    let depends = bed.executable("sysmgr-depends");
    bed.start_by(|command| {
        command.env("DEPENDS", depends);
    });
    bed
}

/// A service that waits for others, says so in the log, and runs.
fn waiter(others: &str) -> String {
    format!("$DEPENDS {others} || exit 1; echo $SYSMGR_SERVICE >> $BED/log; exec sleep 1000")
}

fn waiting(bed: &TestBed, name: &str) -> String {
    fs::read_to_string(bed.path(name, "waiting")).unwrap_or_default()
}

fn waits_for(bed: &TestBed, name: &str, what: &str) -> bool {
    waiting(bed, name).lines().any(|line| line.ends_with(&format!(" {what}")))
}

/// The process of sysmgr-depends that stands in `waiting`.
fn waiter_of(bed: &TestBed, name: &str) -> i32 {
    let waiting = waiting(bed, name);
    waiting.split(' ').next().and_then(|pid| pid.parse().ok()).expect("it waits")
}

#[test]
fn it_waits_until_the_other_is_up_and_settled() {
    let bed = bed();
    bed.service("web", &waiter("db"));
    bed.service("db", "[ -e $BED/go ] || exit 1; echo db >> $BED/log; exec sleep 1000");
    until("web waits", || waits_for(&bed, "web", "db"));
    until("it is known to wait", || fs::read_to_string(bed.path("web", "depends")).is_ok_and(|it| it == "db\n"));
    stays("it is waited for", millis(300), || waits_for(&bed, "web", "db") && bed.log().is_empty());
    fs::write(bed.dir.join("go"), "").expect("written");
    until("web goes on", || bed.logged("web") == 1);
    assert_eq!(bed.log(), ["db", "web"]);
    until("nothing is said to wait", || !bed.path("web", "waiting").exists());
    assert_eq!(fs::read_to_string(bed.path("web", "depends")).ok().as_deref(), Some("db\n"));
    // one that is up is not waited for
    let begin = Instant::now();
    depends(&bed, "db web").ended(0).quietly();
    assert!(begin.elapsed() < Duration::from_secs(2));
}

#[test]
fn a_chain_comes_up_in_its_order_each_time() {
    let rounds = std::env::var("SYSMGR_TEST_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(6);
    for _ in 0..rounds {
        let mut bed = TestBed::new();
        bed.service("a", &waiter("b"));
        bed.service("b", &waiter("c d"));
        bed.service("c", &waiter("d"));
        bed.service("d", &waiter("e"));
        bed.service("e", "echo e >> $BED/log; exec sleep 1000");
        let depends = bed.executable("sysmgr-depends");
        bed.start_by(|command| {
            command.env("DEPENDS", depends);
        });
        until("all have come up", || bed.log().len() == 5);
        assert_eq!(bed.log(), ["e", "d", "c", "b", "a"]);
        // and once more, with what is known by now
        fs::write(bed.dir.join("log"), "").expect("written");
        let mut restart = bed.program("svctl");
        Said::by(restart.args(["restart", "a", "b", "c", "d", "e"])).ended(0);
        until("all have come up again", || bed.log().len() == 5);
        assert_eq!(bed.log(), ["e", "d", "c", "b", "a"]);
    }
}

#[test]
fn one_that_waits_twice_is_up_after_the_second_time() {
    let bed = bed();
    bed.service("late", "[ -e $BED/go ] || exit 1; exec sleep 1000");
    bed.service("early", SLEEPER);
    bed.service("db", "$DEPENDS early; $DEPENDS late; echo db >> $BED/log; exec sleep 1000");
    bed.service("web", &waiter("db"));
    until("both wait", || waits_for(&bed, "db", "late") && waits_for(&bed, "web", "db"));
    stays("web waits", millis(400), || waits_for(&bed, "web", "db"));
    fs::write(bed.dir.join("go"), "").expect("written");
    until("web goes on", || bed.logged("web") == 1);
    assert_eq!(bed.log(), ["db", "web"]);
    assert_eq!(fs::read_to_string(bed.path("db", "depends")).ok().as_deref(), Some("early\nlate\n"));
}

#[test]
fn several_wait_in_one_service_at_the_same_time() {
    let bed = bed();
    for name in ["a", "b", "c", "d"] {
        bed.service(name, &format!("[ -e $BED/{name} ] || exit 1; exec sleep 1000"));
    }
    bed.service("web", "for i in a b c d; do $DEPENDS $i & done; wait; echo web >> $BED/log; exec sleep 1000");
    until("all stand in the file", || waiting(&bed, "web").lines().count() == 4);
    for (done, name) in ["c", "a", "d", "b"].into_iter().enumerate() {
        assert!(bed.log().is_empty());
        fs::write(bed.dir.join(name), "").expect("written");
        until("its line is gone", || waiting(&bed, "web").lines().count() == 3 - done);
        assert!(!waits_for(&bed, "web", name));
    }
    until("web goes on", || bed.logged("web") == 1);
    let mut learned: Vec<String> =
        fs::read_to_string(bed.path("web", "depends")).expect("there").lines().map(str::to_owned).collect();
    learned.sort();
    assert_eq!(learned, ["a", "b", "c", "d"]);
}

#[test]
fn a_killed_wait_leaves_no_false_one_behind() {
    let bed = bed();
    bed.service("never", "exit 1");
    bed.service("db", "$DEPENDS never; exec sleep 1000");
    bed.service("web", &waiter("db"));
    until("db waits", || waits_for(&bed, "db", "never"));
    until("web waits", || waits_for(&bed, "web", "db"));
    kill(waiter_of(&bed, "db"), Signal::SIGKILL);
    // nobody has removed its line, and nobody believes it
    until("web goes on", || bed.logged("web") == 1);
    let mut status = bed.program("svctl");
    let said = Said::by(status.args(["status", "db"])).ended(0);
    assert!(said.out.starts_with("db: UP"), "{said:?}");
}

#[test]
fn a_signal_ends_it_at_once_and_removes_its_line() {
    let bed = bed();
    bed.service("never", "exit 1");
    for (signal, code) in [(Signal::SIGTERM, 143), (Signal::SIGINT, 130), (Signal::SIGHUP, 129)] {
        let service = format!("web{code}");
        bed.service(&service, "$DEPENDS never; echo $? >> $BED/log; exec sleep 1000");
        until("it waits", || waits_for(&bed, &service, "never"));
        kill(waiter_of(&bed, &service), signal);
        until("the script goes on", || bed.logged(&code.to_string()) == 1);
        assert!(!bed.path(&service, "waiting").exists());
    }
    // also by hand
    let mut child = command(&bed, "never").spawn().expect("it starts");
    // its signals may arrive at any time
    kill(of_child(&child), Signal::SIGTERM);
    assert_eq!(child.wait().expect("it ends").signal(), Some(15));
}

#[test]
fn stopping_a_service_that_waits_is_done_at_once() {
    let bed = bed();
    bed.service("never", "exit 1");
    bed.service("web", &waiter("never"));
    until("it waits", || waits_for(&bed, "web", "never"));
    Said::by(bed.program("svctl").args(["stop", "web"])).ended(0);
    let said = Said::by(bed.program("svctl").args(["status", "web"])).ended(1);
    assert!(said.out.starts_with("web: DOWN stopped"), "{said:?}");
}

#[test]
fn a_time_limit_and_unknown_names() {
    let bed = bed();
    bed.service("never", "exit 1");
    bed.service("db", SLEEPER);
    bed.up("db");
    let begin = Instant::now();
    depends(&bed, "-t 0.3 db never")
        .ended(4)
        .complained(&["waited 0.3 s in vain for never ('svctl why never' tells more)"]);
    assert!(begin.elapsed() >= millis(300));
    depends(&bed, "never dbb").ended(3).complained(&["dbb: there is no such service; did you mean db?"]);
    depends(&bed, "..").ended(3);
    depends(&bed, "").ended(2);
    depends(&bed, "-t x db").ended(2);
    depends(&bed, "-p /nonexistent/x -t 0").ended(4).complained(&["/nonexistent/x"]);
    // by hand, nothing is written
    assert!(!bed.path("db", "waiting").exists() && !bed.path("db", "depends").exists());
}

#[test]
fn one_that_is_stopped_is_waited_for_and_said() {
    let bed = bed();
    bed.service("db", SLEEPER);
    bed.up("db");
    Said::by(bed.program("svctl").args(["stop", "db"])).ended(0);
    bed.entry("text", b"none\n", 0o644);
    bed.service("web", &waiter("db text"));
    until("it is said", || bed.said(&["web: waits for db, which is stopped ('svctl start db' starts it)"]));
    until("it is said", || bed.said(&["web: waits for text, which can't be started: it is not executable"]));
    until("it waits for both", || waits_for(&bed, "web", "db") && waits_for(&bed, "web", "text"));
    Said::by(bed.program("svctl").args(["start", "db"])).ended(0);
    until("it waits for the other", || !waits_for(&bed, "web", "db"));
    bed.service("text", SLEEPER);
    until("web goes on", || bed.logged("web") == 1);
}

#[test]
fn who_closes_a_circle_is_told_and_fails() {
    let bed = bed();
    bed.service("a", &waiter("b"));
    bed.service("b", SLEEPER);
    until("a has waited", || bed.logged("a") == 1);
    bed.service("b", "$DEPENDS c; echo $? >> $BED/log; exec sleep 1000");
    bed.service("c", "$DEPENDS a; echo $? >> $BED/log; exec sleep 1000");
    until("c is up, as a is", || bed.logged("0") == 1);
    Said::by(bed.program("svctl").args(["restart", "b"])).ended(0);
    until("b is told", || bed.said(&["b: they would wait for each other: b -> c -> a -> b"]));
    until("b has failed", || bed.logged("1") == 1);
    assert!(!bed.path("b", "waiting").exists());
    bed.service("self", "$DEPENDS self; echo $? >> $BED/log; exec sleep 1000");
    until("self is told", || bed.said(&["self: it would wait for itself: self -> self"]));
}

#[test]
fn what_a_script_no_longer_waits_for_closes_no_circle() {
    let bed = bed();
    bed.service("db", SLEEPER);
    bed.service("web", &waiter("db"));
    until("web has waited", || bed.logged("web") == 1);
    // file times are compared by the second
    std::thread::sleep(millis(1100));
    bed.service("web", SLEEPER);
    bed.service("db", &waiter("web"));
    Said::by(bed.program("svctl").args(["restart", "web"])).ended(0);
    Said::by(bed.program("svctl").args(["restart", "db"])).ended(0);
    until("db goes on", || bed.logged("db") == 1);
}

#[test]
fn ready_is_certain() {
    let bed = bed();
    bed.service(
        "db",
        "while [ ! -e $BED/go ]; do sleep 0.01; done; : > $RUNDIR/$SYSMGR_SERVICE/ready; exec sleep 1000",
    );
    bed.service("web", &waiter("-r db"));
    until("it waits", || waits_for(&bed, "web", "db/ready"));
    stays("it waits", millis(500), || bed.log().is_empty());
    let said = Said::by(bed.program("svctl").args(["status", "web"])).ended(1);
    assert!(said.out.starts_with("web: DOWN waits for db to be ready, pid "), "{said:?}");
    fs::write(bed.dir.join("go"), "").expect("written");
    until("web goes on", || bed.logged("web") == 1);
    // what the last run has made counts no more
    fs::remove_file(bed.dir.join("go")).expect("removed");
    Said::by(bed.program("svctl").args(["restart", "db"])).ended(0);
    depends(&bed, "-t 0.3 -r db").ended(4);
}

#[test]
fn a_path_is_waited_for_wherever_it_will_be() {
    let bed = bed();
    let mut child = command(&bed, "-p d/e/../e/file -p d/link").spawn().expect("it starts");
    let pid = of_child(&child);
    let lives = || is_alive(pid);
    stays("it waits", millis(100), lives);
    fs::create_dir_all(bed.dir.join("d/e")).expect("made");
    stays("it waits", millis(100), lives);
    fs::write(bed.dir.join("d/e/file"), "").expect("written");
    std::os::unix::fs::symlink("f/target", bed.dir.join("d/link")).expect("made");
    stays("it waits for what the link leads to", millis(100), lives);
    fs::create_dir(bed.dir.join("d/f")).expect("made");
    fs::write(bed.dir.join("d/f/aside"), "").expect("written");
    fs::rename(bed.dir.join("d/f/aside"), bed.dir.join("d/f/target")).expect("moved");
    assert!(common::process::wait(&mut child).success());
}

#[test]
fn a_directory_that_is_removed_and_made_again_is_seen() {
    let bed = bed();
    let (dir, file) = (bed.dir.join("d"), bed.dir.join("d/file"));
    for round in 0..20 {
        let _ = fs::remove_dir_all(&dir);
        fs::create_dir(&dir).expect("made");
        let mut child = command(&bed, "-p d/file -p other").spawn().expect("it starts");
        if round % 2 == 0 {
            std::thread::sleep(millis(20));
        }
        fs::remove_dir(&dir).expect("removed");
        fs::create_dir(&dir).expect("made");
        fs::write(&file, "").expect("written");
        fs::write(bed.dir.join("other"), "").expect("written");
        assert!(common::process::wait(&mut child).success());
        fs::remove_file(bed.dir.join("other")).expect("removed");
    }
}

#[test]
fn a_wait_survives_that_the_run_directory_is_wiped() {
    let bed = bed();
    bed.service("db", "[ -e $BED/go ] || exit 1; exec sleep 1000");
    bed.service("web", &waiter("db"));
    until("web waits", || waits_for(&bed, "web", "db"));
    let remove = |name: &str| Command::new("rm").arg("-rf").arg(bed.rundir.join(name)).status();
    // db has something to write just now, perhaps
    let _ = remove("db");
    assert!(remove("web").is_ok_and(|it| it.success()), "rm -r does not race with who heals");
    until("db is known again", || bed.status("db").is_some());
    fs::write(bed.dir.join("go"), "").expect("written");
    until("web goes on", || bed.logged("web") == 1);
}

#[test]
fn as_another_user_it_waits_all_the_same_and_says_what_does_not_work() {
    if !is_root() {
        return skip("another user is only to be had by root");
    }
    // That of busybox has another purpose.
    let setpriv = Command::new("setpriv").args(["--reuid", "0", "true"]).stderr(Stdio::null()).status();
    if !setpriv.is_ok_and(|status| status.success()) {
        return lacking("setpriv of util-linux");
    }
    let bed = bed();
    bed.service("db", "[ -e $BED/go ] || exit 1; exec sleep 1000");
    let script = format!("exec setpriv --reuid {USER} --regid {USER} --clear-groups sh -c '{}'", waiter("db"));
    bed.service("web", &script);
    until("it is said", || {
        bed.said(&[
            "web: others cannot see that it waits: cannot use another user's directory",
            "; call sysmgr-depends first, then give up privileges",
        ])
    });
    stays("it waits", millis(300), || bed.log().is_empty());
    fs::write(bed.dir.join("go"), "").expect("written");
    until("web goes on", || bed.logged("web") == 1);
}

#[test]
fn many_wait_at_the_same_time_and_none_of_them_looks() {
    let bed = bed();
    bed.service("db", "[ -e $BED/go ] || exit 1; echo db >> $BED/log; exec sleep 1000");
    let names: Vec<String> = (0..150).map(|n| format!("web{n}")).collect();
    for name in &names {
        bed.service(name, &waiter("db"));
    }
    until("all wait", || names.iter().all(|name| waits_for(&bed, name, "db")));
    Said::by(bed.program("svctl").args(["stop", "db"])).ended(0);
    std::thread::sleep(millis(300));
    let waiters: Vec<i32> = names.iter().map(|name| waiter_of(&bed, name)).collect();
    let switches = || -> u64 { waiters.iter().map(|pid| switches_of(*pid)).sum() };
    let before = switches();
    std::thread::sleep(millis(1500));
    if !common::POSIX_ONLY {
        assert!(switches() - before <= 3, "they did something {} times", switches() - before);
    }
    fs::write(bed.dir.join("go"), "").expect("written");
    Said::by(bed.program("svctl").args(["start", "db"])).ended(0);
    until("all go on", || bed.log().len() == names.len() + 1);
    assert_eq!(bed.log()[0], "db");
    assert!(names.iter().all(|name| bed.phase(name) == Some(Phase::Up)));
}

/// How often a process has slept and been woken.
fn switches_of(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let number = |line: &str| line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    status.lines().find(|line| line.starts_with("voluntary")).map_or(0, number)
}

#[test]
fn without_any_kind_of_events_it_looks() {
    let unshare = Command::new("unshare").args(["-Ur", "true"]).output();
    if !is_root() || !unshare.is_ok_and(|it| it.status.success()) {
        return skip("no user namespace to be had");
    }
    let bed = bed();
    bed.service("db", "[ -e $BED/go ] || exit 1; exec sleep 1000");
    // proc tells of nothing, and neither means is asked for it
    let script = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$@\"";
    let mut command = bed.command("unshare");
    command.args(["-Ur", "sh", "-c", script, "sh"]).arg(bed.executable("sysmgr-depends"));
    command.arg("--sysdir").arg(&bed.sysdir).arg("--rundir").arg(&bed.rundir).arg("db");
    let mut child = command.stdin(Stdio::null()).spawn().expect("it starts");
    fs::write(bed.dir.join("go"), "").expect("written");
    assert!(common::process::wait(&mut child).success());
    assert!(!of_bed(&bed.dir).is_empty());
    let said = Said::by(&mut crate::command(&bed, "-t 0.3 -p /proc/999999999")).ended(4);
    assert!(said.err.contains("/proc/999999999"), "{said:?}");
}
