//! svctl with real services: DESIGN.md section 6.

mod common;

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::process::of_child;
use common::said::Said;
use common::services::SLEEPER;
use common::{Signal, TestBed, USER, is_alive, is_root, kill, millis, skip, stays, until};
use sysmgr::service::status::Phase;

fn command(bed: &TestBed, arguments: &str) -> Command {
    let mut command = bed.program("svctl");
    command.args(arguments.split_whitespace());
    command
}

#[track_caller]
fn svctl(bed: &TestBed, arguments: &str) -> Said {
    Said::by(&mut command(bed, arguments))
}

/// The same, as a user who is nobody to the bed.
fn svctl_as_other(bed: &TestBed, arguments: &str) -> Said {
    let mut command = command(bed, arguments);
    command.uid(USER).gid(USER);
    Said::by(&mut command)
}

/// A service that ends one second after SIGTERM, once it says that it is ready.
const SLOW: &str = "trap 'sleep 1; exit 0' TERM; : > $RUNDIR/$SYSMGR_SERVICE/ready; while :; do sleep 0.05; done";

/// A service that ignores SIGTERM, once it says that it is ready.
const DEAF: &str = "trap '' TERM; : > $RUNDIR/$SYSMGR_SERVICE/ready; while :; do sleep 1000; done";

/// Waits until a service says that it is ready.
#[track_caller]
fn ready(bed: &TestBed, name: &str) -> i32 {
    until(&format!("{name} is ready"), || bed.path(name, "ready").exists());
    bed.up(name)
}

#[test]
fn stop_is_done_when_all_is_gone_and_start_when_it_runs() {
    let bed = TestBed::new().started();
    // what is left behind goes too
    bed.service("web", "sleep 1000 & echo $! > $BED/child; exec sleep 1000");
    let pid = bed.up("web");
    until("it has a child", || bed.dir.join("child").exists());
    let child: i32 = fs::read_to_string(bed.dir.join("child")).expect("written").trim().parse().expect("a number");
    svctl(&bed, "stop web").ended(0).quietly();
    assert!(!is_alive(pid) && !is_alive(child));
    assert_eq!((bed.pid("web"), bed.syspid("web")), (None, None));
    assert_eq!(bed.lock("web").as_deref(), Some("stop"));
    let status = svctl(&bed, "status web").ended(1);
    assert!(status.out.starts_with("web: DOWN stopped 0 s ago"), "{status:?}");
    // stopped stays stopped, and to stop it again is no fault
    svctl(&bed, "down web").ended(0).quietly();

    svctl(&bed, "start web").ended(0).quietly();
    let pid = bed.pid("web").expect("it has a process when start is done");
    assert!(is_alive(pid));
    assert_eq!(bed.lock("web"), None);
    let status = svctl(&bed, "stat web").ended(0);
    assert!(status.out.starts_with(&format!("web: UP pid {pid}, ")), "{status:?}");
    svctl(&bed, "up web").ended(0).quietly();
    assert_eq!(bed.pid("web"), Some(pid), "what is up is left as it is");
    let said = svctl(&bed, "pid web").ended(0);
    assert_eq!(said.out, format!("{pid}\n"));
}

#[test]
fn restart_ends_with_a_new_process_from_any_state() {
    let bed = TestBed::new().with("RESTART_DELAY_MS", "20000").started();
    bed.service("web", SLEEPER);
    bed.service("fails", "[ -e $BED/mended ] && exec sleep 1000; exit 1");
    let old = bed.up("web");
    svctl(&bed, "restart web").ended(0).quietly();
    let new = bed.pid("web").expect("it runs");
    assert!(new != old && !is_alive(old) && is_alive(new));
    assert_eq!(bed.lock("web"), None);

    svctl(&bed, "stop web").ended(0);
    svctl(&bed, "restart web").ended(0).quietly();
    assert!(bed.pid("web").is_some_and(is_alive));

    bed.comes_to("fails", Phase::Backoff);
    fs::write(bed.dir.join("mended"), "").expect("written");
    let begin = Instant::now();
    svctl(&bed, "restart fails").ended(0).quietly();
    assert!(begin.elapsed() < Duration::from_secs(10), "it did not wait for the back-off to end");
}

