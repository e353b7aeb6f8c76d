//! The upgrade in place: SIGUSR2 has sysmgr and every runsyssv execute themselves anew from the installed file.

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use common::services::SLEEPER;
use common::{POSIX_ONLY, Signal, TestBed, is_alive, kill, process, skip, until, value_of};
use sysmgr::service::ended::Ended;
use sysmgr::service::status::{Phase, Status};

/// A bed whose programs are installed in a directory of its own.
struct Installed {
    bed: TestBed,
    bin: PathBuf,
}

impl Installed {
    fn new(bed: TestBed) -> Self {
        let bin = bed.dir.join("bin");
        fs::create_dir(&bin).expect("a directory can be made");
        let mut installed = Self { bed, bin };
        installed.install(&["sysmgr", "runsyssv", "svctl", "sysmgr-depends"]);
        let mut command = installed.program("sysmgr");
        installed.bed.start_command(&mut command);
        installed
    }

    fn program(&self, name: &str) -> Command {
        let mut command = self.bed.command(self.bin.join(name));
        command.arg("--sysdir").arg(&self.bed.sysdir).arg("--rundir").arg(&self.bed.rundir);
        command
    }

    /// Installs programs as a package manager does: written aside, then renamed.
    fn install(&self, names: &[&str]) {
        for name in names {
            let aside = self.bin.join(".aside");
            // by another program: a thread that forks meanwhile would keep what we write busy
            let status = Command::new("cp").arg(self.bed.executable(name)).arg(&aside).status();
            assert!(status.is_ok_and(|status| status.success()), "{name} can be copied");
            fs::rename(&aside, self.bin.join(name)).expect("it can be renamed");
        }
    }

    /// Installs this in the place of a program.
    fn install_instead(&self, name: &str, content: &[u8], mode: u32) {
        let aside = self.bin.join(".aside");
        self.bed.file(&aside, content, mode);
        fs::rename(&aside, self.bin.join(name)).expect("it can be renamed");
    }

    /// Whether the process executes the program as it is installed now.
    fn is_new(&self, pid: i32, name: &str) -> bool {
        let identity = |path: PathBuf| fs::metadata(path).map(|file| (file.dev(), file.ino())).ok();
        identity(format!("/proc/{pid}/exe").into()) == identity(self.bin.join(name))
    }

    /// Upgrades sysmgr and the supervisors of these services, and waits until all have done it.
    #[track_caller]
    fn upgrade(&self, names: &[&str]) {
        let supervisors: Vec<i32> = names.iter().filter_map(|name| self.bed.syspid(name)).collect();
        self.install(&["sysmgr", "runsyssv"]);
        kill(self.bed.sysmgr(), Signal::SIGUSR2);
        until("sysmgr executes the new file", || self.is_new(self.bed.sysmgr(), "sysmgr"));
        for pid in supervisors {
            until("each supervisor executes the new file", || self.is_new(pid, "runsyssv"));
        }
    }
}

/// What must be the same after an upgrade.
fn known(bed: &TestBed, name: &str) -> (Option<i32>, Option<i32>, Option<Status>) {
    (bed.pid(name), bed.syspid(name), bed.status(name))
}

