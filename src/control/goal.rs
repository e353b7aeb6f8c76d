//! When an operation is done: pure decisions on what is seen of a service after it was told.

use std::time::Duration;

use super::outcome::Outcome;
use crate::service::ended::Ended;
use crate::service::moment::Moment;
use crate::service::order::Order;
use crate::service::record::Process;
use crate::service::status::{Phase, Status};

/// What is to come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// It runs.
    Up,
    /// It runs in another process than this, if it had one.
    UpAnew(Option<Process>),
    /// It was started once.
    Ran,
    /// It has no process, nothing is left of it, and nobody supervises it.
    Gone,
}

/// What is seen of a service while it is awaited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Whether sysmgr runs.
    pub managed: bool,
    /// Whether a runsyssv has it.
    pub supervised: bool,
    /// Whether it has no runsyssv, and something lives of its last run.
    pub left: bool,
    /// Its status file, if that is of this boot.
    pub status: Option<Status>,
    /// Its main process, if that lives.
    pub main: Option<Process>,
    /// What its lock says.
    pub order: Option<Order>,
    /// The interpreter that its file names, if that is not there and it could not be executed.
    pub interpreter: Option<String>,
    /// Why its entry can't be a service, looked up when it has no process.
    pub refusal: Option<String>,
}

/// Whether it has come about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It has.
    Done,
    /// Not yet.
    NotYet,
    /// It will not, for this reason.
    Never(Outcome, String),
}

impl Goal {
    /// Whether it has come about, after the service was told at the moment `told`.
    #[must_use]
    pub fn judge(self, seen: &Seen, told: Moment) -> Verdict {
        match self {
            Self::Gone => gone(seen),
            Self::Up => up(seen, told, None),
            Self::UpAnew(old) => up(seen, told, old),
            Self::Ran => ran(seen, told),
        }
    }
}

fn gone(seen: &Seen) -> Verdict {
    if !seen.supervised && !seen.left && seen.main.is_none() {
        Verdict::Done
    } else if seen.order.is_none() {
        failed("somebody has removed its lock meanwhile, so that it is started again")
    } else {
        Verdict::NotYet
    }
}

fn up(seen: &Seen, told: Moment, old: Option<Process>) -> Verdict {
    match seen.order {
        Some(Order::Restart) => return unmanaged(seen),
        Some(Order::Stop | Order::Kill | Order::Shutdown | Order::Gone | Order::Hold) => {
            return failed("somebody has told it to stay down meanwhile");
        }
        Some(Order::Once | Order::Ran) | None => {}
    }
    let phase = seen.status.as_ref().map(|status| status.phase);
    match (&seen.status, seen.main, &seen.refusal) {
        (Some(_), Some(main), _) if phase == Some(Phase::Up) && Some(main) != old => Verdict::Done,
        (Some(status), _, _) if status.phase == Phase::Backoff && began(status) >= told => failed(&ended(status, seen)),
        // the status may be of before its file was mended: the file itself tells
        (_, None, Some(reason)) => failed(reason),
        _ => unmanaged(seen),
    }
}

fn ran(seen: &Seen, told: Moment) -> Verdict {
    match seen.order {
        Some(Order::Once) => match (seen.main, &seen.refusal) {
            (None, Some(reason)) => failed(reason),
            _ => unmanaged(seen),
        },
        Some(Order::Ran) => match &seen.status {
            Some(status) if status.phase == Phase::Starting => Verdict::NotYet,
            Some(status) if status.since_ms >= told && could_not_run(status) => failed(&ended(status, seen)),
            _ => Verdict::Done,
        },
        None => failed("somebody has removed its lock meanwhile, so that it is kept up"),
        Some(_) => failed("somebody has told it to stay down meanwhile"),
    }
}

/// When the run that has ended began: its end may be known only since the service has a supervisor again.
fn began(status: &Status) -> Moment {
    status.since_ms - Duration::from_millis(status.last_run_ms.unwrap_or(0))
}

fn could_not_run(status: &Status) -> bool {
    !matches!(status.phase, Phase::Up | Phase::Stopping)
        && matches!(status.last_exit, Some(Ended::Exec(_) | Ended::Fork(_)))
}

/// There must be somebody to do it.
fn unmanaged(seen: &Seen) -> Verdict {
    if seen.managed || seen.supervised {
        Verdict::NotYet
    } else {
        Verdict::Never(Outcome::Unmanaged, "sysmgr is not running".to_owned())
    }
}

fn ended(status: &Status, seen: &Seen) -> String {
    let interpreter = seen.interpreter.as_deref();
    let ended = status.last_exit.map_or_else(|| "has ended".to_owned(), |last| last.in_words_with(interpreter));
    format!("it was started, but {ended}")
}

