//! Supervisors that die at the worst moment, which each test forces: nothing runs twice, nothing is lost, and
//! nobody else is ever taken for the service.

mod common;
mod rigged;

use common::services::{DEAF, SLEEPER};
use common::{POSIX_ONLY, Signal, TestBed, available, is_alive, kill, process, skip, until, value_of};
use rigged::{Rigged, can_rig};
use sysmgr::service::ended::Ended;
use sysmgr::service::status::Phase;

/// A service that tells of each run, and whether another one still holds its lock.
const ALONE: &str = "exec 9>>$BED/held.$SYSMGR_SERVICE; flock -n 9 || echo twice >> $BED/log
    echo ran >> $BED/log; exec sleep 1000";

/// The same, with a child that ignores SIGTERM and has the lock too.
const PARENT: &str = "exec 9>>$BED/held.$SYSMGR_SERVICE; flock -n 9 || echo twice >> $BED/log
    sh -c 'trap \"\" TERM; echo $SYSMGR_SERVICE $$ >> $BED/log; exec sleep 1000' &
    exec sleep 1000";

fn bed() -> TestBed {
    // what is deaf at the end of a test has no long time either
    TestBed::new().with_delays(10, 50).with("SHUTDOWN_TIMEOUT_MS", "800")
}

/// The calls of a trace, each with how many of its name there have been.
fn calls(trace: &str) -> Vec<(String, usize, String)> {
    let mut counts = std::collections::BTreeMap::<String, usize>::new();
    let call = |line: &str| {
        let (name, _) = line.split_once('(').filter(|(name, _)| !name.contains([' ', '-', '+']))?;
        let count = counts.entry(name.to_owned()).or_default();
        *count += 1;
        Some((name.to_owned(), *count, line.to_owned()))
    };
    trace.lines().filter_map(call).collect()
}

/// A rule by which a program is killed at this call.
fn killed_at(call: &str, number: usize) -> String {
    format!("-e trace={call} -e inject={call}:signal=KILL:when={number}")
}

/// What the first supervisor of a service calls until the service executes.
fn calls_of_a_start() -> Vec<(String, usize, String)> {
    let mut rig = Rigged::new(bed());
    rig.rule("web", 0, "-e trace=clone,clone3,fork,vfork,pwrite64,sendto");
    rig.start();
    rig.bed.service("web", ALONE);
    rig.bed.up("web");
    calls(&rig.trace("web"))
}

/// Waits until the service has run, one time only, and is supervised; nothing else is there.
#[track_caller]
fn runs_once(bed: &TestBed) {
    let pid = bed.asleep("web");
    until("it has a supervisor", || bed.syspid("web").is_some_and(is_alive));
    assert_eq!(bed.log(), ["ran"]);
    let supervisor = bed.syspid("web").expect("it has one");
    until("nothing else is left", || {
        let mut left = bed.processes();
        left.retain(|left| ![bed.sysmgr(), supervisor, pid].contains(left));
        left.is_empty() && process::zombies(bed.sysmgr()).is_empty()
    });
}

#[test]
fn killed_between_fork_and_record() {
    if !can_rig() {
        return;
    }
    let calls = calls_of_a_start();
    let release = calls.iter().position(|(call, ..)| call == "sendto").expect("the service was let go");
    let record = calls[..release].iter().rfind(|(call, ..)| call == "pwrite64").expect("it was on record before");
    let forks = calls[..release].iter().rposition(|(call, ..)| !["pwrite64", "sendto"].contains(&call.as_str()));
    assert!(calls[..release].iter().position(|call| call == record) > forks, "{calls:?}");
    let mut rig = Rigged::new(bed());
    rig.rule("web", 0, &killed_at("pwrite64", record.1));
    rig.start();
    rig.bed.service("web", ALONE);
    runs_once(&rig.bed);
    assert!(rig.trace("web").contains("killed by SIGKILL"));
    let status = rig.bed.status("web").expect("it has a status");
    // what was at the gate may have been seen before it was gone, as a run that has ended
    assert!(status.starts == 1 && status.failures <= 1, "{status:?}");
}

