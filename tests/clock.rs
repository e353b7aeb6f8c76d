//! The time of day is for people: whoever sets it, by years, changes nothing of what is done and when.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::services::SLEEPER;
use common::{Signal, TestBed, available, is_alive, kill, skip, stays, until, value_of};
use sysmgr::service::moment::Moment;
use sysmgr::service::status::Phase;

/// A library that moves the time of day by as many seconds as a file says.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static long step(void) {
    char text[32] = "";
    const char *path = getenv("CLOCK_STEP");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    return n > 0 ? atol(text) : 0;
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += step();
    return result;
}
"#;

const YEARS: i64 = 10 * 365 * 86400;

/// A bed whose programs see a time of day that the test sets.
fn bed(bed: TestBed) -> Option<TestBed> {
    if cfg!(any(not(target_env = "gnu"), target_feature = "crt-static")) {
        skip("what is linked statically asks the system itself");
        return None;
    }
    if !available("cc") {
        return None;
    }
    let (source, library) = (bed.dir.join("clock.c"), bed.dir.join("clock.so"));
    fs::write(&source, CLOCK).expect("it can be written");
    let status = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
    assert!(status.is_ok_and(|status| status.success()), "it can be compiled");
    let mut bed = bed;
    set(&bed, 0);
    let step = step(&bed);
    bed.start_by(|command| {
        command.env("LD_PRELOAD", &library).env("CLOCK_STEP", step);
    });
    Some(bed)
}

fn step(bed: &TestBed) -> PathBuf {
    bed.dir.join("step")
}

/// Sets the time of day this many seconds off.
fn set(bed: &TestBed, seconds: i64) {
    let aside = bed.dir.join("step.new");
    fs::write(&aside, seconds.to_string()).expect("it can be written");
    fs::rename(&aside, step(bed)).expect("it can be renamed");
}

fn seconds_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[test]
fn a_clock_that_is_set_by_years_shortens_and_lengthens_nothing() {
    let timed = TestBed::new().with_delays(700, 700).with("STABLE_AFTER_MS", "60000").with("STOP_TIMEOUT_MS", "60000");
    let Some(bed) = bed(timed) else { return };
    bed.service("fails", "echo ran >> $BED/log; exit 1");
    bed.service("a", SLEEPER);
    bed.service("parent", "(trap '' TERM; echo deaf >> $BED/log; exec sleep 1000) & exec sleep 1000");
    let mut pid = bed.asleep("a");
    let parent = bed.up("parent");
    until("its child is deaf", || bed.logged("deaf") == 1);
    kill(parent, Signal::SIGKILL);
    bed.comes_to("parent", Phase::Clearing);
    for (failures, seconds) in [(1, YEARS), (2, -YEARS), (3, 0)] {
        set(&bed, seconds);
        // it is tried as often as before: neither at once nor never
        let ran = bed.logged("ran");
        let status = value_of("it waits", || {
            bed.status("fails").filter(|status| status.phase == Phase::Backoff && bed.logged("ran") > ran)
        });
        let next = status.next_try_ms.unwrap_or(Moment(0)).since(status.since_ms);
        assert_eq!(next, common::millis(700));
        // the time that people see follows
        let shown = i64::try_from(status.since).unwrap_or(0) - i64::try_from(seconds_now()).unwrap_or(0) - seconds;
        assert!(shown.abs() < 3600, "{shown}");
        // a run of a moment is none of years
        kill(pid, Signal::SIGKILL);
        pid = bed.up_again("a", pid);
        let status = bed.status("a").expect("there is one");
        assert_eq!(status.failures, failures, "{status:?}");
        assert!(status.last_run_ms.is_some_and(|run| run < 3_600_000), "{status:?}");
        stays("what is left behind has its time", common::millis(100), || bed.phase("parent") == Some(Phase::Clearing));
    }
    // after years as well as before, supervisors are adopted and files are seen
    set(&bed, YEARS);
    if !common::POSIX_ONLY {
        let old = bed.syspid("a").expect("it has a supervisor");
        kill(old, Signal::SIGKILL);
        until("another one takes over", || bed.syspid("a").is_some_and(|new| new != old && is_alive(new)));
        assert_eq!(bed.up("a"), pid);
    }
    bed.service("late", SLEEPER);
    bed.up("late");
    bed.nudge("parent", Signal::SIGUSR1);
    bed.down("parent");
}

#[test]
fn the_time_of_day_is_asked_for_what_is_shown_and_for_marks_on_files_alone() {
    const ALLOWED: [&str; 8] = [
        // since when a service is in its state
        "supervisor/driver.rs",
        "supervisor/report.rs",
        "manager/actions.rs",
        // whether a file is newer than the process; for how long nothing was written to a directory that is new to us
        "control/survey.rs",
        "depends/others.rs",
        // files' own times
        "sys/mark.rs",
        // a system that tells by it when processes were started
        "sys/process/sysctl.rs",
        "sys/clock.rs",
    ];
    fn walk(dir: &Path, check: &mut impl FnMut(&Path, &str)) {
        for entry in fs::read_dir(dir).expect("it can be listed").flatten() {
            match entry.path() {
                path if path.is_dir() => walk(&path, check),
                path => check(&path, &fs::read_to_string(&path).expect("it can be read")),
            }
        }
    }
    let src = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src"));
    walk(src, &mut |path, text| {
        let name = path.strip_prefix(src).expect("it is below").display().to_string();
        let asks = ["clock::wall", "clock::ago", "CLOCK_REALTIME"].iter().any(|what| text.contains(what));
        assert!(!asks || ALLOWED.contains(&name.as_str()), "{name}");
        assert!(!text.contains("SystemTime"), "{name}");
    });
}