fn failed(why: &str) -> Verdict {
    Verdict::Never(Outcome::Failed, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Ended, Goal, Moment, Order, Outcome, Phase, Process, Seen, Status, Verdict};
    use crate::service::pid::Pid;

    const TOLD: Moment = Moment(1000);

    fn process(pid: i32) -> Process {
        Process { pid: Pid::new(pid).expect("valid"), start: 7 }
    }

    fn seen(phase: Phase, since: u64) -> Seen {
        Seen {
            managed: true,
            supervised: true,
            left: false,
            status: Some(Status::new(phase, 0, Moment(since), String::new())),
            main: (phase == Phase::Up).then(|| process(50)),
            order: None,
            interpreter: None,
            refusal: None,
        }
    }

    fn ordered(phase: Phase, since: u64, order: Order) -> Seen {
        Seen { order: Some(order), ..seen(phase, since) }
    }

    fn never(verdict: &Verdict) -> Option<Outcome> {
        match verdict {
            Verdict::Never(outcome, _) => Some(*outcome),
            Verdict::Done | Verdict::NotYet => None,
        }
    }

    #[test]
    fn start_is_done_when_its_process_runs() {
        assert_eq!(Goal::Up.judge(&seen(Phase::Up, 0), TOLD), Verdict::Done);
        for phase in [Phase::Starting, Phase::Down, Phase::Stopping, Phase::Clearing] {
            assert_eq!(Goal::Up.judge(&seen(phase, 2000), TOLD), Verdict::NotYet);
        }
    }

    #[test]
    fn a_status_whose_process_is_dead_is_not_up() {
        let dead = Seen { main: None, ..seen(Phase::Up, 0) };
        assert_eq!(Goal::Up.judge(&dead, TOLD), Verdict::NotYet);
    }

    #[test]
    fn a_failure_counts_only_if_it_came_after_the_start() {
        assert_eq!(Goal::Up.judge(&seen(Phase::Backoff, 999), TOLD), Verdict::NotYet);
        let mut after = seen(Phase::Backoff, 1000);
        if let Some(status) = &mut after.status {
            status.last_exit = Some(Ended::Unknown);
            status.last_run_ms = Some(1);
        }
        assert_eq!(Goal::Up.judge(&after, TOLD), Verdict::NotYet, "it ended before, with its supervisor");
        let mut after = seen(Phase::Backoff, 1000);
        if let Some(status) = &mut after.status {
            status.last_exit = Some(Ended::Exec(2));
        }
        let Verdict::Never(Outcome::Failed, why) = Goal::Up.judge(&after, TOLD) else {
            panic!("it has failed");
        };
        assert!(why.contains("cannot be executed: No such file"), "{why}");
    }

    #[test]
    fn a_refusal_counts_only_while_the_file_is_such() {
        let mut refused = seen(Phase::Refused, 0);
        assert_eq!(Goal::Up.judge(&refused, TOLD), Verdict::NotYet);
        refused.refusal = Some("it is a directory".to_owned());
        assert_eq!(never(&Goal::Up.judge(&refused, TOLD)), Some(Outcome::Failed));
    }

    #[test]
    fn restart_needs_another_process_and_its_order_gone() {
        let goal = Goal::UpAnew(Some(process(50)));
        assert_eq!(goal.judge(&seen(Phase::Up, 0), TOLD), Verdict::NotYet);
        let goal = Goal::UpAnew(Some(process(49)));
        assert_eq!(goal.judge(&ordered(Phase::Up, 0, Order::Restart), TOLD), Verdict::NotYet);
        assert_eq!(goal.judge(&ordered(Phase::Backoff, 2000, Order::Restart), TOLD), Verdict::NotYet);
        assert_eq!(goal.judge(&seen(Phase::Up, 0), TOLD), Verdict::Done);
        assert_eq!(Goal::UpAnew(None).judge(&seen(Phase::Up, 0), TOLD), Verdict::Done);
    }

    #[test]
    fn stop_is_done_when_nothing_is_left() {
        let gone = Seen { supervised: false, ..ordered(Phase::Down, 0, Order::Stop) };
        assert_eq!(Goal::Gone.judge(&gone, TOLD), Verdict::Done);
        for not_yet in [
            Seen { supervised: true, ..gone.clone() },
            Seen { left: true, ..gone.clone() },
            Seen { main: Some(process(50)), ..gone.clone() },
        ] {
            assert_eq!(Goal::Gone.judge(&not_yet, TOLD), Verdict::NotYet);
        }
        let never_started = Seen { status: None, ..gone };
        assert_eq!(Goal::Gone.judge(&never_started, TOLD), Verdict::Done);
    }

    #[test]
    fn once_is_done_when_it_was_started() {
        assert_eq!(Goal::Ran.judge(&ordered(Phase::Down, 0, Order::Once), TOLD), Verdict::NotYet);
        assert_eq!(Goal::Ran.judge(&ordered(Phase::Starting, 2000, Order::Ran), TOLD), Verdict::NotYet);
        assert_eq!(Goal::Ran.judge(&ordered(Phase::Up, 2000, Order::Ran), TOLD), Verdict::Done);
        let mut ended = ordered(Phase::Down, 2000, Order::Ran);
        assert_eq!(Goal::Ran.judge(&ended, TOLD), Verdict::Done);
        if let Some(status) = &mut ended.status {
            status.last_exit = Some(Ended::Exec(13));
        }
        assert_eq!(never(&Goal::Ran.judge(&ended, TOLD)), Some(Outcome::Failed));
    }

    #[test]
    fn a_contrary_order_of_somebody_else_ends_the_wait() {
        for order in [Order::Stop, Order::Kill, Order::Hold, Order::Gone, Order::Shutdown] {
            assert_eq!(never(&Goal::Up.judge(&ordered(Phase::Up, 0, order), TOLD)), Some(Outcome::Failed));
        }
        assert_eq!(never(&Goal::Gone.judge(&seen(Phase::Up, 0), TOLD)), Some(Outcome::Failed));
        assert_eq!(never(&Goal::Ran.judge(&seen(Phase::Up, 0), TOLD)), Some(Outcome::Failed));
    }

    #[test]
    fn with_nobody_to_do_it_the_wait_ends() {
        let nobody = |seen: Seen| Seen { managed: false, supervised: false, ..seen };
        for goal in [Goal::Up, Goal::UpAnew(None)] {
            let verdict = goal.judge(&nobody(seen(Phase::Down, 0)), TOLD);
            assert_eq!(never(&verdict), Some(Outcome::Unmanaged));
        }
        let verdict = Goal::Ran.judge(&nobody(ordered(Phase::Down, 0, Order::Once)), TOLD);
        assert_eq!(never(&verdict), Some(Outcome::Unmanaged));
    }
}