#[test]
fn killed_between_record_and_release() {
    if !can_rig() {
        return;
    }
    let mut rig = Rigged::new(bed());
    rig.rule("web", 0, &killed_at("sendto", 1));
    rig.start();
    rig.bed.service("web", ALONE);
    until("the rule is taken", || rig.trace("web").contains("killed by SIGKILL"));
    runs_once(&rig.bed);
}

/// A service with a deaf child, which lets the sweep last.
fn parent(bed: &TestBed, name: &str) -> (i32, i32) {
    bed.service(name, PARENT);
    let pid = bed.up(name);
    let own = |line: &String| line.split_once(' ').filter(|(of, _)| *of == name)?.1.parse().ok();
    (pid, value_of("its child is deaf", || bed.log().iter().find_map(own)))
}

#[test]
fn killed_in_the_middle_of_the_sweep_of_what_was_left_behind() {
    if !available("flock") {
        return;
    }
    let mut bed = bed().with("STOP_TIMEOUT_MS", "60000").started();
    let (pid, deaf) = parent(&bed, "web");
    kill(pid, Signal::SIGKILL);
    bed.comes_to("web", Phase::Clearing);
    for round in 0..4 {
        let old = bed.syspid("web").expect("it has a supervisor");
        if round % 2 == 1 {
            bed.kill_sysmgr();
        }
        kill(old, Signal::SIGKILL);
        if round % 2 == 1 {
            bed.start();
        }
        until("another goes on", || bed.syspid("web").is_some_and(|new| new != old && is_alive(new)));
        bed.comes_to("web", Phase::Clearing);
        assert_eq!((is_alive(deaf), bed.pid("web")), (true, None));
    }
    kill(deaf, Signal::SIGKILL);
    bed.up_again("web", pid);
    assert_eq!(bed.logged("twice"), 0);
}

#[test]
fn killed_at_each_signal_of_the_sweep() {
    if !can_rig() {
        return;
    }
    let timeout = |bed: TestBed| bed.with("STOP_TIMEOUT_MS", "200");
    let mut scout = Rigged::new(timeout(bed()));
    scout.rule("web", 0, "-e trace=kill");
    scout.start();
    let (pid, _) = parent(&scout.bed, "web");
    kill(pid, Signal::SIGKILL);
    scout.bed.up_again("web", pid);
    let sweep = calls(&scout.trace("web"));
    assert!(sweep.iter().any(|(.., line)| line.contains("kill(-") && line.contains("SIGKILL")), "{sweep:?}");
    let mut rig = Rigged::new(timeout(bed()));
    let named = sweep.into_iter().enumerate().map(|(index, (call, number, line))| {
        let name = format!("at{index}");
        rig.rule(&name, 0, &killed_at(&call, number));
        (name, line)
    });
    let named: Vec<_> = named.collect();
    rig.start();
    let bed = &rig.bed;
    let parents: Vec<_> = named.iter().map(|(name, _)| parent(bed, name)).collect();
    for (pid, _) in &parents {
        kill(*pid, Signal::SIGKILL);
    }
    for (index, ((name, line), (pid, deaf))) in named.iter().zip(parents).enumerate() {
        bed.up_again(name, pid);
        assert!(!is_alive(deaf), "{line}");
        // How often it asks whether something is left depends on how soon that ends: it may have been done before.
        let trace = rig.trace(name);
        assert!(trace.contains("killed by SIGKILL") || calls(&trace).len() <= index, "{line}");
    }
    assert_eq!(bed.logged("twice"), 0);
}

#[test]
fn killed_together_with_the_main_process_at_the_same_time_as_sysmgr() {
    if !available("flock") {
        return;
    }
    let mut bed = bed().with("STOP_TIMEOUT_MS", "300").started();
    let (pid, deaf) = parent(&bed, "web");
    let supervisor = bed.syspid("web").expect("it has one");
    kill(bed.sysmgr(), Signal::SIGSTOP);
    kill(supervisor, Signal::SIGSTOP);
    kill(pid, Signal::SIGKILL);
    kill(supervisor, Signal::SIGKILL);
    bed.kill_sysmgr();
    assert!(is_alive(deaf));
    bed.start();
    bed.up_again("web", pid);
    assert!(!is_alive(deaf));
    assert_eq!(bed.logged("twice"), 0);
}

