//! svctl explains: why, deps, JSON, terminals, changes as they happen.

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};

use common::said::Said;
use common::services::SLEEPER;
use common::{Signal, TestBed, kill, lacking, millis, until};
use serde_json::Value;
use sysmgr::service::status::Phase;

#[track_caller]
fn svctl(bed: &TestBed, arguments: &str) -> Said {
    Said::by(bed.program("svctl").args(arguments.split_whitespace()))
}

/// A bed in whose services `$DEPENDS` is sysmgr-depends.
fn bed() -> TestBed {
    started(TestBed::new())
}

fn started(mut bed: TestBed) -> TestBed {
    let depends = bed.executable("sysmgr-depends");
    bed.start_by(|command| {
        command.env("DEPENDS", depends);
    });
    bed
}

#[test]
fn why_follows_the_waits_to_the_failure_at_their_root() {
    let bed = bed();
    bed.service("app", "$DEPENDS web || exit 1; exec sleep 1000");
    bed.service("web", "$DEPENDS db || exit 1; exec sleep 1000");
    bed.service("db", "exit 1");
    until("app waits", || bed.path("app", "waiting").exists() && bed.path("web", "waiting").exists());
    bed.comes_to("db", Phase::Backoff);
    let said = svctl(&bed, "why app").ended(1).quietly();
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].starts_with("app is down: it waits for web (process "), "{said:?}");
    assert!(lines[1].starts_with("  web is down: it waits for db (process "), "{said:?}");
    assert!(lines[2].starts_with("    db is down: exited with 1 after 0.0 s"), "{said:?}");
    assert!(lines[2].contains("next try in ") || lines[2].contains("tried again now"), "{said:?}");
    // two of them, one after the other
    let said = svctl(&bed, "why db web").ended(1);
    assert_eq!(said.out.lines().filter(|line| line.starts_with("db is down")).count(), 1, "{said:?}");
    svctl(&bed, "why nosuch").ended(3);
}

#[test]
fn why_tells_who_stopped_it_and_what_to_do() {
    let mut bed = bed();
    for name in ["a", "b", "c", "d"] {
        bed.service(name, SLEEPER);
        bed.up(name);
    }
    svctl(&bed, "stop a").ended(0);
    svctl(&bed, "kill b").ended(0);
    bed.order("c", "");
    bed.signal("c", Signal::SIGKILL);
    bed.down("c");
    let said = svctl(&bed, "why a b c d").ended(1).quietly();
    for (line, expected) in said.out.lines().zip([
        "a is down: it was stopped ",
        "  'svctl start a' starts it",
        "b is down: it was killed ",
        "  'svctl start b' starts it",
        "c is down: its file 'lock' keeps it down",
        "  'svctl start c' starts it",
        "d is up: process ",
    ]) {
        assert!(line.starts_with(expected), "{expected:?}: {said:?}");
    }
    bed.entry("text", b"none\n", 0o644);
    bed.comes_to("text", Phase::Refused);
    let said = svctl(&bed, "why text").ended(1);
    assert!(said.out.starts_with("text is down: it can't be a service: it is not executable (chmod +x"), "{said:?}");
    bed.kill_sysmgr();
    let said = svctl(&bed, "why d").ended(0).complained(&["sysmgr is not running"]);
    assert!(said.out.starts_with("d is up"), "{said:?}");
    bed.service("new", SLEEPER);
    let said = svctl(&bed, "why new").ended(1);
    assert!(said.out.starts_with("new is down: it was never started, and sysmgr is not running"), "{said:?}");
    svctl(&bed, "stop a b c d").ended(0);
}

