//! The life of a service: its start, its context, its end and its restarts.

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::services::{DEAF, SLEEPER};
use common::{Signal, TestBed, facts, is_alive, kill, millis, process, stays, until, value_of};
use sysmgr::service::ended::Ended;
use sysmgr::service::status::Phase;

#[test]
fn a_crashed_service_is_restarted_with_its_files_as_they_were() {
    for umask in ["0", "0777", "022"] {
        let mut bed = TestBed::new();
        bed.service("crash", "umask >> $BED/log; exec sleep 1000");
        bed.start_by_shell(&format!("umask {umask}; exec \"$@\""));
        let pid = bed.asleep("crash");
        let before = modes(&bed);
        kill(pid, Signal::SIGSEGV);
        bed.up_again("crash", pid);
        until("its files are there again", || modes(&bed) == before);
        let dirs_and_files: Vec<_> = before.iter().map(|(path, mode)| (path.as_str(), *mode)).collect();
        assert_eq!(
            dirs_and_files,
            [
                ("", 0o755),
                (".owner", 0o600),
                ("crash", 0o755),
                ("crash/.owner", 0o600),
                ("crash/pid", 0o644),
                ("crash/status", 0o644),
                ("crash/syspid", 0o644),
                ("pid", 0o644),
            ],
            "umask {umask}"
        );
        let umask = u32::from_str_radix(umask, 8).expect("an octal number");
        let told: Vec<_> = bed.logs(2).iter().map(|l| u32::from_str_radix(l, 8)).collect();
        assert_eq!(told, [Ok(umask), Ok(umask)], "the service has the umask of sysmgr");
        bed.nudge("crash", Signal::SIGTERM);
        bed.down("crash");
        assert_eq!(modes(&bed).get("crash/lock"), Some(&0o644));
    }
}