#[test]
fn all_keep_their_process_ids_and_execute_the_new_file_and_nothing_is_forgotten() {
    let timed =
        TestBed::new().with_delays(60000, 60000).with("STOP_TIMEOUT_MS", "60000").with("SHUTDOWN_TIMEOUT_MS", "600");
    let installed = Installed::new(timed);
    let bed = &installed.bed;
    bed.service("up", SLEEPER);
    bed.service("fails", "echo ran >> $BED/log; exit 3");
    bed.service("deaf", "trap '' TERM; echo deaf >> $BED/log; exec sleep 1000");
    bed.service("parent", "(trap '' TERM; echo deaf >> $BED/log; exec sleep 1000) & exec sleep 1000");
    bed.service("once", SLEEPER);
    bed.entry("refused", b"#!/bin/sh\n", 0o644);
    let names = ["up", "fails", "deaf", "parent", "once"];
    until("it has failed twice", || bed.status("fails").is_some_and(|s| s.failures == 2 && s.phase == Phase::Backoff));
    let first = bed.up("up");
    kill(first, Signal::SIGKILL);
    let up = bed.up_again("up", first);
    bed.up("once");
    bed.order("once", "once");
    until("it has been started once", || bed.lock("once").as_deref() == Some("ran"));
    let parent = bed.up("parent");
    bed.up("deaf");
    until("they are deaf", || bed.logged("deaf") == 2);
    kill(parent, Signal::SIGKILL);
    bed.comes_to("parent", Phase::Clearing);
    bed.nudge("deaf", Signal::SIGTERM);
    bed.comes_to("deaf", Phase::Stopping);
    bed.comes_to("refused", Phase::Refused);
    let before = names.map(|name| known(bed, name));
    for _ in 0..3 {
        installed.upgrade(&names);
        let after = names.map(|name| known(bed, name));
        assert_eq!(after, before);
        assert_eq!(bed.sysmgr_pid(), Some(bed.sysmgr()));
    }
    assert_eq!(bed.logged("ran"), 2, "its back-off goes on");
    // a child is still one: its end is known
    kill(up, Signal::SIGTERM);
    bed.comes_to("up", Phase::Backoff);
    assert_eq!(bed.last_exit("up"), Some(Ended::Signal { number: 15, core: false }));
    assert_eq!(bed.status("up").map(|status| (status.starts, status.failures)), Some((2, 2)));
    bed.nudge("deaf", Signal::SIGUSR1);
    bed.down("deaf");
    bed.nudge("parent", Signal::SIGUSR1);
    bed.down("parent");
    bed.signal("once", Signal::SIGTERM);
    bed.down("once");
    assert!(!bed.said(&["runsyssv "]) && !bed.said(&["takes over"]), "{:?}", bed.messages());
}

#[test]
fn what_happens_in_the_middle_of_an_upgrade_is_not_lost() {
    let installed = Installed::new(TestBed::new().with_delays(1, 5));
    let bed = &installed.bed;
    bed.service("a", SLEEPER);
    bed.service("b", SLEEPER);
    bed.service("c", SLEEPER);
    let supervisors = ["a", "b", "c"].map(|name| {
        bed.up(name);
        bed.syspid(name).expect("it has a supervisor")
    });
    for round in 0..25_u64 {
        let pids = ["a", "b", "c"].map(|name| bed.asleep(name));
        // at another moment each time
        let later = Duration::from_micros(round * 211 % 5000);
        kill(bed.sysmgr(), Signal::SIGUSR2);
        std::thread::sleep(later);
        kill(pids[0], Signal::SIGKILL);
        kill(bed.syspid("b").expect("it has a supervisor"), Signal::SIGTERM);
        bed.order("c", "restart");
        let new = format!("new{round}");
        bed.service(&new, SLEEPER);
        bed.up_again("a", pids[0]);
        bed.down("b");
        bed.up_again("c", pids[2]);
        until("the order is done", || bed.lock("c").is_none());
        bed.up(&new);
        bed.unlock("b");
        bed.up_again("b", pids[1]);
    }
    let after = ["a", "c"].map(|name| bed.syspid(name).expect("it has a supervisor"));
    assert_eq!(after, [supervisors[0], supervisors[2]]);
    assert_eq!(bed.last_exit("a"), Some(Ended::Signal { number: 9, core: false }), "no end is unknown");
    assert!(process::zombies(bed.sysmgr()).is_empty());
}

#[test]
fn an_end_that_is_asked_for_in_the_middle_of_an_upgrade_comes() {
    for round in 0..8_u64 {
        let mut installed = Installed::new(TestBed::new());
        installed.bed.service("a", SLEEPER);
        let pid = installed.bed.up("a");
        kill(installed.bed.sysmgr(), Signal::SIGUSR2);
        std::thread::sleep(Duration::from_micros(round * 400));
        assert_eq!(installed.bed.stop().code(), Some(0));
        assert!(!is_alive(pid));
        assert_eq!(installed.bed.processes(), Vec::<i32>::new());
    }
}

