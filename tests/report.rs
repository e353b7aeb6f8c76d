//! What `svctl status` says of a service, from what is known of it.

use std::ffi::OsStr;
use std::time::Duration;

use sysmgr::control::condition::Condition;
use sysmgr::control::report::{Main, Place, View};
use sysmgr::depends::lines::Awaited;
use sysmgr::service::ended::Ended;
use sysmgr::service::moment::Moment;
use sysmgr::service::name::Name;
use sysmgr::service::order::Order;
use sysmgr::service::pid::Pid;
use sysmgr::service::record::Process;
use sysmgr::service::status::{Phase, Status};

const NOW: u64 = 20_000_000;

fn name(text: &str) -> Name {
    Name::new(OsStr::new(text)).expect("a name from a test")
}

/// A service that has been in its state for `seconds`.
fn view(phase: Phase, seconds: u64) -> View {
    let mut status = Status::new(phase, 0, Moment(NOW - seconds * 1000), String::new());
    status.starts = 1;
    let process = Process { pid: Pid::new(1234).expect("valid"), start: 7 };
    let runs = matches!(phase, Phase::Starting | Phase::Up | Phase::Stopping);
    View {
        name: name("web"),
        place: Place::Present,
        status: Some(status),
        main: runs.then_some(Main { process, age: Duration::from_secs(seconds), suspended: false }),
        order: None,
        waits: Vec::new(),
        lacks: Vec::new(),
        circle: Vec::new(),
        errors: None,
        stale: false,
        supervised: true,
        interpreter: None,
        managed: true,
        now: Moment(NOW),
    }
}

fn with(mut view: View, change: impl FnOnce(&mut Status)) -> View {
    if let Some(status) = &mut view.status {
        change(status);
    }
    view
}

fn ordered(order: Order) -> View {
    View { order: Some(order), ..view(Phase::Down, 180) }
}

#[test]
fn up_with_its_process_its_age_and_its_past() {
    assert_eq!(view(Phase::Up, 11_520).line(), "web: UP pid 1234, 3 h 12 min");
    let restarted = with(view(Phase::Up, 11_520), |status| {
        status.starts = 4;
        status.last_exit = Some(Ended::Code(1));
    });
    assert_eq!(restarted.line(), "web: UP pid 1234, 3 h 12 min, restarted 3 times, last exited with 1");
    let asked = with(restarted, |status| status.by_order = true);
    assert_eq!(asked.line(), "web: UP pid 1234, 3 h 12 min, restarted 3 times, last by order");
}

#[test]
fn up_with_what_is_remarkable() {
    let stale = View { stale: true, ..view(Phase::Up, 5) };
    assert_eq!(stale.line(), "web: UP pid 1234, 5 s, its file is newer than the process");
    let missing = View { place: Place::Missing, ..view(Phase::Up, 5) };
    assert_eq!(missing.line(), "web: UP pid 1234, 5 s, not in the service directory any more");
    let once = View { order: Some(Order::Ran), ..view(Phase::Up, 5) };
    assert_eq!(once.line(), "web: UP pid 1234, 5 s, runs once");
    let alone = View { supervised: false, managed: false, ..view(Phase::Up, 5) };
    assert_eq!(alone.line(), "web: UP pid 1234, 5 s, without a supervisor, and sysmgr is not running");
    let stopping = View { order: Some(Order::Stop), ..view(Phase::Stopping, 3) };
    assert_eq!(stopping.line(), "web: UP pid 1234, 3 s, told to stop 3 s ago");
}