#[test]
fn why_knows_what_failures_often_mean() {
    let bed = bed();
    bed.service("nocommand", "/nonexistent/command");
    bed.entry("interpreter", b"#!/nonexistent/python -x\n", 0o755);
    bed.service("crash", "kill -SEGV $$");
    // it ends when its child has left the group: one that has not yet is ended as left behind
    bed.service(
        "background",
        "setsid sh -c 'echo there >> $BED/log; exec sleep 1000' & until grep -qs there $BED/log; do sleep 0.02; done; exit 0",
    );
    for name in ["nocommand", "interpreter", "crash", "background"] {
        bed.comes_to(name, Phase::Backoff);
    }
    let said = svctl(&bed, "why nocommand").ended(1);
    assert!(said.out.contains("exited with 127"), "{said:?}");
    assert!(said.out.contains("127 is what a shell exits with when it does not find a command"), "{said:?}");
    let said = svctl(&bed, "why interpreter").ended(1);
    assert!(said.out.contains("cannot be executed: /nonexistent/python: No such file or directory"), "{said:?}");
    let said = svctl(&bed, "status crash").ended(1);
    assert!(said.out.contains("killed by SIGSEGV"), "{said:?}");
    // where orphans go to process 1, nobody sees them
    if !common::POSIX_ONLY {
        until("it is seen that it went to the background", || {
            svctl(&bed, "why background").out.contains("it has put itself in the background")
        });
        let said = svctl(&bed, "status background").ended(1);
        assert!(said.out.contains(": exited with 0 after ") && said.out.contains(": it has put itself in"), "{said:?}");
        assert!(said.out.contains("--foreground"), "{said:?}");
    }
    // what it has left in a session of its own is nobody's, and would be left over
    for pid in bed.processes() {
        if common::process::command_line(pid).contains("sleep 1000") {
            kill(pid, Signal::SIGKILL);
        }
    }
}

#[test]
fn why_tells_of_files_that_the_kernel_refuses() {
    let bed = bed();
    bed.entry("dos", b"#!/bin/sh\r\nexec sleep 1000\r\n", 0o755);
    bed.entry("passwd", b"#!/etc/passwd\n", 0o755);
    for (name, error, advice) in [
        ("dos", "/bin/sh\\x0d: No such file or directory", "end with a carriage return"),
        ("passwd", "Permission denied", "is not executable, or is on a file system that is mounted with noexec"),
    ] {
        bed.comes_to(name, Phase::Backoff);
        let said = svctl(&bed, &format!("why {name}")).ended(1);
        assert!(said.out.contains(&format!("cannot be executed: {error}")), "{said:?}");
        assert!(said.out.contains(advice), "{said:?}");
        until("the message tells it too", || bed.said(&[name, &format!("cannot be executed: {error}; started again")]));
    }
}

#[test]
fn an_order_is_told_from_a_failure_as_the_reason_of_a_restart() {
    let bed = bed();
    for name in ["asked", "crashed"] {
        bed.service(name, SLEEPER);
        bed.up(name);
    }
    svctl(&bed, "restart asked").ended(0);
    let old = bed.up("crashed");
    kill(old, Signal::SIGKILL);
    bed.up_again("crashed", old);
    let said = svctl(&bed, "why asked crashed");
    assert!(said.out.contains("restarted once; the last run: ended by order after "), "{said:?}");
    assert!(said.out.contains("restarted once; the last run: killed by SIGKILL after "), "{said:?}");
    let said = svctl(&bed, "status asked");
    assert!(said.out.ends_with("restarted once, last by order\n"), "{said:?}");
}

#[test]
fn advice_can_be_typed_whatever_the_name() {
    let bed = bed();
    bed.service("with space", SLEEPER);
    bed.up("with space");
    let said = Said::by(bed.program("svctl").args(["stop", "with space"]));
    said.ended(0);
    let said = Said::by(bed.program("svctl").args(["why", "with space"])).ended(1);
    assert!(said.out.contains("'svctl start \"with space\"' starts it"), "{said:?}");
}

