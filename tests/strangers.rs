//! A process that has got the number of another one is never signalled, and never taken for it.

mod common;

use std::fs;
use std::process::Child;

use common::process::of_child;
use common::services::SLEEPER;
use common::{POSIX_ONLY, Signal, TestBed, facts, is_alive, kill, process, skip, until};
use sysmgr::service::status::Phase;

/// A process that belongs to nobody here, and tells of each signal.
struct Stranger {
    child: Child,
    pid: i32,
}

impl Stranger {
    fn new(bed: &TestBed) -> Self {
        let script = "for s in HUP INT QUIT USR1 USR2 TERM ALRM CONT; do trap \"echo signalled $s >>$BED/log\" $s; done
            echo stranger >>$BED/log; while :; do sleep 0.05; done";
        let mut command = bed.command("setsid");
        // a group and a sitting of its own, as a process of another time has
        command.args(["sh", "-c", script]);
        let child = command.spawn().expect("it can be started");
        until("it listens", || bed.logged("stranger") == 1);
        let pid = of_child(&child);
        Self { child, pid }
    }

    /// It has noticed nothing.
    #[track_caller]
    fn assert_untouched(mut self, bed: &TestBed) {
        assert!(is_alive(self.pid), "it was killed");
        let signalled: Vec<_> = bed.log().into_iter().filter(|line| line.starts_with("signalled")).collect();
        assert!(signalled.is_empty(), "{signalled:?}");
        let group = nix::unistd::Pid::from_raw(self.pid);
        nix::sys::signal::killpg(group, Signal::SIGKILL).expect("it leads a group");
        process::wait(&mut self.child);
        until("nothing is left of it", || process::all().values().all(|facts| facts.group != self.pid || facts.zombie));
    }

    /// When it was started, as the system tells.
    fn start(&self) -> String {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid)).expect("it lives");
        stat.rsplit_once(") ").and_then(|(_, fields)| fields.split(' ').nth(19)).expect("a start time").to_owned()
    }
}

fn boot() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim_end().to_owned()
}

/// Leaves a run directory with this record of a service, as one who died has.
fn leave(bed: &TestBed, record: &str, pid: i32) {
    for dir in [bed.rundir.clone(), bed.rundir.join("web")] {
        let _ = fs::create_dir(&dir);
        bed.adjust(&dir, 0o755);
    }
    bed.file(&bed.path("web", ".owner"), format!("{record:<159}\n").as_bytes(), 0o600);
    bed.file(&bed.rundir.join(".owner"), format!("{record:<159}\n").as_bytes(), 0o600);
    for file in [bed.path("web", "pid"), bed.path("web", "syspid"), bed.rundir.join("pid")] {
        bed.file(&file, format!("{pid}\n").as_bytes(), 0o644);
    }
    let status =
        format!("state='up'\nsince='1'\nsince_ms='1'\nboot='{}'\npid='{pid}'\nstart_time='1'\nstarts='1'\n", boot());
    bed.file(&bed.path("web", "status"), status.as_bytes(), 0o644);
    bed.file(&bed.path("web", "waiting"), format!("{pid} 1 other\n").as_bytes(), 0o644);
}

#[test]
fn numbers_that_are_a_strangers_by_now_are_nobodys() {
    if POSIX_ONLY {
        return skip("start times of processes can't be had");
    }
    for of in ["another time", "another boot", "a group that is another's", "a group alone"] {
        let mut bed = TestBed::new();
        bed.service("web", SLEEPER);
        let stranger = Stranger::new(&bed);
        let (pid, start, boot) = (stranger.pid, stranger.start(), boot());
        let its = facts(pid).expect("it lives");
        let other = if its.session == 2 { 3 } else { 2 };
        let record = match of {
            "another time" => format!("sysmgr 1 {boot} {pid} 1 {} {other} stop", its.group),
            "another boot" => {
                format!(
                    "sysmgr 1 00000000-0000-0000-0000-000000000000 {pid} {start} {} {} kill",
                    its.group, its.session
                )
            }
            "a group that is another's" => format!("sysmgr 1 {boot} {pid} 1 {} {other} kill", its.group),
            _ => format!("sysmgr 1 {boot} {} 1 {} {other} -", i32::MAX, its.group),
        };
        leave(&bed, &record, pid);
        bed.start();
        if record.ends_with('-') || of == "another boot" {
            bed.up_again("web", pid);
        }
        let mut svctl = bed.program("svctl");
        let said = common::said::Said::by(svctl.args(["kill", "web"]));
        assert_eq!(said.code, 0, "{of}: {said:?}");
        bed.down("web");
        bed.stop();
        stranger.assert_untouched(&bed);
    }
}

#[test]
fn numbers_in_files_that_were_forged_while_it_runs_are_not_believed() {
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    let pid = bed.up("web");
    let supervisor = bed.syspid("web").expect("it has one");
    let stranger = Stranger::new(&bed);
    for operation in ["signal USR1", "reload", "restart", "stop", "start", "once", "kill", "stop -f"] {
        // suspended, so that nobody puts it right before it is read
        kill(bed.sysmgr(), Signal::SIGSTOP);
        for file in ["pid", "syspid"] {
            bed.file(&bed.path("web", file), format!("{}\n", stranger.pid).as_bytes(), 0o644);
        }
        if let Some(status) = bed.status("web") {
            let mut forged = status.clone();
            forged.phase = Phase::Up;
            forged.pid = sysmgr::service::pid::Pid::new(stranger.pid);
            bed.file(&bed.path("web", "status"), forged.to_string().as_bytes(), 0o644);
        }
        let mut svctl = bed.program("svctl");
        svctl.args(["-w", "0.1"]).args(operation.split(' ')).arg("web");
        let _ = common::said::Said::by(&mut svctl);
        kill(bed.sysmgr(), Signal::SIGCONT);
        assert!(is_alive(stranger.pid), "{operation}");
    }
    until("it is put right", || bed.pid("web") != Some(stranger.pid) && bed.syspid("web") != Some(stranger.pid));
    until("it is down", || !is_alive(pid) && !is_alive(supervisor));
    stranger.assert_untouched(&bed);
}