#[test]
fn killed_after_a_stop_order_for_a_deaf_service() {
    if POSIX_ONLY {
        return skip("start times of processes can't be had");
    }
    let mut bed = bed().started();
    bed.service("deaf", DEAF);
    let pid = bed.up("deaf");
    until("it is deaf", || process::status_line(pid, "SigIgn").is_some_and(|set| set.ends_with("4000")));
    bed.order("deaf", "stop");
    bed.comes_to("deaf", Phase::Stopping);
    for with_sysmgr in [false, true] {
        let old = bed.syspid("deaf").expect("it has a supervisor");
        if with_sysmgr {
            bed.kill_sysmgr();
        }
        kill(old, Signal::SIGKILL);
        if with_sysmgr {
            bed.start();
        }
        until("another goes on", || bed.syspid("deaf").is_some_and(|new| new != old && is_alive(new)));
        bed.comes_to("deaf", Phase::Stopping);
        assert_eq!((bed.pid("deaf"), bed.lock("deaf").as_deref()), (Some(pid), Some("stop")));
    }
    bed.order("deaf", "kill");
    bed.down("deaf");
    assert!(!is_alive(pid));
}

/// Services that run, one of them slow to end, and one that was stopped, under a sysmgr that is traced.
fn begin(rig: &mut Rigged, arguments: &str) {
    rig.bed.service("fine", ALONE);
    let slow = "trap 'sleep 0.1; exit' TERM; sleep 1000 & wait; exec sleep";
    rig.bed.service("slow", &ALONE.replace("exec sleep", slow));
    rig.bed.service("stopped", SLEEPER);
    let mut command = rig.traced_sysmgr(arguments);
    rig.bed.start_command(&mut command);
    let slow = rig.bed.up("slow");
    rig.bed.asleep("fine");
    until("it waits for its child", || process::children(slow).len() == 1);
    rig.bed.up("stopped");
    rig.bed.nudge("stopped", Signal::SIGTERM);
    rig.bed.down("stopped");
}

/// Tells sysmgr to end, and waits until it has, or is killed.
fn end(bed: &mut TestBed) {
    kill(bed.sysmgr(), Signal::SIGTERM);
    bed.wait();
}

/// All is as before with the next sysmgr.
#[track_caller]
fn all_as_before(bed: &TestBed, what: &str) {
    until(&format!("no order is left ({what})"), || {
        ["fine", "slow"].iter().all(|name| bed.lock(name).is_none() && bed.phase(name) == Some(Phase::Up))
    });
    until("what was stopped is", || bed.syspid("stopped").is_none());
    assert_eq!((bed.pid("stopped"), bed.lock("stopped").as_deref()), (None, Some("stop")), "{what}");
    // with the child of the slow one
    until("nothing is there twice", || bed.processes().len() == 6);
    assert_eq!(bed.logged("twice"), 0, "{what}");
}

/// What sysmgr calls when it ends.
fn calls_of_an_end() -> Vec<(String, usize, String)> {
    let mut scout = Rigged::new(bed());
    begin(&mut scout, "-e trace=linkat,pidfd_send_signal,kill,unlinkat");
    end(&mut scout.bed);
    let trace = scout.trace("sysmgr");
    let told = trace.find("--- SIGTERM").expect("it was told");
    let before = calls(&trace[..told]).len();
    calls(&trace).into_iter().skip(before).collect()
}

#[test]
fn sysmgr_is_killed_in_the_middle_of_its_end_and_nothing_stays_stopped() {
    if !can_rig() || POSIX_ONLY {
        return;
    }
    let calls = calls_of_an_end();
    assert!(calls.len() > 6, "{calls:?}");
    for (call, number, line) in calls.into_iter().step_by(4) {
        let mut rig = Rigged::new(bed());
        begin(&mut rig, &killed_at(&call, number));
        end(&mut rig.bed);
        rig.bed.start();
        all_as_before(&rig.bed, &line);
    }
}