#[test]
fn a_circle_is_named_by_all_who_explain() {
    let bed = bed();
    bed.service("b", "exit 1");
    bed.service("a", "exec $DEPENDS b");
    until("a waits", || bed.path("a", "waiting").exists());
    bed.service("b", "exec $DEPENDS a");
    until("b has waited", || bed.path("b", "depends").exists());
    bed.comes_to("b", Phase::Backoff);
    let said = svctl(&bed, "why a").ended(1);
    // it waits, or has just been told that it would in vain
    assert!(said.out.contains(" wait for each other: a -> b -> a"), "{said:?}");
    let said = svctl(&bed, "deps b").ended(0);
    assert!(said.out.contains("a circle: b -> a -> b"), "{said:?}");
    let said = svctl(&bed, "status b").ended(1);
    assert!(said.out.contains("they would wait for each other: b -> a -> b"), "{said:?}");
    bed.service("self", "exec $DEPENDS self");
    bed.comes_to("self", Phase::Backoff);
    until("it is told", || bed.said(&["self: it would wait for itself: self -> self"]));
    let said = svctl(&bed, "why self").ended(1);
    assert!(said.out.contains("it would wait for itself: self -> self"), "{said:?}");
    assert!(!said.out.contains("see above"), "{said:?}");
}

#[test]
fn what_is_missing_or_stopped_is_said_of_those_that_need_it() {
    let mut bed = started(TestBed::new().with("RESTART_DELAY_MS", "20000"));
    bed.service("down", SLEEPER);
    bed.up("down");
    svctl(&bed, "stop down").ended(0);
    bed.service("waits", "$DEPENDS down || exit; exec sleep 1000");
    bed.service("gives-up", "$DEPENDS -t 0.1 down; exit 7");
    bed.service("misspelt", "$DEPENDS dwn || exit; exec sleep 1000");
    until("it waits", || bed.path("waits", "waiting").exists());
    for name in ["gives-up", "misspelt"] {
        until("it is held back", || bed.status(name).is_some_and(|s| s.phase == Phase::Backoff && s.failures == 2));
    }
    let said = svctl(&bed, "status waits gives-up misspelt").ended(1).quietly();
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].starts_with("waits: DOWN waits for down (down), pid "), "{said:?}");
    assert!(lines[1].contains("exited with 7") && lines[1].ends_with(", needs down (down)"), "{said:?}");
    assert!(lines[2].contains("exited with 3") && lines[2].ends_with(", needs dwn (no such service)"), "{said:?}");
    let said = svctl(&bed, "why misspelt").ended(1);
    assert!(said.out.ends_with("\n  dwn, for which it has waited, is down: there is no such service\n"), "{said:?}");
    let messages = bed.dir.join("messages");
    let expected = format!("  what it says itself goes to {}, with the messages of sysmgr\n", messages.display());
    assert!(said.out.contains(&expected) || common::POSIX_ONLY, "{said:?}");
    // when it is there at last, nobody waits for the end of a back-off
    bed.service("dwn", SLEEPER);
    bed.up("misspelt");
    // what the mended script does not need any more is not said: it is newer by whole seconds
    let waited = fs::metadata(bed.path("gives-up", "depends")).and_then(|file| file.modified()).expect("it has waited");
    until("it is later", || waited.elapsed().is_ok_and(|time| time > millis(1000)));
    bed.service("gives-up", "exit 8");
    until("it fails anew", || bed.last_exit("gives-up") == Some(sysmgr::service::ended::Ended::Code(8)));
    until("it is forgotten", || !svctl(&bed, "status gives-up").out.contains("needs"));
    assert!(bed.stop().success());
}

