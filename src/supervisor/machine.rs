//! What a supervisor does next: pure decisions, without clock, file or process. The model stands in
//! `model.rs`.

pub use super::model::{Effect, Event, Policy, RETRY, State};

use std::time::Duration;

use crate::service::ended::Ended;
use crate::service::moment::Moment;
use crate::service::order::Order;
use crate::service::pid::Pid;
use crate::service::record::Told;

/// A service under supervision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Machine {
    policy: Policy,
    /// What is.
    pub state: State,
    /// Since when.
    pub since: Moment,
    /// What the lock says.
    pub order: Option<Order>,
    /// What a signal has told, until it is done.
    pub told: Option<Told>,
    /// Whether the lock has been seen since then: its removal takes back what was told.
    pub locked: bool,
    /// What the lock should say (`None`: be gone) and perhaps does not yet, and when writing it is
    /// tried again.
    unsaved: Option<(Option<Order>, Moment)>,
    /// When the running process was started.
    started: Moment,
    /// How often the service was started.
    pub starts: u64,
    /// How often in a row it ended too soon.
    pub failures: u32,
    /// How the last run ended.
    pub last: Option<Ended>,
    /// How long it was.
    pub last_run: Option<Duration>,
    /// Whether it ended because it was told to.
    pub by_order: bool,
    /// Whether it was to be tried now while it was just starting.
    hurried: bool,
    /// Whether the last run has put itself in the background.
    pub detached: bool,
}

impl Machine {
    /// A service of which nothing is there.
    #[must_use]
    pub const fn new(policy: Policy, now: Moment) -> Self {
        Self {
            policy,
            state: State::Down,
            since: now,
            order: None,
            told: None,
            locked: false,
            unsaved: None,
            started: now,
            starts: 0,
            failures: 0,
            last: None,
            last_run: None,
            by_order: false,
            hurried: false,
            detached: false,
        }
    }

    /// A service whose process outlived its supervisor.
    #[must_use]
    pub fn adopt(mut self, pid: Pid, started: Moment) -> Self {
        self.state = State::Up(pid);
        self.since = started;
        self.started = started;
        self
    }

    /// A service in the state that this supervisor had it in when it executed itself anew; its
    /// process was started at `started`.
    #[must_use]
    pub fn resume(mut self, state: State, since: Moment, started: Moment) -> Self {
        self.state = state;
        self.since = since;
        self.started = started;
        self
    }

    /// A service whose main process, started at `started`, has ended as well as its supervisor; with
    /// something left in its group or not.
    #[must_use]
    pub fn lost(mut self, started: Moment, left: bool, now: Moment) -> (Self, Option<Effect>) {
        self.started = started;
        let effect = self.ended(Ended::Unknown, left, now);
        (self, effect)
    }

    /// The main process, while there is one.
    #[must_use]
    pub const fn main(&self) -> Option<Pid> {
        match self.state {
            State::Starting(pid) | State::Up(pid) | State::Stopping(pid, _) => Some(pid),
            State::Down | State::Clearing(_) | State::Backoff(_) | State::Refused => None,
        }
    }

