//! Names of services: odd ones, wrong ones, and many.

mod common;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use common::services::SLEEPER;
use common::{Signal, TestBed, is_alive, kill, process, until};

fn odd_names() -> Vec<OsString> {
    let mut names: Vec<OsString> = [
        "with space",
        " leading and trailing ",
        "100%d %s %n",
        "it's \"quoted\" `here`",
        "$(id) $HOME ${x} ;&|<>()",
        "*?[a-z]{b,c}~!#\\",
        "d\u{f6}ner \u{2603} \u{1f980}",
        "a=b",
        "lock",
        "status",
        "syspid",
        "@",
        "--x".trim_start_matches('-'),
        "tab\there",
    ]
    .iter()
    .map(OsString::from)
    .collect();
    names.push(OsString::from_vec(b"not utf-8 \xff\xfe\x80".to_vec()));
    names.push(OsString::from_vec(vec![b'x'; 255]));
    names
}

#[test]
fn odd_names_are_names() {
    let mut bed = TestBed::new();
    let script = "printf '%s\\n' \"$SYSMGR_SERVICE\" > \"$BED/name-$$\"; exec sleep 1000";
    for name in odd_names() {
        bed.service(&name, script);
    }
    bed.start();
    for name in odd_names() {
        let pid = bed.up(&name);
        let told = common::value_of("it has written its name", || {
            fs::read(bed.dir.join(format!("name-{pid}"))).ok().filter(|told| told.ends_with(b"\n"))
        });
        assert_eq!(told.strip_suffix(b"\n"), Some(name.as_bytes()));
        // down and up again
        bed.nudge(&name, Signal::SIGTERM);
        bed.down(&name);
        assert_eq!(bed.lock(&name).as_deref(), Some("stop"));
        bed.unlock(&name);
        bed.up_again(&name, pid);
    }
    let text = fs::read(bed.dir.join("messages")).expect("there are messages");
    assert!(std::str::from_utf8(&text).is_ok(), "messages are text, whatever the names");
}

#[test]
fn odd_names_that_appear_later_are_names_too() {
    let bed = TestBed::unprivileged().started();
    for name in odd_names() {
        bed.service(&name, SLEEPER);
        bed.up(&name);
    }
}

#[test]
fn wrong_names_are_reported_once_and_left_alone() {
    let mut bed = TestBed::new();
    let wrong: [&[u8]; 4] = [b"-dash", b"new\nline", b"pid", b"--sysdir"];
    for name in wrong {
        bed.service(OsStr::from_bytes(name), "echo ran >> $BED/log; exec sleep 1000");
    }
    bed.service("right", SLEEPER);
    bed.start();
    bed.up("right");
    for told in ["-dash", "new\\x0aline", "pid", "--sysdir"] {
        until("it is reported", || bed.said(&[told]));
    }
    kill(bed.sysmgr(), Signal::SIGUSR1);
    bed.service("more", SLEEPER);
    bed.up("more");
    let about = |name: &str| bed.messages().iter().filter(|line| line.contains(name)).count();
    assert_eq!(about("-dash"), 1, "{:?}", bed.messages());
    assert_eq!(about("new\\x0aline"), 1, "{:?}", bed.messages());
    assert!(bed.log().is_empty());
    assert_eq!(bed.sysmgr_pid(), Some(bed.sysmgr()), "RUNDIR/pid is sysmgr's own");
    for name in wrong {
        assert!(bed.sysdir.join(OsStr::from_bytes(name)).exists());
    }
}

fn many(mut bed: TestBed) {
    let names: Vec<String> = (0..150).map(|number| format!("s{number}")).collect();
    for name in &names {
        bed.service(name, SLEEPER);
    }
    bed.start();
    let pids: Vec<i32> = names.iter().map(|name| bed.up(name)).collect();
    // each in a session of its own, under a supervisor of its own
    let mut supervisors: Vec<_> = names.iter().filter_map(|name| bed.syspid(name)).collect();
    supervisors.sort_unstable();
    supervisors.dedup();
    assert_eq!(supervisors.len(), 150);
    // they are still watched
    bed.nudge("s149", Signal::SIGTERM);
    bed.down("s149");
    bed.unlock("s149");
    bed.up_again("s149", pids[149]);
    bed.service("one-more", SLEEPER);
    bed.up("one-more");
    kill(pids[0], Signal::SIGKILL);
    bed.up_again("s0", pids[0]);
    for (name, pid) in names.iter().zip(&pids).take(149).skip(1) {
        assert_eq!(bed.pid(name), Some(*pid));
    }
    assert!(bed.stop().success());
    assert!(pids.iter().all(|pid| !is_alive(*pid)));
    assert_eq!(process::of_bed(&bed.dir), Vec::<i32>::new());
}

#[test]
fn more_than_128_services_run_and_are_watched() {
    many(TestBed::new().with("SHUTDOWN_TIMEOUT_MS", "15000"));
}

#[test]
fn more_than_128_services_of_an_ordinary_user_run_and_are_watched() {
    many(TestBed::unprivileged().with("SHUTDOWN_TIMEOUT_MS", "15000"));
}