#[test]
fn what_is_suspended_is_said_and_how_it_goes_on() {
    if common::POSIX_ONLY {
        return common::skip("the state of a process is not told there");
    }
    let bed = bed();
    bed.service("web", SLEEPER);
    let pid = bed.asleep("web");
    kill(pid, Signal::SIGSTOP);
    until("it is said", || svctl(&bed, "status web").out.ends_with(", suspended\n"));
    let said = svctl(&bed, "why web").ended(0);
    assert!(said.out.contains("it is suspended: 'svctl signal CONT web' has it go on"), "{said:?}");
    svctl(&bed, "signal CONT web").ended(0);
    until("it is not said", || !svctl(&bed, "status web").out.contains("suspended"));

    let supervisor = bed.syspid("web").expect("it has one");
    kill(supervisor, Signal::SIGSTOP);
    let advice = format!("its supervisor is suspended; 'kill -CONT {supervisor}' has it go on");
    svctl(&bed, "-w 0.1 stop web").ended(4).complained(&["web: not down after 0.1 s", &advice]);
    kill(supervisor, Signal::SIGCONT);
    bed.down("web");

    let sysmgr = bed.sysmgr();
    kill(sysmgr, Signal::SIGSTOP);
    let advice = format!("sysmgr is suspended; 'kill -CONT {sysmgr}' has it go on");
    svctl(&bed, "-w 0.1 start web").ended(4).complained(&["web: not up after 0.1 s", &advice]);
    until("it is said", || svctl(&bed, "").err.contains(&advice));
    kill(sysmgr, Signal::SIGCONT);
    bed.up("web");
}

#[test]
fn one_that_is_stopping_tells_what_comes_after() {
    let bed = bed();
    bed.service("deaf", "trap '' TERM; echo deaf >> $BED/log; while :; do sleep 1000; done");
    bed.logs(1);
    svctl(&bed, "-w 0 stop deaf").ended(0);
    bed.comes_to("deaf", Phase::Stopping);
    let said = svctl(&bed, "why deaf").ended(0);
    assert!(said.out.contains("'svctl stop -f deaf' kills it"), "{said:?}");
    svctl(&bed, "-w 0 start deaf").ended(0);
    let said = svctl(&bed, "status deaf").ended(0);
    assert!(said.out.contains("told to stop") && said.out.ends_with(", started again when it has ended\n"), "{said:?}");
    let said = svctl(&bed, "why deaf").ended(0);
    assert!(said.out.contains("'svctl signal KILL deaf' ends it at once"), "{said:?}");
    bed.remove("deaf");
    until("it is told to go", || bed.lock("deaf").as_deref() == Some("gone"));
    let said = svctl(&bed, "status deaf").ended(0);
    assert!(said.out.ends_with(", not in the service directory any more\n"), "{said:?}");
    svctl(&bed, "kill deaf").ended(0);
}

#[test]
fn deps_draws_what_has_waited_for_what() {
    let bed = bed();
    svctl(&bed, "deps").ended(0).complained(&["no service has waited"]);
    bed.service("cache", SLEEPER);
    bed.service("db", SLEEPER);
    bed.service("web", "$DEPENDS cache db || exit 1; exec sleep 1000");
    bed.service("app", "$DEPENDS web || exit 1; exec sleep 1000");
    until("app has waited", || bed.path("app", "depends").exists());
    until("all are up", || svctl(&bed, "-q").code == 0);
    let said = svctl(&bed, "deps").ended(0).quietly();
    assert_eq!(said.out, "app\n`- web\n   |- cache\n   `- db\n");
    svctl(&bed, "stop db").ended(0);
    let said = svctl(&bed, "deps web db").ended(0).quietly();
    assert_eq!(said.out, "web (needed by app)\n|- cache\n`- db (down)\ndb (down, needed by web)\n");
}