    /// When `Event::Tick` is due, if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Moment> {
        let state = match self.state {
            State::Clearing(at) | State::Backoff(at) => Some(at),
            State::Down | State::Starting(_) | State::Up(_) | State::Stopping(..) | State::Refused => None,
        };
        match (state, self.unsaved) {
            (Some(a), Some((_, b))) => Some(a.min(b)),
            (a, b) => a.or(b.map(|(_, at)| at)),
        }
    }

    /// Takes an event; gives what is to be done at once. `pursue` comes next.
    pub fn step(&mut self, event: Event, now: Moment) -> Option<Effect> {
        use State::{Backoff, Clearing, Down, Refused, Starting, Stopping, Up};
        match (event, self.state) {
            (Event::Ordered(order), _) => {
                self.ordered(order, now);
                None
            }
            (Event::Told(told), _) => {
                self.told = self.told.max(Some(told));
                self.locked = self.order.is_some();
                // an order that would start it again is another's wish by now
                let save = self.order.is_none_or(Order::starts);
                save.then(|| self.save(Some(if told == Told::Kill { Order::Kill } else { Order::Stop }), now))
            }
            (Event::Saved(saved), _) => {
                if saved {
                    self.unsaved = None;
                    self.locked = self.order.is_some();
                }
                None
            }
            (Event::Hurry, Backoff(_) | Refused) => {
                self.hurry(now);
                None
            }
            (Event::Hurry, Starting(_) | Up(_)) => {
                self.failures = 0;
                self.hurried = true;
                None
            }
            (Event::Spawned(pid), Down | Backoff(_) | Refused) => {
                self.starts = self.starts.saturating_add(1);
                self.started = now;
                self.hurried = false;
                self.detached = false;
                self.enter(Starting(pid), now);
                None
            }
            (Event::NotSpawned(errno), Down | Backoff(_) | Refused) => {
                self.last = Some(Ended::Fork(errno));
                self.last_run = None;
                self.by_order = false;
                self.enter(Backoff(now + RETRY), now);
                None
            }
            (Event::Refused, Down | Backoff(_) | Refused | Starting(_) | Stopping(..)) => {
                if matches!(self.state, Starting(_) | Stopping(..)) {
                    self.starts = self.starts.saturating_sub(1);
                }
                // the file may have become another while it was tried
                let tried_in_vain = matches!(self.state, Starting(_)) && self.hurried;
                self.enter(if tried_in_vain { Backoff(now) } else { Refused }, now);
                None
            }
            (Event::Executed, Starting(pid)) => {
                self.enter(Up(pid), now);
                None
            }
            (Event::Ended(ended, left), Starting(_) | Up(_) | Stopping(..)) => self.ended(ended, left, now),
            (Event::Detached, _) => {
                self.detached = true;
                None
            }
            (Event::Cleared, Clearing(_)) => {
                self.settle(now);
                None
            }
            (Event::Tick, Clearing(at)) if at <= now => {
                self.state = Clearing(now + RETRY);
                Some(Effect::KillGroup)
            }
            (Event::Tick, Down | Starting(_) | Up(_) | Stopping(..) | Clearing(_) | Backoff(_) | Refused) => {
                self.unsaved.filter(|(_, at)| *at <= now).map(|(order, _)| self.save(order, now))
            }
            // nothing to hurry; seen too late; or impossible: there is a process already, or none
            (Event::Hurry, Down | Stopping(..) | Clearing(_))
            | (Event::Executed, Down | Up(_) | Stopping(..) | Clearing(_) | Backoff(_) | Refused)
            | (Event::Spawned(_) | Event::NotSpawned(_), Starting(_) | Up(_) | Stopping(..) | Clearing(_))
            | (Event::Refused, Up(_) | Clearing(_))
            | (Event::Ended(..), Down | Clearing(_) | Backoff(_) | Refused)
            | (Event::Cleared, Down | Starting(_) | Up(_) | Stopping(..) | Backoff(_) | Refused) => None,
        }
    }

    /// The next step from what is to what is wanted; to be called until nothing follows.
    pub fn pursue(&mut self, now: Moment) -> Option<Effect> {
        use State::{Backoff, Clearing, Down, Refused, Starting, Stopping, Up};
        let wanted = self.wanted();
        match self.state {
            Starting(pid) | Up(pid) => match wanted {
                Wanted::Stop => {
                    self.enter(Stopping(pid, Told::Stop), now);
                    Some(Effect::Terminate(pid))
                }
                Wanted::Kill => {
                    self.enter(Stopping(pid, Told::Kill), now);
                    Some(Effect::Kill(pid))
                }
                // it has been started: once is done
                Wanted::Up if self.order == Some(Order::Once) => Some(self.save(Some(Order::Ran), now)),
                Wanted::Up | Wanted::Rest => None,
            },
            Stopping(pid, Told::Stop) if wanted == Wanted::Kill => {
                self.state = Stopping(pid, Told::Kill);
                Some(Effect::Kill(pid))
            }
            Clearing(at) if wanted == Wanted::Kill && at > now + RETRY => {
                self.state = Clearing(now + RETRY);
                Some(Effect::KillGroup)
            }
            Stopping(..) | Clearing(_) => None,
            Down | Backoff(_) | Refused => match wanted {
                Wanted::Up => match self.state {
                    Refused => None,
                    Backoff(at) if at > now => None,
                    _ => Some(Effect::Spawn),
                },
                Wanted::Stop if self.order == Some(Order::Restart) && self.told.is_none() => {
                    self.failures = 0;
                    self.enter(Down, now);
                    Some(self.save(None, now))
                }
                Wanted::Stop | Wanted::Kill | Wanted::Rest => {
                    if self.state != Down {
                        self.enter(Down, now);
                    }
                    // what was told is forgotten with us, so it must be in the lock before
                    self.unsaved.is_none().then_some(Effect::Finish)
                }
            },
        }
    }

    /// Whether something that the system may have refused is going to be tried again.
    #[must_use]
    pub fn is_trying(&self) -> bool {
        let start = matches!((self.state, self.last), (State::Backoff(_), Some(Ended::Fork(_))));
        start || matches!(self.state, State::Clearing(_)) || self.unsaved.is_some()
    }

    /// Whether it is to run: neither order nor signal says otherwise.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.wanted() == Wanted::Up
    }

    fn wanted(&self) -> Wanted {
        match (self.told, self.order) {
            (Some(Told::Kill), _) | (_, Some(Order::Kill)) => Wanted::Kill,
            (Some(Told::Stop), _) | (None, Some(Order::Stop | Order::Shutdown | Order::Gone | Order::Restart)) => {
                Wanted::Stop
            }
            (None, Some(Order::Ran | Order::Hold)) => Wanted::Rest,
            (None, None | Some(Order::Once)) => Wanted::Up,
        }
    }

    /// The main process has ended.
    fn ended(&mut self, ended: Ended, left: bool, now: Moment) -> Option<Effect> {
        let run = now.since(self.started);
        let asked = matches!(self.state, State::Stopping(..));
        self.last = Some(ended);
        self.last_run = Some(run);
        self.by_order = asked;
        if run >= self.policy.stable_after || asked {
            self.failures = 0;
        } else {
            self.failures = self.failures.saturating_add(1);
        }
        self.detached &= ended == Ended::Code(0) && self.failures > 0;
        if left {
            return Some(self.clear(now));
        }
        self.settle(now);
        None
    }

    /// Begins to end what is left.
    fn clear(&mut self, now: Moment) -> Effect {
        let killing = self.wanted() == Wanted::Kill;
        let wait = if killing { RETRY } else { self.policy.stop_timeout };
        self.enter(State::Clearing(now + wait), now);
        if killing { Effect::KillGroup } else { Effect::TerminateGroup }
    }

    /// Nothing of the last run is there any more.
    fn settle(&mut self, now: Moment) {
        self.enter(State::Backoff(now + self.delay()), now);
    }

    /// The first failure costs no time; each further one twice that of the one before. A service
    /// that has put itself in the background would pile up copies.
    fn delay(&self) -> Duration {
        match self.failures {
            1.. if self.detached => self.policy.delay_max,
            0 | 1 => Duration::ZERO,
            n => self.policy.delay.saturating_mul(1 << (n - 2).min(20)).min(self.policy.delay_max),
        }
    }

    fn enter(&mut self, state: State, now: Moment) {
        self.state = state;
        self.since = now;
    }

    /// What the lock says was read.
    fn ordered(&mut self, order: Option<Order>, now: Moment) {
        match (self.unsaved, order) {
            // what a signal has told goes before what it could not replace yet; and what was
            // taken back is void, but for the writing
            (Some((Some(Order::Stop | Order::Kill), _)), _) if self.told.is_some() => return,
            (Some((Some(Order::Ran), _)), Some(Order::Once)) | (Some((None, _)), Some(Order::Restart)) => return,
            _ => self.unsaved = None,
        }
        self.locked |= order.is_some();
        if order.is_none() && self.locked {
            // who removes the lock wants it to run, whatever a signal said before
            self.told = None;
            self.locked = false;
        }
        self.order = order;
        if order.is_some_and(Order::starts) {
            // newer than what a signal said, which would have replaced it
            self.told = None;
            self.hurry(now);
        }
    }

    /// Waits no longer.
    fn hurry(&mut self, now: Moment) {
        if matches!(self.state, State::Backoff(_) | State::Refused) {
            self.failures = 0;
            self.enter(State::Backoff(now), now);
        }
    }

    /// Has the lock say `order`, or removed.
    fn save(&mut self, order: Option<Order>, now: Moment) -> Effect {
        self.order = order;
        self.unsaved = Some((order, now + RETRY));
        order.map_or(Effect::RemoveLock, Effect::Save)
    }
}

/// What order and signals come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// A process.
    Up,
    /// Nothing new: what runs may run.
    Rest,
    /// No process, by SIGTERM.
    Stop,
    /// No process, by SIGKILL.
    Kill,
}