#[test]
fn a_new_file_that_does_not_run_is_told_and_the_old_one_goes_on() {
    let installed = Installed::new(TestBed::new().with_delays(1, 5));
    let bed = &installed.bed;
    bed.service("a", SLEEPER);
    let mut pid = bed.up("a");
    let (sysmgr, supervisor) = (bed.sysmgr(), bed.syspid("a").expect("it has a supervisor"));
    let program = || fs::metadata(format!("/proc/{supervisor}/exe")).expect("it lives").ino();
    let old = program();
    let broken: [(&str, &[u8], u32); 6] = [
        ("not executable", b"\x7fELF", 0o644),
        ("empty", b"", 0o755),
        ("cut short", b"\x7fELF\x02\x01\x01", 0o755),
        ("without its interpreter", b"#!/nonexistent/interpreter\n", 0o755),
        ("failing", b"#!/bin/sh\nexit 127\n", 0o755),
        ("hanging", b"#!/bin/sh\nexec sleep 1000\n", 0o755),
    ];
    for name in ["sysmgr", "runsyssv"] {
        // it takes its time, so once is enough
        for (what, content, mode) in broken.into_iter().filter(|(what, ..)| name == "sysmgr" || *what != "hanging") {
            let said = bed.messages().len();
            installed.install_instead(name, content, mode);
            kill(sysmgr, Signal::SIGUSR2);
            let path = installed.bin.join(name).display().to_string();
            until(&format!("it is said of {name}, {what}"), || {
                bed.messages()[said..].iter().any(|line| line.contains(&path) && line.contains("goes on as it is"))
            });
            // both do their work as before
            assert_eq!((bed.sysmgr_pid(), bed.syspid("a"), bed.pid("a")), (Some(sysmgr), Some(supervisor), Some(pid)));
            kill(pid, Signal::SIGKILL);
            pid = bed.up_again("a", pid);
            installed.install(&[name]);
        }
    }
    fs::remove_file(installed.bin.join("sysmgr")).expect("it can be removed");
    kill(sysmgr, Signal::SIGUSR2);
    until("a missing one is told too", || {
        bed.messages().last().is_some_and(|line| line.contains("bin/sysmgr") && line.contains("goes on as it is"))
    });
    assert_eq!(program(), old);
    installed.upgrade(&["a"]);
    assert_eq!((bed.syspid("a"), bed.up("a")), (Some(supervisor), pid));
}

/// The line of a record.
fn line(bed: &TestBed) -> String {
    let content = fs::read(bed.path("a", ".owner")).expect("there is a record");
    let end = content.iter().position(|byte| *byte == b'\n').expect("a line");
    String::from_utf8_lossy(&content[..end]).trim_end().to_owned()
}

#[test]
fn records_of_neighbouring_versions_are_understood() {
    if POSIX_ONLY {
        return skip("start times of processes can't be had");
    }
    let mut bed = TestBed::new().started();
    bed.service("a", SLEEPER);
    let pid = bed.up("a");
    let own = line(&bed);
    let words = own.split(' ').count();
    let later = own.replacen("sysmgr 1 ", "sysmgr 2 ", 1);
    assert_ne!(later, own);
    let records = [
        ("of an older version, shorter", format!("{}\n", own.split(' ').take(8).collect::<Vec<_>>().join(" "))),
        ("of a later version with more words", format!("{:<159}\n", format!("{later} more words"))),
        ("of a later version, longer", format!("{:<1023}\n", format!("{later} {}", "more ".repeat(100)))),
    ];
    for (what, record) in records {
        let supervisor = bed.syspid("a").expect("it has a supervisor");
        bed.kill_sysmgr();
        kill(supervisor, Signal::SIGKILL);
        until("it is dead", || !is_alive(supervisor));
        bed.file(&bed.path("a", ".owner"), record.as_bytes(), 0o600);
        bed.start();
        let next = value_of(&format!("one takes over with a record {what}"), || {
            bed.syspid("a").filter(|next| *next != supervisor && is_alive(*next))
        });
        until("it has", || bed.phase("a") == Some(Phase::Up));
        assert_eq!((bed.pid("a"), is_alive(pid), bed.syspid("a")), (Some(pid), true, Some(next)), "{what}");
    }
    bed.order("a", "restart");
    bed.up_again("a", pid);
    assert_eq!(line(&bed).split(' ').count(), words, "and writes its own");
}