#[test]
fn json_has_its_keys_and_its_values() {
    let bed = bed();
    bed.service("web", SLEEPER);
    bed.service("broken", "exit 3");
    let odd = std::ffi::OsStr::new("with \"quotes\" and \u{e4}");
    bed.service(odd, SLEEPER);
    let pid = bed.up("web");
    bed.up(odd);
    until("broken has failed twice", || bed.status("broken").is_some_and(|status| status.failures >= 2));
    bed.comes_to("broken", Phase::Backoff);
    let said = svctl(&bed, "--json").ended(1).quietly();
    let all: Value = serde_json::from_str(&said.out).expect("it is JSON");
    let all = all.as_array().expect("it is an array");
    assert_eq!(all.len(), 3);
    assert_eq!(all[2]["name"], "with \"quotes\" and \u{e4}");
    assert_eq!(all[1]["name"], "web");
    assert_eq!((&all[1]["up"], &all[1]["state"], &all[1]["pid"]), (&true.into(), &"up".into(), &pid.into()));
    let broken = &all[0];
    assert_eq!((&broken["up"], &broken["state"], &broken["pid"]), (&false.into(), &"backoff".into(), &Value::Null));
    assert_eq!((&broken["last_exit"]["kind"], &broken["last_exit"]["number"]), (&"exit".into(), &3.into()));
    assert!(broken["failures"].as_u64() >= Some(2));
    assert!(broken["text"].as_str().is_some_and(|text| text.contains("exited with 3")));
    let mut keys: Vec<&String> = broken.as_object().expect("an object").keys().collect();
    keys.sort();
    let expected = "depends failures lacks last_exit last_run_seconds managed name next_try_seconds order pid present \
                    reason restarts seconds since stale starts state suspended text up waits_for";
    assert_eq!(keys, expected.split_whitespace().collect::<Vec<_>>());
    let of_end = broken["last_exit"].as_object().expect("an object").keys();
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/man-src/svctl.md")).expect("there is a page");
    for key in keys.into_iter().chain(of_end) {
        assert!(page.contains(&format!("`{key}`")), "{key} is not in the manual");
    }
    // what there is no service for is said, and the rest is JSON all the same
    let said = svctl(&bed, "--json status web nosuch").ended(3);
    assert!(serde_json::from_str::<Value>(&said.out).is_ok());
    for quiet in ["-q", "-q status broken", "-q why broken", "-q pid broken"] {
        let said = svctl(&bed, quiet).ended(1).quietly();
        assert_eq!(said.out, "", "{quiet}");
    }
    assert_eq!(svctl(&bed, "-q pid web").ended(0).quietly().out, "");
}

/// A command on a pseudo-terminal of 60 columns, by script(1).
fn on_terminal(bed: &TestBed, svctl: &str) -> Option<Command> {
    if Command::new("script").arg("--version").output().is_err() {
        lacking("script");
        return None;
    }
    let mut command = bed.command("script");
    let program = bed.executable("svctl");
    let line = format!(
        "stty cols 60 rows 20; exec {} --sysdir {} --rundir {} {svctl}",
        program.display(),
        bed.sysdir.display(),
        bed.rundir.display()
    );
    command.args(["-qefc", &line, "/dev/null"]).env("TERM", "xterm").env_remove("NO_COLOR");
    Some(command)
}

#[test]
fn on_a_terminal_there_are_columns_and_colours() {
    let bed = bed();
    bed.service("web", SLEEPER);
    bed.service("longer-name", "exit 1");
    let pid = bed.up("web").to_string();
    until("it has failed often", || bed.status("longer-name").is_some_and(|status| status.failures >= 2));
    bed.comes_to("longer-name", Phase::Backoff);
    let Some(mut command) = on_terminal(&bed, "") else { return };
    let said = Said::by(&mut command).ended(1);
    assert!(said.out.contains("\x1b[32mUP\x1b[0m"), "{said:?}");
    assert!(said.out.contains("\x1b[31mDOWN\x1b[0m"), "{said:?}");
    let Some(mut command) = on_terminal(&bed, "") else { return };
    let said = Said::by(command.env("NO_COLOR", "1")).ended(1);
    assert!(!said.out.contains('\x1b'), "{said:?}");
    let lines: Vec<&str> = said.out.lines().collect();
    assert!(lines[0].starts_with("SERVICE      STATE  PID"), "{said:?}");
    assert!(lines[1].starts_with("longer-name  DOWN "), "{said:?}");
    assert!(lines.iter().all(|line| line.chars().count() <= 60), "{said:?}");
    let web = lines.iter().find(|line| line.starts_with("web")).expect("it is there");
    assert_eq!(web.split_whitespace().take(3).collect::<Vec<_>>(), ["web", "UP", &pid]);
    // no terminal, no colours
    let said = svctl(&bed, "status web").ended(0);
    assert!(said.out.starts_with("web: UP pid "), "{said:?}");
}