#[test]
fn start_ends_a_back_off_and_says_what_fails_again() {
    let bed = TestBed::new().with("RESTART_DELAY_MS", "20000").started();
    bed.service("broken", "exit 3");
    bed.entry("bad", b"#!/nonexistent/interpreter\n", 0o755);
    bed.comes_to("broken", Phase::Backoff);
    bed.comes_to("bad", Phase::Backoff);
    svctl(&bed, "start bad")
        .ended(1)
        .complained(&["bad: it was started, but cannot be executed: /nonexistent/interpreter: No such file"]);
    let said = svctl(&bed, "status bad").ended(1);
    assert!(said.out.contains("cannot be executed: /nonexistent/interpreter: No such file or directory"), "{said:?}");
    let starts = bed.status("broken").expect("it has one").starts;
    svctl(&bed, "-w 0 start broken");
    until("it is tried again", || bed.status("broken").is_some_and(|status| status.starts > starts));
    bed.comes_to("broken", Phase::Backoff);
    let said = svctl(&bed, "status broken").ended(1);
    assert!(said.out.starts_with("broken: DOWN tried again in "), "{said:?}");
    assert!(said.out.contains(": exited with 3 after 0.0 s"), "{said:?}");
}

#[test]
fn try_restart_leaves_alone_what_is_down() {
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    bed.service("db", SLEEPER);
    let old = bed.up("web");
    bed.up("db");
    svctl(&bed, "stop db").ended(0);
    svctl(&bed, "try-restart web db").ended(0).quietly();
    assert!(bed.pid("web").is_some_and(|pid| pid != old));
    assert_eq!((bed.pid("db"), bed.lock("db").as_deref()), (None, Some("stop")));
}

#[test]
fn once_starts_it_and_does_not_start_it_again() {
    let bed = TestBed::new().started();
    bed.service("job", "echo ran >> $BED/log; while [ ! -e $BED/go ]; do sleep 0.01; done; exit 4");
    bed.up("job");
    // it may be killed before its first command
    bed.logs(1);
    svctl(&bed, "kill job").ended(0).quietly();
    assert_eq!(bed.lock("job").as_deref(), Some("kill"));
    svctl(&bed, "once job").ended(0).quietly();
    let pid = bed.pid("job").filter(|pid| is_alive(*pid));
    assert!(pid.is_some());
    // one that is up already is left as it is
    svctl(&bed, "once job").ended(0).quietly();
    assert_eq!(bed.pid("job"), pid);
    assert_eq!(bed.lock("job").as_deref(), Some("ran"));
    let said = svctl(&bed, "status job").ended(0);
    assert!(said.out.contains("runs once"), "{said:?}");
    fs::write(bed.dir.join("go"), "").expect("written");
    bed.down("job");
    let said = svctl(&bed, "status job").ended(1);
    assert!(said.out.contains("ran once") && said.out.contains("exited with 4"), "{said:?}");
    stays("down", millis(300), || bed.pid("job").is_none());
    assert_eq!(bed.logged("ran"), 2);
}

#[test]
fn signals_reach_the_main_process() {
    let bed = TestBed::new().started();
    bed.service(
        "web",
        "trap 'echo hup >> $BED/log' HUP; trap 'echo usr2 >> $BED/log' USR2; while :; do sleep 0.02; done",
    );
    bed.up("web");
    // its traps are set when it is seen to answer
    until("it answers", || {
        svctl(&bed, "signal usr2 web").code == 0 && bed.pid("web").is_some() && bed.logged("usr2") > 0
    });
    let old = bed.pid("web");
    for (number, arguments) in ["reload web", "signal SIGHUP web", "signal 1 web"].iter().enumerate() {
        svctl(&bed, arguments).ended(0).quietly();
        until("it got the signal", || bed.logged("hup") == number + 1);
    }
    assert_eq!(bed.pid("web"), old);
    svctl(&bed, "signal NOSUCH web").ended(2).complained(&["no signal 'NOSUCH'"]);
    svctl(&bed, "stop web").ended(0);
    svctl(&bed, "reload web").ended(1).complained(&["web: it has no process"]);
    svctl(&bed, "pid web").ended(1).complained(&["web: it has no process"]);
}

