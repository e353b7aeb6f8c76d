//! What sysmgr and runsyssv say is what sysmgr(8) lists, line by line, and how much of it is told with -v and -q.

mod common;

use std::fs;

use common::services::SLEEPER;
use common::{Signal, TestBed, kill, until};
use sysmgr::service::status::Phase;

/// The messages of the manual; what stands for something is empty.
fn listed() -> Vec<Vec<String>> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/man-src/sysmgr.md")).expect("there is a page");
    let section = page.split("## Messages").nth(1).and_then(|rest| rest.split("\n## ").next()).expect("a section");
    let lines: Vec<&str> = section.lines().collect();
    let terms = lines.windows(2).filter(|pair| pair[1].starts_with(": ")).map(|pair| pair[0]);
    // those of -v stand in the text above
    let verbose = ["*NAME*: started, process *pid*", "*NAME*: *end* after *time* s, as it was told", "*NAME*: down"];
    let pieces = |term: &str| -> Vec<String> { term.split('*').step_by(2).map(str::to_owned).collect() };
    let all: Vec<&str> = terms.chain(verbose).collect();
    // what could not be executed has not lasted any time
    let without = all.iter().map(|term| term.replace("*end* after *time* s", "*end*"));
    all.iter().map(|term| (*term).to_owned()).chain(without).map(|term| pieces(&term)).collect()
}

/// Whether a line is such a message.
fn is(line: &str, message: &[String]) -> bool {
    let Some(mut rest) = line.strip_prefix("sysmgr: ").and_then(|line| line.strip_prefix(&*message[0])) else {
        return false;
    };
    for piece in &message[1..] {
        // something stands for the placeholder
        let found = rest.char_indices().map(|(at, _)| at).chain([rest.len()]).skip(1);
        let ends = |at: &usize| !piece.is_empty() || *at == rest.len();
        let Some(at) = found.into_iter().find(|at| rest[*at..].starts_with(&**piece) && ends(at)) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.is_empty()
}

fn told(bed: &TestBed) -> Vec<String> {
    bed.messages().into_iter().filter(|line| line.starts_with("sysmgr: ")).collect()
}

#[test]
fn every_line_is_in_the_manual() {
    let mut bed = TestBed::new().with_delays(200, 400);
    fs::write(bed.sysdir.join("-dash"), "").expect("it can be written");
    bed.start_by(|command| {
        command.arg("-v");
    });
    bed.service("web", SLEEPER);
    bed.service("fails", "exit 1");
    bed.service("leaves", "sleep 1000 & exit 2");
    bed.entry("interpreter", b"#!/nonexistent/python\n", 0o755);
    bed.entry("text", b"none\n", 0o644);
    for name in ["fails", "interpreter", "leaves"] {
        until("it has failed twice", || bed.status(name).is_some_and(|status| status.failures >= 2));
    }
    bed.comes_to("text", Phase::Refused);
    bed.service("job", SLEEPER);
    bed.up("job");
    bed.nudge("job", Signal::SIGTERM);
    bed.down("job");
    let pid = bed.up("web");
    bed.nudge("web", Signal::SIGKILL);
    until("it is taken over", || {
        bed.said(&["web: its runsyssv has ended: killed by SIGKILL; the next one takes over"])
    });
    if !common::POSIX_ONLY {
        until("it goes on", || bed.said(&[&format!("web: its supervisor was gone; process {pid} goes on")]));
    }
    bed.up("web");
    fs::remove_dir_all(bed.rundir.join("text")).expect("it can be removed");
    bed.remove("web");
    until("web is gone", || !bed.rundir.join("web").exists());
    kill(bed.sysmgr(), Signal::SIGTERM);
    assert!(bed.wait().success());

    let listed = listed();
    let lines = told(&bed);
    for line in &lines {
        assert!(listed.iter().any(|message| is(line, message)), "sysmgr(8) does not list {line:?}");
    }
    for part in [
        "'-dash' in the service directory is left alone: ",
        "fails: exited with 1 after 0.",
        "; started again",
        " times in a row; tried again in 0.",
        "leaves: exited with 2 after 0.",
        "; what it left behind is ended",
        "interpreter: cannot be executed: /nonexistent/python: No such file or directory; started again",
        "text: not started: it is not executable",
        "web: started, process ",
        "web: removed from the service directory; it is stopped",
        "job: killed by SIGTERM after ",
        " s, as it was told",
        "job: down",
        "sysmgr: told to end; all services are stopped",
    ] {
        assert!(lines.iter().any(|line| line.contains(part)), "nothing has said {part:?}: {lines:#?}");
    }
}

#[test]
fn quiet_tells_what_has_gone_wrong_and_nothing_else() {
    let mut bed = TestBed::new().with_delays(200, 400);
    bed.start_by(|command| {
        command.arg("-q");
    });
    bed.service("web", SLEEPER);
    bed.service("fails", "exit 1");
    bed.entry("text", b"none\n", 0o644);
    let old = bed.up("web");
    bed.signal("web", Signal::SIGKILL);
    bed.up_again("web", old);
    until("it is told", || bed.said(&["fails: exited with 1 after ", " 2 times in a row; tried again in "]));
    until("it is told", || bed.said(&["text: not started: it is not executable"]));
    bed.remove("web");
    until("web is gone", || !bed.rundir.join("web").exists());
    assert!(bed.stop().success());
    let lines = told(&bed);
    let wrong = |line: &String| line.contains(" times in a row; tried again in ") || line.contains(": not started: ");
    assert!(lines.iter().all(wrong), "{lines:#?}");
}

#[test]
fn a_line_is_told_from_another() {
    let message = |text: &str| text.split('*').step_by(2).map(str::to_owned).collect::<Vec<String>>();
    let held = message("*NAME*: *end* after *time* s; started again");
    assert!(is("sysmgr: web: exited with 1 after 0.0 s; started again", &held));
    assert!(!is("sysmgr: web: exited with 1 after 0.0 s; started again and again", &held));
    assert!(!is("sysmgr: web: exited with 1 after 0.0 s; not started", &held));
    assert!(!is("sysmgr: : exited with 1 after  s; started again", &held));
    assert!(is("sysmgr: web: not started: it is a directory", &message("*NAME*: not started: *reason*")));
    assert!(!is("sysmgr: web: not started: ", &message("*NAME*: not started: *reason*")));
}