/// Whether this process ignores a signal, and so all that it starts.
fn ignores(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let set = status.lines().find_map(|line| line.strip_prefix("SigIgn:\t"));
    set.and_then(|set| u64::from_str_radix(set, 16).ok()).is_some_and(|set| set & (1 << (signal as i32 - 1)) != 0)
}

#[test]
fn watch_shows_what_changes_when_it_does() {
    let bed = bed();
    bed.service("web", SLEEPER);
    bed.up("web");
    let mut command = bed.program("svctl");
    let mut child = command.arg("--watch").stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it has one")).lines();
    let mut next = || lines.next().expect("there is more").expect("it is text");
    assert!(next().starts_with("web: UP"));
    bed.service("db", SLEEPER);
    // a new service may be seen before it is started
    let mut line = next();
    while !line.starts_with("db: UP") {
        assert!(line.starts_with("db: DOWN"), "{line}");
        line = next();
    }
    svctl(&bed, "stop web").ended(0);
    let mut line = next();
    while !line.starts_with("web: DOWN stopped") {
        line = next();
    }
    kill(common::process::of_child(&child), Signal::SIGTERM);
    let _ = child.wait();

    let Some(mut command) = on_terminal(&bed, "--watch") else { return };
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut input = child.stdin.take().expect("it has one");
    let mut output = child.stdout.take().expect("it has one");
    let mut screen = String::new();
    let mut read_until = |what: &str| {
        let mut buffer = [0; 4096];
        while !screen.contains(what) {
            let n = output.read(&mut buffer).expect("it can be read");
            assert!(n > 0, "it has ended: {screen:?}");
            screen.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
        screen.clear();
    };
    read_until("\x1b[2J\x1b[H");
    read_until("UP");
    svctl(&bed, "start web").ended(0);
    svctl(&bed, "kill db").ended(0);
    read_until("killed");
    // what does not fit is cut, and lines are broken again afterwards
    bed.service("broken", "exit 3");
    read_until("...\x1b[K");
    read_until("\x1b[?7h");
    interrupt(&mut child, &mut input);

    // a terminal that knows no cursor gets lines
    let Some(mut command) = on_terminal(&bed, "status --watch web") else { return };
    command.env("TERM", "dumb").stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut input = child.stdin.take().expect("it has one");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("it has one")).read_line(&mut line).expect("it can be read");
    assert!(line.starts_with("web: UP pid ") && !line.contains('\x1b'), "{line:?}");
    interrupt(&mut child, &mut input);
}

/// Ends what runs on a terminal as somebody types it, unless all that a shell has started with & is to ignore that.
fn interrupt(child: &mut Child, input: &mut ChildStdin) {
    if ignores(Signal::SIGINT) {
        kill(common::process::of_child(child), Signal::SIGTERM);
    } else {
        input.write_all(b"\x03").expect("it can be written");
    }
    let _ = child.wait();
}

#[test]
fn who_reads_only_the_beginning_is_no_trouble() {
    let bed = bed();
    for number in 0..20 {
        bed.service(format!("service-{number}"), SLEEPER);
    }
    bed.up("service-19");
    let mut command = bed.program_by_shell("\"$@\" | head -n 1", "svctl");
    let said = Said::by(&mut command).ended(0).quietly();
    assert_eq!(said.out.lines().count(), 1);
    let mut full = bed.program_by_shell("\"$@\" > /dev/full", "svctl");
    let said = Said::by(&mut full).ended(1);
    assert_eq!(said.err, "svctl: cannot write to standard output: No space left on device\n");
    assert!(fs::metadata(&bed.rundir).is_ok());
}