#[test]
fn what_does_not_stop_in_time_is_late_and_killed_by_force() {
    let bed = TestBed::new().started();
    bed.service("deaf", DEAF);
    let pid = ready(&bed, "deaf");
    let begin = Instant::now();
    svctl(&bed, "stop -w 0.3 deaf").ended(4).complained(&["deaf: not down after 0.3 s", "stop -f"]);
    assert!(begin.elapsed() >= millis(300));
    assert!(is_alive(pid));
    let said = svctl(&bed, "status deaf");
    assert!(said.out.contains("told to stop"), "{said:?}");
    // a zombie that process 1 does not reap at once looks like a living one there
    let stop = if common::POSIX_ONLY { "stop -f -w 5 deaf" } else { "stop -f -w 0.3 deaf" };
    svctl(&bed, stop).ended(0).complained(&["deaf: not stopped in time; it is killed"]);
    assert!(!is_alive(pid));
    assert_eq!(bed.syspid("deaf"), None);
}

#[test]
fn not_to_wait_is_to_give_the_order_and_go() {
    let bed = TestBed::new().started();
    bed.service("slow", SLOW);
    let pid = ready(&bed, "slow");
    svctl(&bed, "-w 0 stop slow").ended(0).quietly();
    assert!(is_alive(pid));
    bed.down("slow");
}

#[test]
fn several_are_done_side_by_side_and_one_that_fails_does_not_keep_the_others() {
    let bed = TestBed::new().started();
    let names = ["a", "b", "c", "d", "e", "f"];
    for name in names {
        bed.service(name, SLOW);
    }
    bed.service("deaf", DEAF);
    for name in names {
        ready(&bed, name);
    }
    ready(&bed, "deaf");
    let begin = Instant::now();
    // paths as names, as in the shutdown hooks of distributions
    let mut command = command(&bed, "-w 4 stop");
    command.args(names.map(|name| bed.sysdir.join(name)));
    command.arg("nosuch").arg(bed.sysdir.join("deaf"));
    let said = Said::by(&mut command).ended(3).complained(&["nosuch: there is no such service"]);
    said.complained(&["deaf: not down after 4.0 s"]);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    for name in names {
        assert_eq!((bed.pid(name), bed.lock(name).as_deref()), (None, Some("stop")));
    }
    let mut all = common::process::of_bed(&bed.dir).len();
    let mut command = crate::command(&bed, "kill");
    command.args(fs::read_dir(&bed.sysdir).expect("listed").flatten().map(|entry| entry.path()));
    Said::by(&mut command).ended(0).quietly();
    until("only sysmgr is left", || {
        all = bed.processes().len();
        all == 1
    });
}

#[test]
fn an_interrupted_svctl_has_given_its_order() {
    let bed = TestBed::new().started();
    bed.service("slow", SLOW);
    bed.service("web", SLOW);
    for signal in [Signal::SIGKILL, Signal::SIGINT, Signal::SIGHUP] {
        let old = ready(&bed, "web");
        ready(&bed, "slow");
        let mut stop = command(&bed, "stop slow").spawn().expect("it starts");
        let mut restart = command(&bed, "restart web").spawn().expect("it starts");
        until("the orders are given", || bed.lock("slow").is_some() && bed.lock("web").is_some());
        kill(of_child(&stop), signal);
        kill(of_child(&restart), signal);
        let _ = (stop.wait(), restart.wait());
        bed.down("slow");
        bed.up_again("web", old);
        svctl(&bed, "start slow").ended(0);
    }
}

#[test]
fn without_sysmgr_start_changes_nothing_and_says_so() {
    let bed = TestBed::new();
    bed.service("web", SLEEPER);
    for operation in ["start", "restart", "once"] {
        let arguments = format!("{operation} web");
        svctl(&bed, &arguments).ended(6).complained(&["web: sysmgr is not running for ", "; nothing was changed"]);
        assert!(!bed.rundir.exists());
    }
    let said = svctl(&bed, "").ended(1).complained(&["sysmgr is not running"]);
    assert_eq!(said.out, "web: DOWN never started, and sysmgr is not running\n");
}

#[test]
fn a_service_directory_that_cannot_be_read_is_not_one_without_services() {
    let bed = TestBed::new();
    svctl(&bed, "")
        .ended(0)
        .complained(&["there are no services in ", "/s"])
        .complained(&["sysmgr is not running for "]);
    fs::remove_dir(&bed.sysdir).expect("it is empty");
    let reason = format!("cannot open {}: No such file or directory", bed.sysdir.display());
    for arguments in ["", "status web", "start web", "why web"] {
        let said = svctl(&bed, arguments).ended(1).complained(&[&reason]);
        assert!(!said.err.contains("no such service"), "{said:?}");
    }
    fs::create_dir(&bed.sysdir).expect("it can be made again");
    if is_root() {
        bed.adjust(&bed.sysdir, 0o700);
        for arguments in ["", "status web", "stop web"] {
            svctl_as_other(&bed, arguments).ended(5).complained(&["/s: Permission denied"]);
        }
    }
}

