//! Waiting for conditions, under one generous deadline.

use std::time::{Duration, Instant};

/// Longer than anything lasts on a loaded machine that is not broken.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Between two looks at a condition: short against what is awaited, long against a look.
const PAUSE: Duration = Duration::from_millis(2);

/// Waits until `condition` is true; fails with `what` was awaited.
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    value_of(what, || condition().then_some(()));
}

/// Waits until there is a value.
#[track_caller]
pub fn value_of<T>(what: &str, mut value: impl FnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(value) = value() {
            return value;
        }
        assert!(begin.elapsed() < DEADLINE, "waited in vain until {what}");
        std::thread::sleep(PAUSE);
    }
}

/// Waits until `condition` is true, or the deadline is over.
pub fn try_until(mut condition: impl FnMut() -> bool) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < DEADLINE {
        if condition() {
            return true;
        }
        std::thread::sleep(PAUSE);
    }
    false
}

/// Sees to it that `condition` is true all the time, for as long as `time`.
#[track_caller]
pub fn stays(what: &str, time: Duration, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        assert!(condition(), "it is not so that {what}");
        std::thread::sleep(PAUSE);
    }
}
