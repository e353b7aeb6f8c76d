//! Whether a service is up, in the sense in which others wait for it.
//!
//! It is up when its process is alive, it is not itself waiting in sysmgr-depends, and it
//!
//! - has finished such a wait in this run,
//! - or is settled (old enough to have begun one) and is not known to wait.
//!
//! Known to wait is a service whose `depends` names any. That it has waited *in this run* is told by
//! a mark on that file: the nanoseconds of its time of change, see [`mark`]. Nothing else would do: a
//! time of day can be set while the system starts, and the file's content is a list of names for
//! everybody. Since `waiting` is written before `depends` is marked, a mark without a
//! living line in `waiting` means that the wait is over.
//!
//! Two things are not certain, and time decides. A script may wait twice, one wait after the other:
//! so a finished wait counts after a short [`Timing::pause`]. And a service known to wait may have
//! become one that does not: so it counts as up all the same when it has been quiet for
//! [`Timing::stable_after`].

use std::time::Duration;

use crate::service::record::Process;

/// The timings that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// How old a service must be that is not known to wait.
    pub settle: Duration,
    /// How long a wait must have been finished.
    pub pause: Duration,
    /// How long a service known to wait must have been quiet in which none has been seen.
    pub stable_after: Duration,
}

impl Timing {
    /// A settle time, and how long a run must be to be a stable one.
    #[must_use]
    pub fn new(settle: Duration, stable_after: Duration) -> Self {
        Self { settle, pause: settle / 4, stable_after }
    }
}

/// What is seen of a service that others wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// How old its main process is, if that executes the service and lives.
    pub age: Option<Duration>,
    /// Whether a living process of it waits in sysmgr-depends.
    pub waits: bool,
    /// Whether it is known to wait, and if so, whether it has in this run.
    pub known: Option<bool>,
    /// For how long nothing has changed in its directory.
    pub quiet: Duration,
}

/// The answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is up.
    Up,
    /// It will be after this time, if nothing changes.
    In(Duration),
    /// Something has to change.
    No,
}

/// Whether it is up.
#[must_use]
pub fn judge(seen: &Seen, timing: &Timing) -> Answer {
    let Some(age) = seen.age else {
        return Answer::No;
    };
    if seen.waits {
        return Answer::No;
    }
    let (so_far, needed) = match seen.known {
        None => (age, timing.settle),
        Some(true) => (seen.quiet, timing.pause),
        Some(false) => (seen.quiet.min(age), timing.stable_after),
    };
    match needed.saturating_sub(so_far) {
        Duration::ZERO => Answer::Up,
        left => Answer::In(left),
    }
}

/// The nanoseconds that mark the run of which `main` is the main process. No two runs of a service
/// in a row have the same.
#[must_use]
pub fn mark(main: Process) -> u32 {
    const SECOND: u64 = 1_000_000_000;
    let pid = u64::from(main.pid.raw().unsigned_abs());
    // a start time is in hundredths of a second: together they are unique for as long as it takes
    // the numbers of processes to come round
    let mark = main.start.wrapping_mul(4_194_304).wrapping_add(pid) % (SECOND - 1) + 1;
    u32::try_from(mark).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::{Answer, Seen, Timing, judge, mark};
    use crate::service::pid::Pid;
    use crate::service::record::Process;
    use std::time::Duration;

    const TIMING: Timing = Timing {
        settle: Duration::from_millis(200),
        pause: Duration::from_millis(25),
        stable_after: Duration::from_secs(10),
    };
    const LONG: Duration = Duration::from_secs(1000);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn answer(age: Option<Duration>, waits: bool, known: Option<bool>, quiet: Duration) -> Answer {
        judge(&Seen { age, waits, known, quiet }, &TIMING)
    }

    #[test]
    fn without_a_process_or_waiting_it_is_not_up() {
        for known in [None, Some(false), Some(true)] {
            assert_eq!(answer(None, false, known, LONG), Answer::No);
            assert_eq!(answer(Some(LONG), true, known, LONG), Answer::No);
        }
    }

    #[test]
    fn one_not_known_to_wait_must_settle() {
        assert_eq!(answer(Some(ms(50)), false, None, ms(0)), Answer::In(ms(150)));
        assert_eq!(answer(Some(ms(200)), false, None, ms(0)), Answer::Up);
    }

    #[test]
    fn one_that_has_finished_its_wait_need_not() {
        assert_eq!(answer(Some(ms(30)), false, Some(true), ms(25)), Answer::Up);
        assert_eq!(answer(Some(LONG), false, Some(true), ms(5)), Answer::In(ms(20)));
    }

    #[test]
    fn one_known_to_wait_that_does_not_any_more_is_believed_in_the_end() {
        assert_eq!(answer(Some(ms(9_000)), false, Some(false), LONG), Answer::In(ms(1_000)));
        assert_eq!(answer(Some(LONG), false, Some(false), ms(9_000)), Answer::In(ms(1_000)));
        assert_eq!(answer(Some(LONG), false, Some(false), LONG), Answer::Up);
    }

    #[test]
    fn runs_have_marks_of_their_own() {
        let run = |pid, start| mark(Process { pid: Pid::new(pid).expect("valid"), start });
        let marks = [run(2, 1), run(3, 1), run(2, 2), run(4_194_304, 1), run(2, u64::MAX)];
        for (i, a) in marks.iter().enumerate() {
            assert!((1..1_000_000_000).contains(a));
            assert!(!marks[i + 1..].contains(a));
        }
    }
}