#[test]
fn stopped_before_sysmgr_starts_it_stays_down() {
    let mut bed = TestBed::new();
    bed.service("web", SLEEPER);
    bed.service("other", SLEEPER);
    svctl(&bed, "stop web").ended(0).quietly();
    bed.start();
    bed.up("other");
    assert_eq!((bed.pid("web"), bed.lock("web").as_deref()), (None, Some("stop")));
    svctl(&bed, "start web").ended(0).quietly();
}

#[test]
fn with_sysmgr_dead_a_living_supervisor_still_does_what_it_is_told() {
    let mut bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    let old = bed.up("web");
    bed.kill_sysmgr();
    svctl(&bed, "restart web").ended(0).quietly();
    assert!(bed.pid("web").is_some_and(|pid| pid != old));
    svctl(&bed, "stop web").ended(0).quietly();
    assert_eq!((bed.pid("web"), bed.syspid("web")), (None, None));
    svctl(&bed, "start web").ended(6);
    assert_eq!(bed.lock("web").as_deref(), Some("stop"), "nothing was changed");
}

#[test]
fn a_process_without_supervisor_is_stopped_all_the_same() {
    if common::POSIX_ONLY {
        return skip("without start times nothing is adopted");
    }
    let mut bed = TestBed::new().started();
    bed.service("web", "sleep 1000 & exec sleep 1000");
    let pid = bed.up("web");
    let before = bed.processes().len();
    bed.kill_sysmgr();
    let runsyssv = bed.syspid("web").expect("it has one");
    kill(runsyssv, Signal::SIGKILL);
    until("its supervisor is gone", || bed.processes().len() == before - 2);
    let said = svctl(&bed, "status web").ended(0).complained(&["sysmgr is not running"]);
    assert!(said.out.contains("without a supervisor"), "{said:?}");
    svctl(&bed, "stop web").ended(0).quietly();
    assert!(!is_alive(pid));
    until("nothing is left", || bed.processes().is_empty());
}

