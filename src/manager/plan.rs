//! What sysmgr does about a service: pure decisions.
//!
//! Each is taken anew from what is there (the entry, the lock, a living supervisor or process), never from
//! what happened: an event that was missed, or came twice, changes nothing.

use std::time::Duration;

use crate::service::order::Order;

/// The grace of a removed entry, in which a package manager may put it back.
pub const GRACE: Duration = Duration::from_secs(1);

/// How long a removal in the run directory has to be over before what is missing is put back:
/// against `rm -r`, who heals at once makes it fail.
pub const REST: Duration = Duration::from_millis(50);

/// How long after the removal of a lock it is seen whether more is being removed.
pub const PAUSE: Duration = Duration::from_millis(10);

/// How long changes in the run directories are left to gather after some were looked at: a restart
/// alone makes several, and most are of no concern.
pub const GATHERING: Duration = Duration::from_millis(5);

/// A runsyssv that lives for less has died at once.
const AT_ONCE: Duration = Duration::from_secs(1);

/// What there is of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facts {
    /// Its entry in the service directory.
    pub entry: Presence,
    /// The lock.
    pub order: Option<Order>,
    /// Whether its runsyssv lives.
    pub supervised: bool,
    /// Whether a process of its last run, by the record, still lives.
    pub alive: bool,
    /// Whether sysmgr is ending.
    pub ending: bool,
}

/// What the service directory has of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// A file that can be started.
    Startable,
    /// Something that can't.
    Refused,
    /// Nothing, but perhaps it comes back.
    Missed,
    /// Nothing.
    Removed,
}

/// What is to be done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    Nothing,
    /// Start a runsyssv.
    Supervise,
    /// Remove the lock, whose order is void, and decide again.
    Unlock,
    /// Stop it, since its entry is gone.
    Dismiss,
    /// Remove its files.
    Forget,
    /// Say in its status why it can't be started.
    Refuse,
}

/// What is to be done about a service.
#[must_use]
pub fn decide(facts: &Facts) -> Action {
    let idle = if facts.alive && !facts.supervised { Action::Supervise } else { Action::Nothing };
    if facts.ending {
        return idle;
    }
    match (facts.entry, facts.order) {
        (Presence::Startable | Presence::Refused, Some(Order::Gone | Order::Shutdown))
        | (Presence::Missed | Presence::Removed, Some(Order::Shutdown)) => Action::Unlock,
        (Presence::Startable, None | Some(Order::Once | Order::Restart)) if !facts.supervised => Action::Supervise,
        (Presence::Refused, _) if !facts.supervised && !facts.alive => Action::Refuse,
        (Presence::Removed, None | Some(Order::Once | Order::Restart | Order::Ran | Order::Hold))
            if facts.supervised || facts.alive =>
        {
            Action::Dismiss
        }
        (Presence::Removed, Some(Order::Gone) | None) if !facts.supervised && !facts.alive => Action::Forget,
        (Presence::Startable | Presence::Refused | Presence::Missed | Presence::Removed, _) => idle,
    }
}

/// How often in a row a runsyssv has died at once, after it has ended having lived for `lived`;
/// `well` if it ended as it should.
#[must_use]
pub fn crashes(before: u32, lived: Duration, well: bool) -> u32 {
    if well || lived >= AT_ONCE { 0 } else { before.saturating_add(1) }
}

/// How long to wait before the next runsyssv: nothing after the first crash, then 1, 2, 4... up to
/// 30 seconds.
#[must_use]
pub fn delay(crashes: u32) -> Duration {
    match crashes {
        0 | 1 => Duration::ZERO,
        n => Duration::from_secs((1 << (n - 2).min(5)).min(30)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Action, Facts, Order, Presence, decide, delay};
    use std::time::Duration;

    const PRESENCES: [Presence; 4] = [Presence::Startable, Presence::Refused, Presence::Missed, Presence::Removed];
    const ORDERS: [Option<Order>; 9] = [
        None,
        Some(Order::Stop),
        Some(Order::Kill),
        Some(Order::Once),
        Some(Order::Ran),
        Some(Order::Restart),
        Some(Order::Shutdown),
        Some(Order::Gone),
        Some(Order::Hold),
    ];

    fn each(mut check: impl FnMut(Facts, Action)) {
        for entry in PRESENCES {
            for order in ORDERS {
                for bits in 0..8 {
                    let facts =
                        Facts { entry, order, supervised: bits & 1 != 0, alive: bits & 2 != 0, ending: bits & 4 != 0 };
                    check(facts, decide(&facts));
                }
            }
        }
    }

    #[test]
    fn never_a_second_supervisor() {
        each(|facts, action| assert!(!(facts.supervised && action == Action::Supervise), "{facts:?}"));
    }

    #[test]
    fn a_living_process_never_stays_without_supervisor() {
        each(|facts, action| {
            if facts.alive && !facts.supervised {
                let leads_to_one = matches!(action, Action::Supervise | Action::Unlock | Action::Dismiss);
                assert!(leads_to_one, "{facts:?}: {action:?}");
            }
        });
    }

    #[test]
    fn what_is_stopped_stays_down() {
        each(|facts, action| {
            if !facts.alive && matches!(facts.order, Some(Order::Stop | Order::Kill | Order::Ran | Order::Hold)) {
                assert!(!matches!(action, Action::Supervise | Action::Unlock), "{facts:?}: {action:?}");
            }
        });
    }

    #[test]
    fn nothing_is_started_or_unlocked_while_ending() {
        each(|facts, action| {
            if facts.ending {
                let expected = if facts.alive && !facts.supervised { Action::Supervise } else { Action::Nothing };
                assert_eq!(action, expected, "{facts:?}");
            }
        });
    }

    #[test]
    fn only_what_is_gone_for_good_is_forgotten() {
        each(|facts, action| {
            if action == Action::Forget {
                assert!(facts.entry == Presence::Removed && !facts.supervised && !facts.alive, "{facts:?}");
                assert!(matches!(facts.order, None | Some(Order::Gone)), "{facts:?}");
            }
        });
    }

    #[test]
    fn a_crashing_runsyssv_is_backed_off() {
        let seconds: Vec<_> = (0..9).map(|n| delay(n).as_secs()).collect();
        assert_eq!(seconds, [0, 0, 1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(delay(u32::MAX), Duration::from_secs(30));
    }
}