#[test]
fn a_failing_one_with_its_next_try() {
    let failing = with(view(Phase::Backoff, 4), |status| {
        status.failures = 7;
        status.last_exit = Some(Ended::Code(1));
        status.last_run_ms = Some(200);
        status.next_try_ms = Some(Moment(NOW + 12_000));
    });
    assert_eq!(failing.line(), "web: DOWN tried again in 12 s: exited with 1 after 0.2 s, 7 times in a row");
    let soon = with(failing.clone(), |status| status.next_try_ms = Some(Moment(NOW + 49)));
    assert!(soon.line().starts_with("web: DOWN tried again now: exited with 1"), "{}", soon.line());
    let held = with(failing.clone(), |status| status.reason = Some("it has put itself in the background".to_owned()));
    assert!(held.line().ends_with(", 7 times in a row: it has put itself in the background"), "{}", held.line());
    let lacks = View { lacks: vec![(name("db"), "failing"), (name("dwn"), "no such service")], ..failing.clone() };
    assert!(lacks.line().ends_with(", needs db (failing) and dwn (no such service)"), "{}", lacks.line());
    let circle = View { circle: vec![name("web"), name("db")], ..lacks };
    assert!(circle.line().ends_with(", they would wait for each other: web -> db -> web"), "{}", circle.line());
    let alone = View { supervised: false, managed: false, ..failing };
    assert!(alone.line().contains("not tried again, since sysmgr is not running"), "{}", alone.line());
    let crashed = with(view(Phase::Backoff, 4), |status| {
        status.failures = 1;
        status.last_exit = Some(Ended::Signal { number: 11, core: true });
        status.last_run_ms = Some(65_000);
    });
    assert_eq!(crashed.line(), "web: DOWN tried again now: killed by SIGSEGV (core dumped) after 1 min 5 s");
}

#[test]
fn one_that_cannot_be_executed_names_the_interpreter_that_is_missing() {
    let failing = with(view(Phase::Backoff, 4), |status| status.last_exit = Some(Ended::Exec(2)));
    let failing = View { interpreter: Some("/nonexistent/python".to_owned()), ..failing };
    let said = "cannot be executed: /nonexistent/python: No such file or directory";
    assert_eq!(failing.line(), format!("web: DOWN tried again now: {said}"));
}

#[test]
fn one_that_waits_is_down_and_says_for_what() {
    let waits = vec![Awaited::Up(name("cache")), Awaited::Ready(name("db")), Awaited::Path(b"/run/x".to_vec())];
    let waiting = View { waits, ..view(Phase::Up, 12) };
    assert_eq!(waiting.condition(), Condition::Waiting);
    assert_eq!(waiting.line(), "web: DOWN waits for cache, db to be ready and /run/x, pid 1234, 12 s");
}

#[test]
fn a_stopped_one_says_by_which_order() {
    let said = |order| ordered(order).line();
    assert_eq!(said(Order::Stop), "web: DOWN stopped 3 min ago");
    assert_eq!(said(Order::Kill), "web: DOWN killed 3 min ago");
    let unknown = |order| View { status: None, ..ordered(order) }.line();
    assert_eq!(unknown(Order::Stop), "web: DOWN stopped");
    assert_eq!(unknown(Order::Ran), "web: DOWN ran once");
    assert_eq!(unknown(Order::Hold), "web: DOWN held down by its lock");
    assert_eq!(unknown(Order::Gone), "web: DOWN stopped, after its removal");
    assert_eq!(said(Order::Shutdown), "web: DOWN stopped together with sysmgr 3 min ago");
    let ran = with(ordered(Order::Ran), |status| {
        status.last_exit = Some(Ended::Code(0));
        status.last_run_ms = Some(3000);
    });
    assert_eq!(ran.line(), "web: DOWN ran once, until 3 min ago: exited with 0 after 3.0 s");
}

#[test]
fn one_of_which_nothing_is_known() {
    let none = View { status: None, ..view(Phase::Down, 0) };
    assert_eq!(none.line(), "web: DOWN not started yet");
    let refused = View { place: Place::Refused("it is a directory".to_owned()), ..none.clone() };
    assert_eq!(refused.line(), "web: DOWN refused: it is a directory");
    let unmanaged = View { managed: false, ..none };
    assert_eq!(unmanaged.line(), "web: DOWN never started, and sysmgr is not running");
}

#[test]
fn a_status_that_outlived_its_process_is_not_believed() {
    let lost = View { main: None, ..view(Phase::Up, 5) };
    assert_eq!(lost.line(), "web: DOWN its process is gone");
}

#[test]
fn the_name_and_the_reason_never_break_the_line() {
    let odd = View { name: name("a\u{1b}[2J"), ..view(Phase::Up, 5) };
    assert!(odd.line().starts_with("a\\x1b[2J: UP"));
    for phase in
        [Phase::Starting, Phase::Up, Phase::Stopping, Phase::Clearing, Phase::Backoff, Phase::Refused, Phase::Down]
    {
        assert_eq!(view(phase, 1).line().lines().count(), 1);
    }
}