fn modes(bed: &TestBed) -> BTreeMap<String, u32> {
    use std::os::unix::fs::PermissionsExt as _;
    fn walk(dir: &std::path::Path, prefix: &str, found: &mut BTreeMap<String, u32>) {
        let mode = |path| fs::symlink_metadata(path).map(|it| it.permissions().mode() & 0o7777);
        found.extend(mode(dir.to_owned()).map(|mode| (prefix.to_owned(), mode)));
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let name = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
            if entry.path().is_dir() {
                walk(&entry.path(), &name, found);
            } else {
                found.extend(mode(entry.path()).map(|mode| (name, mode)));
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&bed.rundir, "", &mut found);
    found
}

#[test]
fn the_first_failure_costs_no_time_and_each_further_one_twice_as_much() {
    let bed = TestBed::new().with_delays(200, 800).started();
    bed.service("fails", "cut -d' ' -f1 /proc/uptime >> $BED/log; exit 3");
    let status = value_of("it has failed five times", || {
        bed.status("fails").filter(|s| s.failures >= 5 && s.phase == Phase::Backoff)
    });
    assert_eq!(status.last_exit, Some(Ended::Code(3)));
    let next = status.next_try_ms.expect("it says when it is tried again");
    assert_eq!(next.since(status.since_ms), millis(800), "never more than the maximum");
    let times: Vec<f64> = bed.log().iter().filter_map(|line| line.parse().ok()).collect();
    let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    // the clock of the log has hundredths of a second
    for (gap, least) in gaps.iter().zip([0.0, 0.2, 0.4, 0.8, 0.8]) {
        assert!(*gap > least - 0.02, "{gaps:?}");
    }
    assert!(gaps[0] < gaps[2], "the first restart is at once: {gaps:?}");
}

#[test]
fn a_clean_end_that_comes_too_soon_is_a_failure_too_and_is_restarted() {
    let bed = TestBed::new().with_delays(50, 30000).started();
    bed.service("done", "echo ran >> $BED/log; exit 0");
    until("it has run four times", || bed.logged("ran") >= 4);
    let status = bed.comes_to("done", Phase::Backoff);
    assert!(status.failures >= 3, "{status:?}");
    assert_eq!(status.last_exit, Some(Ended::Code(0)));
}

#[test]
fn a_stable_run_forgets_all_failures() {
    let bed = TestBed::new().with_delays(300, 30000).with("STABLE_AFTER_MS", "400").started();
    bed.service(
        "mends",
        "echo ran >> $BED/log
         [ $(grep -c ran $BED/log) -gt 3 ] || exit 1
         exec sleep 1000",
    );
    let pid = value_of("the fourth run is up", || (bed.logged("ran") == 4).then(|| bed.up("mends")));
    let before = bed.status("mends").map(|status| status.failures);
    assert_eq!(before, Some(3));
    stays("it runs", millis(500), || is_alive(pid));
    kill(pid, Signal::SIGKILL);
    let next = bed.up_again("mends", pid);
    assert_eq!(bed.status("mends").map(|status| status.failures), Some(0));
    // its next failure is the first one again
    kill(next, Signal::SIGKILL);
    bed.up_again("mends", next);
    assert_eq!(bed.status("mends").map(|status| status.failures), Some(1));
}

/// A service that has failed twice and would be tried again in a minute only.
fn in_back_off() -> TestBed {
    let bed = TestBed::new().with_delays(60000, 60000).started();
    bed.service("fails", "echo ran >> $BED/log; [ -e $BED/good ] || exit 1; exec sleep 1000");
    bed.comes_to("fails", Phase::Backoff);
    until("it has failed twice", || bed.status("fails").is_some_and(|s| s.failures == 2 && s.phase == Phase::Backoff));
    assert_eq!(bed.logged("ran"), 2);
    bed
}

#[test]
fn a_changed_file_ends_a_back_off() {
    let bed = in_back_off();
    bed.service("fails", SLEEPER);
    bed.up("fails");
    assert_eq!(bed.status("fails").map(|status| status.failures), Some(0));
}

#[test]
fn a_file_that_is_rewritten_in_place_ends_a_back_off() {
    let bed = in_back_off();
    fs::write(bed.sysdir.join("fails"), "#!/bin/sh\nexec sleep 1000\n").expect("it can be written");
    bed.up("fails");
}

#[test]
fn sigcont_to_its_supervisor_ends_a_back_off() {
    let bed = in_back_off();
    bed.file(&bed.dir.join("good"), b"", 0o644);
    bed.nudge("fails", Signal::SIGCONT);
    bed.up("fails");
    assert_eq!(bed.status("fails").map(|status| status.failures), Some(0));
}

#[test]
fn the_order_to_restart_ends_a_back_off_and_is_taken_back() {
    let bed = in_back_off();
    bed.file(&bed.dir.join("good"), b"", 0o644);
    bed.order("fails", "restart");
    bed.up("fails");
    until("the order is taken back", || bed.lock("fails").is_none());
    assert_eq!(bed.status("fails").map(|status| status.failures), Some(0));
}

#[test]
fn a_stop_ends_a_back_off_at_once_and_for_good() {
    let bed = in_back_off();
    bed.nudge("fails", Signal::SIGTERM);
    bed.down("fails");
    assert_eq!(bed.lock("fails").as_deref(), Some("stop"));
    assert_eq!(bed.logged("ran"), 2);
}

#[test]
fn what_cannot_be_executed_is_told_with_the_reason_and_counts_as_a_failure() {
    let bed = TestBed::unprivileged().with_delays(60000, 60000).started();
    let plain = bed.dir.join("plain");
    bed.file(&plain, b"", 0o644);
    bed.entry("enoent", b"#!/nonexistent/interpreter\n", 0o755);
    bed.entry("eacces", format!("#!{}\n", plain.display()).as_bytes(), 0o755);
    bed.entry("eacces-dir", b"#!/\n", 0o755);
    for (name, errno, words) in [
        ("enoent", nix::errno::Errno::ENOENT, "No such file"),
        ("eacces", nix::errno::Errno::EACCES, "Permission denied"),
        ("eacces-dir", nix::errno::Errno::EACCES, "Permission denied"),
    ] {
        until("it has failed twice", || bed.status(name).is_some_and(|s| s.phase == Phase::Backoff && s.failures == 2));
        assert_eq!(bed.last_exit(name), Some(Ended::Exec(errno as i32)));
        until("it is said", || bed.said(&[&format!("{name}:"), words]));
    }
    bed.service("enoent", SLEEPER);
    bed.up("enoent");
}

#[test]
fn a_script_without_a_first_line_is_run_by_the_shell() {
    let bed = TestBed::new().started();
    bed.entry("bare", b"echo \"$0 $#\" >> $BED/log\nexec sleep 1000\n", 0o755);
    bed.up("bare");
    assert_eq!(bed.logs(1), [format!("{} 0", bed.sysdir.join("bare").display())]);
}

#[test]
fn an_empty_file_is_a_script_that_ends() {
    let bed = TestBed::new().with_delays(60000, 60000).started();
    bed.entry("empty", b"", 0o755);
    bed.comes_to("empty", Phase::Backoff);
    assert_eq!(bed.last_exit("empty"), Some(Ended::Code(0)));
}

#[test]
fn how_it_ended_is_recorded() {
    let bed = TestBed::new().with_delays(60000, 60000).started();
    bed.service("code", "exit 42");
    bed.service("signal", "kill -TERM $$");
    bed.comes_to("code", Phase::Backoff);
    bed.comes_to("signal", Phase::Backoff);
    assert_eq!(bed.last_exit("code"), Some(Ended::Code(42)));
    let terminated = Ended::Signal { number: 15, core: false };
    assert_eq!(bed.last_exit("signal"), Some(terminated));
}

#[test]
fn each_stop_signal_to_its_supervisor_stops_it_and_keeps_it_down() {
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    let mut pid = bed.up("web");
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGABRT] {
        let supervisor = bed.syspid("web").expect("it has a supervisor");
        bed.nudge("web", signal);
        bed.down("web");
        assert!(!is_alive(pid), "{signal}");
        until("its supervisor ends", || !is_alive(supervisor));
        assert_eq!(bed.lock("web").as_deref(), Some("stop"), "{signal}");
        let status = bed.status("web").expect("it has a status");
        assert_eq!(status.last_exit, Some(Ended::Signal { number: 15, core: false }), "{signal}");
        assert_eq!((status.pid, status.failures), (None, 0), "{signal}");
        bed.unlock("web");
        pid = bed.up_again("web", pid);
    }
}

