//! What sysmgr does with learned dependencies: it tries dependents again, and stops in reverse order.

mod common;

use std::fs;
use std::time::Instant;

use common::{TestBed, millis, until};
use sysmgr::service::status::Phase;

/// A bed in whose services `$DEPENDS` is sysmgr-depends.
fn started(mut bed: TestBed) -> TestBed {
    let depends = bed.executable("sysmgr-depends");
    bed.start_by(|command| {
        command.env("DEPENDS", depends);
    });
    bed
}

/// A script that says when it is told to end, and does so when all of `others` are told too, or after ten seconds.
fn ends_after(others: &str, begin: &str) -> String {
    format!(
        "trap 'echo $SYSMGR_SERVICE told >> $BED/log; i=0; for other in {others}; do
    until grep -q \"^$other told\" $BED/log || [ $i = 500 ]; do i=$((i + 1)); sleep 0.02; done
done; echo $SYSMGR_SERVICE gone >> $BED/log; exit 0' TERM
{begin}
echo $SYSMGR_SERVICE up >> $BED/log
while :; do sleep 0.02; done"
    )
}

fn place(log: &[String], line: &str) -> usize {
    log.iter().position(|logged| logged == line).unwrap_or_else(|| panic!("no {line:?} in {log:#?}"))
}

#[test]
fn a_dependent_in_back_off_is_tried_as_soon_as_what_it_needs_is_up() {
    // without that it would be tried after ten minutes
    let bed = started(TestBed::new().with_delays(600_000, 600_000).with("SETTLE_MS", "20"));
    bed.entry("db", b"no service yet\n", 0o644);
    // like a client that gives up when nobody answers
    bed.service("web", "$DEPENDS -t 0.5 db || exit 1; exec sleep 1000");
    until("web waits long", || {
        bed.status("web").is_some_and(|status| status.phase == Phase::Backoff && status.failures > 1)
    });
    bed.service("db", "exec sleep 1000");
    bed.up("db");
    until("web is up", || {
        bed.status("web").is_some_and(|s| s.phase == Phase::Up) && !bed.path("web", "waiting").exists()
    });
}

#[test]
fn all_are_stopped_in_reverse_order_and_side_by_side() {
    // after half of it all would be told
    let mut bed = started(TestBed::new().with("SHUTDOWN_TIMEOUT_MS", "60000"));
    bed.service("db", &ends_after("", ""));
    for (name, others) in [("web1", "web2"), ("web2", "web1"), ("web3", "app alone")] {
        bed.service(name, &ends_after(others, "$DEPENDS db || exit 1"));
    }
    bed.service("app", &ends_after("alone web3", "$DEPENDS web1 web2 || exit 1"));
    bed.service("alone", &ends_after("app web3", ""));
    for name in ["db", "web1", "web2", "web3", "app", "alone"] {
        until(&format!("{name} is up"), || bed.logged(&format!("{name} up")) == 1);
    }
    assert_eq!(bed.stop().code(), Some(0));
    let log = bed.log();
    let at = |line: &str| place(&log, line);
    for (first, then) in [("app", "web1"), ("app", "web2"), ("web1", "db"), ("web2", "db"), ("web3", "db")] {
        assert!(at(&format!("{first} gone")) < at(&format!("{then} told")), "{first} before {then}: {log:#?}");
    }
    for (one, other) in [("app", "alone"), ("app", "web3"), ("web1", "web2")] {
        for (a, b) in [(one, other), (other, one)] {
            assert!(at(&format!("{a} told")) < at(&format!("{b} gone")), "{a} waits for {b}: {log:#?}");
        }
    }
}

#[test]
fn circles_and_rubbish_among_the_dependencies_hang_nothing() {
    let mut bed = started(TestBed::new().with("SHUTDOWN_TIMEOUT_MS", "60000"));
    for name in ["a", "b", "c", "selfish", "rubbish", "endless"] {
        bed.service(name, &ends_after("", ""));
        until(&format!("{name} is up"), || bed.logged(&format!("{name} up")) == 1);
    }
    let endless = "nosuch\n".repeat(100_000);
    for (name, depends) in [
        ("a", &b"b\n"[..]),
        ("b", b"c\n"),
        ("c", b"a\nnosuch\n"),
        ("selfish", b"selfish\n"),
        ("rubbish", b"\xff\xfe\0\n../../etc\n\n-x\npid\na"),
        ("endless", endless.as_bytes()),
    ] {
        fs::write(bed.path(name, "depends"), depends).expect("it can be written");
    }
    let begin = Instant::now();
    assert_eq!(bed.stop().code(), Some(0));
    // half of the shutdown timeout would have all told to end, whatever they wait for
    assert!(begin.elapsed() < millis(25_000), "{:?}", begin.elapsed());
    let log = bed.log();
    for name in ["a", "b", "c", "selfish", "rubbish", "endless"] {
        place(&log, &format!("{name} gone"));
    }
}