#[test]
fn a_supervisor_that_learns_of_the_end_only_when_that_is_void_goes_on() {
    if !can_rig() || POSIX_ONLY {
        return;
    }
    let is_waking = |(.., line): &&(String, usize, String)| line.contains("SIGCONT");
    let calls = calls_of_an_end();
    let (call, number, _) = calls.iter().find(is_waking).expect("a suspended supervisor is woken");
    let mut rig = Rigged::new(bed());
    begin(&mut rig, &killed_at(call, *number));
    let supervisors = ["fine", "slow"].map(|name| rig.bed.syspid(name).expect("it has one"));
    for supervisor in supervisors {
        kill(supervisor, Signal::SIGSTOP);
    }
    end(&mut rig.bed);
    rig.bed.start();
    until("the order is void", || rig.bed.lock("fine").is_none() && rig.bed.lock("slow").is_none());
    for supervisor in supervisors {
        process::try_kill(supervisor, Signal::SIGCONT);
    }
    all_as_before(&rig.bed, "suspended");
}

#[test]
fn svctl_is_killed_in_the_middle_of_a_restart_and_it_is_done_or_was_never_begun() {
    if !can_rig() {
        return;
    }
    let mut rig = Rigged::new(bed());
    rig.start();
    let bed = &rig.bed;
    bed.service("web", ALONE);
    let restart = |arguments: &str| {
        let mut strace = bed.command("strace");
        strace.args(["-qq", "-o"]).arg(bed.dir.join("trace/svctl")).args(arguments.split(' '));
        let svctl = rig.program("svctl");
        strace.arg(svctl.get_program()).args(svctl.get_args()).args(["restart", "web"]);
        let _ = process::wait(&mut strace.spawn().expect("it starts"));
        rig.trace("svctl")
    };
    bed.asleep("web");
    let calls = calls(&restart("-e trace=all"));
    let orders = |(.., line): &(String, usize, String)| line.starts_with("renameat") && line.contains("\"lock\"");
    let given = calls.iter().position(orders).or_else(|| calls.iter().position(|(call, ..)| call == "linkat"));
    let given = given.expect("the order is written");
    for (at, (call, number, line)) in calls.into_iter().enumerate().skip(given - 2).take(10) {
        until("no order is left", || bed.lock("web").is_none());
        let old = bed.asleep("web");
        assert!(restart(&killed_at(&call, number)).contains("killed by SIGKILL"), "{line}");
        if at > given {
            bed.up_again("web", old);
        }
        until(&format!("no order is left ({line})"), || bed.lock("web").is_none());
        bed.asleep("web");
    }
    assert_eq!(bed.logged("twice"), 0);
}

#[test]
fn a_supervisor_is_told_while_it_executes_itself_anew() {
    if !can_rig() {
        return;
    }
    let mut rig = Rigged::new(bed());
    let names = ["stopped", "killed", "ended", "ordered"];
    for name in names {
        rig.rule(name, 0, "-e trace=execve -e inject=execve:delay_enter=400000:when=1");
    }
    rig.start();
    let bed = &rig.bed;
    for name in names {
        bed.service(name, SLEEPER);
    }
    let pids = names.map(|name| bed.asleep(name));
    let supervisors = names.map(|name| bed.syspid(name).expect("it has one"));
    for supervisor in supervisors {
        kill(supervisor, Signal::SIGUSR2);
    }
    for supervisor in supervisors {
        // held up, and not only for the moment of a call
        let mut looks = 0;
        until("it is in the middle of that", || {
            let held = process::status_line(supervisor, "State").is_some_and(|state| state.starts_with('t'));
            looks = if held { looks + 1 } else { 0 };
            looks > 10
        });
    }
    kill(supervisors[0], Signal::SIGTERM);
    kill(supervisors[1], Signal::SIGUSR1);
    kill(pids[2], Signal::SIGTERM);
    bed.order("ordered", "restart");
    bed.down("stopped");
    bed.down("killed");
    bed.up_again("ended", pids[2]);
    bed.up_again("ordered", pids[3]);
    assert_eq!([bed.lock("stopped"), bed.lock("killed")].map(Option::unwrap_or_default), ["stop", "kill"]);
    assert_eq!(bed.last_exit("ended"), Some(Ended::Signal { number: 15, core: false }), "its end is known");
    assert_eq!([bed.syspid("ended"), bed.syspid("ordered")], [Some(supervisors[2]), Some(supervisors[3])]);
    for name in names {
        assert!(rig.trace(name).contains("(DELAYED)"), "{name}");
    }
}