#[test]
fn a_stop_leaves_a_lock_that_was_there() {
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    bed.up("web");
    bed.order("web", "maintenance until Monday");
    bed.nudge("web", Signal::SIGTERM);
    bed.down("web");
    assert_eq!(bed.lock("web").as_deref(), Some("maintenance until Monday"));
}

#[test]
fn sigusr1_to_its_supervisor_kills_it_and_keeps_it_down() {
    let bed = TestBed::new().started();
    bed.service("deaf", DEAF);
    let pid = bed.up("deaf");
    bed.nudge("deaf", Signal::SIGUSR1);
    bed.down("deaf");
    assert!(!is_alive(pid));
    assert_eq!(bed.last_exit("deaf"), Some(Ended::Signal { number: 9, core: false }));
    assert_eq!(bed.lock("deaf").as_deref(), Some("kill"));
}

#[test]
fn a_deaf_service_stays_stopping_until_it_is_killed() {
    let bed = TestBed::new().with("STOP_TIMEOUT_MS", "200").started();
    bed.service("deaf", DEAF);
    let pid = bed.up("deaf");
    // the shell must have come to its trap
    until("it is deaf", || process::status_line(pid, "SigIgn").is_some_and(|set| set.ends_with("4000")));
    bed.nudge("deaf", Signal::SIGTERM);
    bed.comes_to("deaf", Phase::Stopping);
    stays("it is stopping", millis(600), || is_alive(pid) && bed.phase("deaf") == Some(Phase::Stopping));
    bed.nudge("deaf", Signal::SIGUSR1);
    bed.down("deaf");
    assert!(!is_alive(pid));
}