#[test]
fn bad_names_are_named_and_nothing_is_touched() {
    let bed = TestBed::new().started();
    bed.service("nginx", SLEEPER);
    let pid = bed.up("nginx");
    svctl(&bed, "stop ngnix").ended(3).complained(&["ngnix: there is no such service; did you mean nginx?"]);
    svctl(&bed, "stop ../../x").ended(3).complained(&["x: there is no such service"]);
    for name in ["..", "/", "", ".", "a\nb", "-x", "pid", "/etc/"] {
        let mut command = command(&bed, "stop --");
        command.arg(name);
        let said = Said::by(&mut command).ended(3);
        assert!(said.err.starts_with("svctl: "), "{name:?}: {said:?}");
        assert_eq!(said.err.lines().count(), 1, "{name:?}: {said:?}");
    }
    for wrong in ["stop", "start", "signal HUP", "frobnicate nginx", "-w x stop nginx", "--nosuch"] {
        svctl(&bed, wrong).ended(2);
    }
    assert_eq!(bed.pid("nginx"), Some(pid));
    let left: Vec<_> = fs::read_dir(&bed.rundir).expect("listed").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn a_service_that_is_refused_is_shown_with_the_reason() {
    let bed = TestBed::new().started();
    bed.entry("text", b"no script\n", 0o644);
    fs::create_dir(bed.sysdir.join("directory")).expect("made");
    bed.link("link", Path::new("/nonexistent/target"));
    for name in ["text", "directory", "link"] {
        until("its status is there", || bed.status(name).is_some());
    }
    let said = svctl(&bed, "").ended(1).quietly();
    let lines: Vec<&str> = said.out.lines().collect();
    assert_eq!(lines.len(), 3, "{said:?}");
    assert!(lines[0].starts_with("directory: DOWN refused: it is a directory"), "{said:?}");
    assert!(lines[1].starts_with("link: DOWN refused: it is a link to /nonexistent/target"), "{said:?}");
    assert!(lines[2].starts_with("text: DOWN refused: it is not executable (chmod +x"), "{said:?}");
    svctl(&bed, "start text").ended(1).complained(&["text: it is not executable"]);
    bed.adjust(&bed.sysdir.join("text"), 0o755);
    svctl(&bed, "start text");
}

#[test]
fn restart_does_not_stop_what_could_not_be_started_again() {
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    let pid = bed.up("web");
    bed.adjust(&bed.sysdir.join("web"), 0o644);
    svctl(&bed, "restart web").ended(1).complained(&["web: it is not executable", "nothing was changed"]);
    assert!(is_alive(pid));
    assert_eq!(bed.lock("web"), None);
}

#[test]
fn a_newer_file_is_shown_until_the_restart() {
    if common::POSIX_ONLY {
        return skip("without start times nothing is newer");
    }
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    bed.up("web");
    let note = "its file is newer than the process";
    let said = svctl(&bed, "status web").ended(0);
    assert!(!said.out.contains(note), "{said:?}");
    std::thread::sleep(millis(50));
    bed.service("web", "exec sleep 2000");
    let said = svctl(&bed, "status web").ended(0);
    assert!(said.out.contains(note), "{said:?}");
    svctl(&bed, "restart web").ended(0);
    let said = svctl(&bed, "status web").ended(0);
    assert!(!said.out.contains(note), "{said:?}");
}

#[test]
fn whoever_may_not_is_told_and_may_look_all_the_same() {
    if !is_root() {
        return skip("another user is only to be had by root");
    }
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    bed.entry("private", b"#!/bin/sh\nexec sleep 1000\n", 0o700);
    let pid = bed.up("web");
    bed.up("private");
    let said = svctl_as_other(&bed, "").ended(0).quietly();
    assert!(said.out.contains(&format!("web: UP pid {pid}")), "{said:?}");
    assert!(said.out.starts_with("private: UP pid"), "{said:?}");
    svctl_as_other(&bed, "pid web").ended(0);
    for operation in ["stop", "start", "restart", "kill", "once", "reload", "signal TERM"] {
        let said = svctl_as_other(&bed, &format!("{operation} web")).ended(5);
        assert!(said.err.starts_with("svctl: web: not permitted; only root may do that"), "{operation}: {said:?}");
    }
    // not permitted counts for more than no such service
    svctl_as_other(&bed, "stop nosuch web").ended(5);
    assert_eq!(bed.pid("web"), Some(pid));
    assert_eq!(bed.lock("web"), None);
}

#[test]
fn an_ordinary_user_controls_services_of_his_own_and_so_does_root() {
    let bed = TestBed::unprivileged().started();
    bed.service("web", SLEEPER);
    bed.up("web");
    svctl(&bed, "restart web").ended(0).quietly();
    svctl(&bed, "stop web").ended(0).quietly();
    svctl(&bed, "start web").ended(0).quietly();
    if !is_root() {
        return skip("root is only to be had by root");
    }
    let as_root = |arguments: &str| {
        let mut command = command(&bed, arguments);
        command.uid(0).gid(0);
        Said::by(&mut command)
    };
    let old = bed.pid("web");
    as_root("restart web").ended(0).quietly();
    assert!(bed.pid("web").is_some() && bed.pid("web") != old);
    as_root("stop web").ended(0).quietly();
    as_root("start web").ended(0).quietly();
}

#[test]
fn removed_from_the_service_directory_it_cannot_be_started() {
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    bed.service("other", SLEEPER);
    bed.up("web");
    bed.up("other");
    svctl(&bed, "stop web").ended(0);
    bed.remove("web");
    svctl(&bed, "start web").ended(3);
    svctl(&bed, "status web");
    svctl(&bed, "stop other").ended(0);
}

#[test]
fn without_inotify_it_looks() {
    let unshare = Command::new("unshare").args(["-Ur", "true"]).output();
    if !is_root() || !unshare.is_ok_and(|it| it.status.success()) {
        return skip("no user namespace to be had");
    }
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    bed.up("web");
    let blind = |arguments: &str| {
        let script = "echo 0 > /proc/sys/user/max_inotify_instances && exec \"$@\"";
        let mut command = bed.command("unshare");
        command.args(["-Ur", "sh", "-c", script, "sh"]).arg(bed.executable("svctl"));
        command.arg("--sysdir").arg(&bed.sysdir).arg("--rundir").arg(&bed.rundir);
        command.args(arguments.split_whitespace());
        Said::by(&mut command)
    };
    blind("restart web").ended(0).quietly();
    blind("stop web").ended(0).quietly();
    blind("start web").ended(0).quietly();
}
