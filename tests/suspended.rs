//! Processes that are suspended at the wrong moment, and go on when all has changed.

mod common;

use std::process::Command;

use common::process::of_child;
use common::services::SLEEPER;
use common::{Signal, TestBed, is_alive, kill, process, until};
use sysmgr::service::status::Phase;

fn svctl(bed: &TestBed, arguments: &str) -> Command {
    let mut command = bed.program("svctl");
    command.args(arguments.split(' '));
    command
}

#[test]
fn a_supervisor_that_learns_of_a_removal_only_when_the_entry_is_back_goes_on() {
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    let pid = bed.up("web");
    let supervisor = bed.syspid("web").expect("it has one");
    kill(supervisor, Signal::SIGSTOP);
    bed.remove("web");
    until("it is to be stopped", || bed.lock("web").as_deref() == Some("gone"));
    bed.service("web", SLEEPER);
    until("that is void", || bed.lock("web").is_none());
    kill(supervisor, Signal::SIGCONT);
    bed.order("web", "restart");
    bed.up_again("web", pid);
    assert_eq!(bed.status("web").map(|status| status.starts), Some(2), "it was not stopped");
}

#[test]
fn a_suspended_supervisor_carries_out_the_order_when_it_goes_on() {
    let bed = TestBed::new().started();
    bed.service("web", SLEEPER);
    let pid = bed.up("web");
    let supervisor = bed.syspid("web").expect("it has one");
    kill(supervisor, Signal::SIGSTOP);
    let said = common::said::Said::by(&mut svctl(&bed, "-w 0.2 stop web")).ended(4);
    assert!(is_alive(pid), "{said:?}");
    assert_eq!(bed.lock("web").as_deref(), Some("stop"));
    kill(supervisor, Signal::SIGCONT);
    bed.down("web");
}

#[test]
fn a_suspended_svctl_ends_when_it_goes_on() {
    let bed = TestBed::new().with("SHUTDOWN_TIMEOUT_MS", "400").started();
    bed.service("deaf", "trap '' TERM; exec sleep 1000");
    let pid = bed.up("deaf");
    until("it is deaf", || process::status_line(pid, "SigIgn").is_some_and(|set| set.ends_with("4000")));
    let mut restart = svctl(&bed, "restart deaf").spawn().expect("it starts");
    bed.comes_to("deaf", Phase::Stopping);
    kill(of_child(&restart), Signal::SIGSTOP);
    kill(pid, Signal::SIGKILL);
    bed.up_again("deaf", pid);
    kill(of_child(&restart), Signal::SIGCONT);
    assert_eq!(process::wait(&mut restart).code(), Some(0));
}

#[test]
fn a_suspended_service_that_another_waits_for_is_up_and_a_suspended_wait_goes_on() {
    let mut bed = TestBed::new().with("SHUTDOWN_TIMEOUT_MS", "400");
    let depends = bed.executable("sysmgr-depends");
    bed.start_by(|command| {
        command.env("DEPENDS", depends);
    });
    bed.service("db", "trap '' TERM; sleep 1000 & wait; exec sleep 1000");
    kill(bed.up("db"), Signal::SIGSTOP);
    bed.service("web", "$DEPENDS -p $BED/there db && echo up >> $BED/log; exec sleep 1000");
    let web = bed.up("web");
    until("it waits", || bed.path("web", "waiting").exists());
    let waiter = process::children(web)[0];
    kill(waiter, Signal::SIGSTOP);
    bed.file(&bed.dir.join("there"), b"", 0o644);
    kill(waiter, Signal::SIGCONT);
    until("it goes on", || bed.logged("up") == 1);
}