#[test]
fn a_suspended_service_can_be_stopped() {
    let bed = TestBed::new().started();
    bed.service("still", SLEEPER);
    let pid = bed.up("still");
    kill(pid, Signal::SIGSTOP);
    until("it is suspended", || process::status_line(pid, "State").is_some_and(|state| state.starts_with('T')));
    bed.nudge("still", Signal::SIGTERM);
    bed.down("still");
    assert!(!is_alive(pid));
}

#[test]
fn what_it_leaves_behind_is_ended_before_it_is_restarted() {
    let bed = TestBed::new().with("STOP_TIMEOUT_MS", "300").with_delays(100, 30000).started();
    // a child that obeys and one that does not; the next run looks whether one is left
    bed.service(
        "parent",
        "for left in $(cat $BED/left 2>/dev/null); do
             kill -0 $left 2>/dev/null && echo overlap >> $BED/log
         done
         sleep 1000 & echo $! > $BED/left
         sh -c 'trap \"\" TERM; echo deaf >> $BED/log; exec sleep 1000' & echo $! >> $BED/left
         echo ran >> $BED/log
         until [ -e $BED/go ]; do sleep 0.01; done
         exit 1",
    );
    let first = bed.up("parent");
    until("its child is deaf", || bed.logged("deaf") == 1 && bed.logged("ran") == 1);
    let left = value_of("both children are known", || {
        let text = fs::read_to_string(bed.dir.join("left")).ok()?;
        let left: Vec<i32> = text.lines().filter_map(|line| line.parse().ok()).collect();
        (left.len() == 2).then_some(left)
    });
    bed.file(&bed.dir.join("go"), b"", 0o644);
    bed.comes_to("parent", Phase::Clearing);
    let next = bed.up_again("parent", first);
    assert!(left.iter().all(|pid| !is_alive(*pid)));
    assert_ne!(next, first);
    until("it ran twice more", || bed.logged("ran") >= 3);
    assert_eq!(bed.logged("overlap"), 0, "{:?}", bed.log());
}

#[test]
fn what_a_stopped_service_leaves_behind_is_ended_before_it_counts_as_down() {
    let bed = TestBed::new().with("STOP_TIMEOUT_MS", "300").started();
    bed.service(
        "parent",
        "sh -c 'trap \"\" TERM; echo $$ >> $BED/log; exec sleep 1000' &
         exec sleep 1000",
    );
    bed.up("parent");
    let left: i32 = value_of("the child is deaf", || bed.log().first()?.parse().ok());
    bed.nudge("parent", Signal::SIGTERM);
    bed.down("parent");
    assert!(!is_alive(left));
}

#[test]
fn only_the_main_process_is_told_to_stop() {
    let bed = TestBed::new().started();
    bed.service(
        "master",
        "sh -c 'trap \"echo worker told >> $BED/log\" TERM; while :; do sleep 0.05; done' &
         worker=$!
         trap 'echo master told >> $BED/log; kill -9 $worker; exit 0' TERM
         echo ready >> $BED/log
         while :; do sleep 0.05; done",
    );
    bed.up("master");
    until("it is ready", || bed.logged("ready") == 1);
    bed.nudge("master", Signal::SIGTERM);
    bed.down("master");
    assert_eq!(bed.log(), ["ready", "master told"]);
}

#[test]
fn what_made_a_session_of_its_own_is_left_alone() {
    let bed = TestBed::new().with_delays(50, 30000).may_leave().started();
    bed.service(
        "login",
        "[ -s $BED/log ] || { setsid sleep 1000 & echo $! >> $BED/log; }
         exec sleep 1000",
    );
    let pid = bed.up("login");
    let apart: i32 = value_of("the child is known", || bed.log().first()?.parse().ok());
    until("it is in its own session", || facts(apart).is_some_and(|facts| facts.session == apart));
    kill(pid, Signal::SIGKILL);
    let pid = bed.up_again("login", pid);
    assert!(is_alive(apart));
    bed.nudge("login", Signal::SIGTERM);
    bed.down("login");
    assert!(is_alive(apart) && !is_alive(pid));
    kill(apart, Signal::SIGKILL);
}
