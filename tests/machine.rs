//! The decisions of a supervisor, with invented time; and every short history of a service, with
//! supervisors that die in between: never two processes, no order lost.

use std::collections::HashSet;
use std::time::Duration;

use sysmgr::service::ended::Ended;
use sysmgr::service::moment::Moment;
use sysmgr::service::order::Order;
use sysmgr::service::pid::Pid;
use sysmgr::service::record::Told;
use sysmgr::supervisor::machine::{Effect, Event, Machine, Policy, State};

const POLICY: Policy = Policy {
    delay: Duration::from_secs(1),
    delay_max: Duration::from_secs(30),
    stable_after: Duration::from_secs(10),
    stop_timeout: Duration::from_secs(7),
};

fn pid(n: i32) -> Pid {
    Pid::new(n).expect("a number of a test")
}

/// A service that is up as process 100 at 0 ms.
fn up() -> Machine {
    let mut machine = Machine::new(POLICY, Moment(0));
    assert_eq!(machine.pursue(Moment(0)), Some(Effect::Spawn));
    machine.step(Event::Spawned(pid(100)), Moment(0));
    machine.step(Event::Executed, Moment(0));
    assert_eq!(machine.pursue(Moment(0)), None);
    machine
}

#[test]
fn failures_are_answered_at_once_then_after_1_2_4_up_to_30_seconds() {
    let mut machine = up();
    let mut now = Moment(0);
    for wait in [0, 1, 2, 4, 8, 16, 30, 30] {
        machine.step(Event::Ended(Ended::Code(0), false), now);
        assert_eq!(machine.state, State::Backoff(now + Duration::from_secs(wait)));
        if wait > 0 {
            assert_eq!(machine.pursue(now), None, "it waits");
        }
        now = now + Duration::from_secs(wait);
        machine.step(Event::Tick, now);
        assert_eq!(machine.pursue(now), Some(Effect::Spawn));
        machine.step(Event::Spawned(pid(100)), now);
    }
    // a run of 10 seconds forgets them all
    now = now + Duration::from_secs(10);
    machine.step(Event::Ended(Ended::Code(1), false), now);
    assert_eq!((machine.failures, machine.pursue(now)), (0, Some(Effect::Spawn)));
}

#[test]
fn hurry_ends_a_back_off_and_forgets_failures() {
    let mut machine = up();
    machine.failures = 5;
    machine.step(Event::Ended(Ended::Code(1), false), Moment(5));
    assert_eq!(machine.pursue(Moment(5)), None);
    machine.step(Event::Hurry, Moment(6));
    assert_eq!((machine.failures, machine.pursue(Moment(6))), (0, Some(Effect::Spawn)));
}

#[test]
fn what_is_left_gets_sigterm_then_sigkill_and_only_then_comes_the_restart() {
    let mut machine = up();
    let effect = machine.step(Event::Ended(Ended::Code(1), true), Moment(0));
    assert_eq!(effect, Some(Effect::TerminateGroup));
    assert_eq!(machine.pursue(Moment(0)), None);
    assert_eq!(machine.step(Event::Tick, Moment(6_999)), None);
    assert_eq!(machine.step(Event::Tick, Moment(7_000)), Some(Effect::KillGroup));
    assert_eq!(machine.pursue(Moment(7_000)), None, "still there");
    machine.step(Event::Cleared, Moment(7_001));
    assert_eq!(machine.pursue(Moment(7_001)), Some(Effect::Spawn));
}

#[test]
fn a_kill_does_not_wait_for_what_is_left() {
    let mut machine = up();
    machine.step(Event::Told(Told::Kill), Moment(0));
    assert_eq!(machine.pursue(Moment(0)), Some(Effect::Kill(pid(100))));
    let effect = machine.step(Event::Ended(Ended::Signal { number: 9, core: false }, true), Moment(0));
    assert_eq!(effect, Some(Effect::KillGroup));
}

#[test]
fn a_file_that_is_written_while_it_is_tried_is_tried_again() {
    let mut machine = Machine::new(POLICY, Moment(0));
    machine.step(Event::Spawned(pid(100)), Moment(0));
    machine.step(Event::Hurry, Moment(0));
    machine.step(Event::Refused, Moment(0));
    assert_eq!(machine.pursue(Moment(0)), Some(Effect::Spawn));
    machine.step(Event::Refused, Moment(0));
    assert_eq!((machine.state, machine.pursue(Moment(0))), (State::Refused, None));
    machine.step(Event::Hurry, Moment(1));
    assert_eq!((machine.failures, machine.pursue(Moment(1))), (0, Some(Effect::Spawn)));
}

#[test]
fn a_fork_that_fails_is_no_failure_of_the_service_and_tried_again() {
    let mut machine = Machine::new(POLICY, Moment(0));
    machine.step(Event::NotSpawned(11), Moment(0));
    assert_eq!((machine.failures, machine.pursue(Moment(0)), machine.deadline()), (0, None, Some(Moment(1000))));
    assert_eq!(machine.pursue(Moment(1000)), Some(Effect::Spawn));
}

#[test]
fn a_stop_that_cannot_be_written_is_not_forgotten() {
    let mut machine = up();
    assert_eq!(machine.step(Event::Told(Told::Stop), Moment(0)), Some(Effect::Save(Order::Stop)));
    machine.step(Event::Saved(false), Moment(0));
    machine.step(Event::Ordered(None), Moment(0));
    assert_eq!(machine.pursue(Moment(0)), Some(Effect::Terminate(pid(100))));
    machine.step(Event::Ended(Ended::Code(0), false), Moment(0));
    assert_eq!(machine.pursue(Moment(0)), None, "its lock must be there before the supervisor ends");
    assert_eq!(machine.step(Event::Tick, Moment(1000)), Some(Effect::Save(Order::Stop)));
    machine.step(Event::Saved(true), Moment(1000));
    assert_eq!(machine.pursue(Moment(1000)), Some(Effect::Finish));
}

#[test]
fn an_order_that_cannot_be_taken_back_is_carried_out_once() {
    for order in [Order::Once, Order::Restart] {
        let mut machine = Machine::new(POLICY, Moment(0));
        machine.step(Event::Ordered(Some(order)), Moment(0));
        let mut spawns = 0;
        while let Some(effect) = machine.pursue(Moment(0)) {
            match effect {
                Effect::Spawn => {
                    spawns += 1;
                    machine.step(Event::Spawned(pid(100)), Moment(0));
                }
                Effect::Save(Order::Ran) | Effect::RemoveLock => {
                    machine.step(Event::Saved(false), Moment(0));
                }
                other => panic!("{order:?}: {other:?}"),
            }
            machine.step(Event::Ordered(Some(order)), Moment(0));
        }
        assert_eq!(spawns, 1, "{order:?}");
        let again = if order == Order::Once { Effect::Save(Order::Ran) } else { Effect::RemoveLock };
        assert_eq!(machine.step(Event::Tick, Moment(1000)), Some(again));
    }
}

/// A machine with a service on it, as small as can be.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct World {
    now: Moment,
    /// The supervisor, while one lives.
    machine: Option<Machine>,
    lock: Option<Order>,
    /// The main process, and whether it ignores SIGTERM.
    main: Option<(Pid, bool)>,
    /// Whether something is left in the group.
    left: bool,
    /// What stands in `.owner`.
    on_record: Option<Pid>,
    told_on_record: Option<Told>,
    /// Whether the lock can be written.
    writable: bool,
    next: i32,
    /// Whether a `once` has not been started yet, and which process a `restart` has to replace.
    once_due: bool,
    restart_of: Option<Pid>,
}

/// What people and accidents do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Order(Order),
    Unlock,
    Tell(Told),
    Execute,
    End { left: bool },
    Clear,
    Wait,
    Hurry,
    KillSupervisor,
    Full(bool),
}

const DEEDS: [Deed; 15] = [
    Deed::Order(Order::Stop),
    Deed::Order(Order::Kill),
    Deed::Order(Order::Once),
    Deed::Order(Order::Restart),
    Deed::Order(Order::Hold),
    Deed::Unlock,
    Deed::Tell(Told::Stop),
    Deed::Tell(Told::Kill),
    Deed::Execute,
    Deed::End { left: false },
    Deed::End { left: true },
    Deed::Clear,
    Deed::Wait,
    Deed::KillSupervisor,
    Deed::Full(true),
];

impl World {
    fn new() -> Self {
        let mut world = Self {
            now: Moment(0),
            machine: None,
            lock: None,
            main: None,
            left: false,
            on_record: None,
            told_on_record: None,
            writable: true,
            next: 100,
            once_due: false,
            restart_of: None,
        };
        world.manage();
        world
    }

    /// What sysmgr does: a supervisor for what may run, or still lives.
    fn manage(&mut self) {
        let startable = self.lock.is_none_or(Order::starts);
        let alive = self.main.is_some() || self.left;
        if self.machine.is_some() || !(startable || alive) {
            return;
        }
        let mut machine = Machine::new(POLICY, self.now);
        let mut effect = None;
        machine.told = self.told_on_record;
        match self.main {
            Some((main, _)) if self.on_record == Some(main) => machine = machine.adopt(main, self.now),
            Some(main) => panic!("{main:?} is not on record: {self:?}"),
            None if self.left => {
                let (adopted, what) = machine.lost(self.now, true, self.now);
                machine = adopted;
                effect = what;
            }
            None => {}
        }
        self.machine = Some(machine);
        if let Some(effect) = effect {
            self.perform(effect);
        }
        self.step(Event::Ordered(self.lock));
    }

    fn step(&mut self, event: Event) {
        let Some(machine) = &mut self.machine else { return };
        if let Some(effect) = machine.step(event, self.now) {
            self.perform(effect);
        }
        for _ in 0..20 {
            let Some(machine) = &mut self.machine else { return };
            self.told_on_record = machine.told;
            let Some(effect) = machine.pursue(self.now) else { return };
            self.perform(effect);
        }
        panic!("it never comes to rest: {self:?}");
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Spawn => {
                assert!(self.main.is_none() && !self.left, "a second one: {self:?}");
                let main = pid(self.next);
                self.next += 1;
                self.on_record = Some(main);
                self.main = Some((main, false));
                self.once_due = false;
                if self.restart_of != Some(main) {
                    self.restart_of = None;
                }
                self.event(Event::Spawned(main));
            }
            Effect::Save(order) => {
                if self.writable {
                    match (order, self.lock) {
                        (Order::Ran, Some(Order::Once)) => self.lock = Some(order),
                        (Order::Ran, _) => {}
                        (_, None) => self.lock = Some(order),
                        (_, Some(there)) if there.starts() => {
                            self.lock = Some(order);
                            self.once_due = false;
                            self.restart_of = None;
                        }
                        _ => {}
                    }
                }
                self.event(Event::Saved(self.writable));
            }
            Effect::RemoveLock => {
                if self.writable && self.lock == Some(Order::Restart) {
                    self.lock = None;
                }
                self.event(Event::Saved(self.writable));
            }
            Effect::KillGroup => self.left = false,
            Effect::Kill(main) => assert_eq!(self.main.map(|(main, _)| main), Some(main), "a stranger is killed"),
            Effect::Terminate(main) => assert_eq!(self.main.map(|(main, _)| main), Some(main)),
            Effect::TerminateGroup => {}
            Effect::Finish => {
                assert!(self.main.is_none() && !self.left, "something is forgotten: {self:?}");
                self.machine = None;
                self.told_on_record = None;
                self.on_record = None;
                self.manage();
            }
        }
    }

    fn event(&mut self, event: Event) {
        if let Some(machine) = &mut self.machine {
            if let Some(effect) = machine.step(event, self.now) {
                self.perform(effect);
            }
        }
    }

    fn act(&mut self, deed: Deed) {
        match deed {
            Deed::Order(order) if self.writable => {
                // the same again is no new order
                if self.lock.replace(order) != Some(order) {
                    self.once_due = order == Order::Once && self.main.is_none();
                    self.restart_of = self.main.map(|(main, _)| main).filter(|_| order == Order::Restart);
                }
                self.step(Event::Ordered(self.lock));
            }
            Deed::Order(_) => {}
            Deed::Unlock => {
                self.lock = None;
                self.once_due = false;
                self.restart_of = None;
                self.step(Event::Ordered(None));
            }
            Deed::Tell(told) => {
                self.step(Event::Ordered(self.lock));
                self.step(Event::Told(told));
            }
            Deed::Execute => self.step(Event::Executed),
            Deed::End { left } => {
                if self.main.take().is_some() {
                    self.left = left;
                    self.event(Event::Ordered(self.lock));
                    self.step(Event::Ended(Ended::Code(1), left));
                }
            }
            Deed::Clear => {
                self.left = false;
                if self.machine.is_some_and(|machine| matches!(machine.state, State::Clearing(_))) {
                    self.step(Event::Cleared);
                }
            }
            Deed::Wait => {
                if let Some(at) = self.machine.and_then(|machine| machine.deadline()) {
                    self.now = self.now.max(at);
                    let had = self.left;
                    self.step(Event::Tick);
                    if had && !self.left {
                        self.step(Event::Cleared);
                    }
                }
            }
            Deed::Hurry => self.step(Event::Hurry),
            Deed::KillSupervisor => self.machine = None,
            Deed::Full(full) => self.writable = !full,
        }
        self.manage();
    }

    /// Everybody lets things take their course; then what is must be what is wanted.
    fn come_to_rest(mut self, history: &[Deed]) {
        self.act(Deed::Full(false));
        for _ in 0..12 {
            self.step(Event::Ordered(self.lock));
            self.manage();
            let state = self.machine.map(|machine| machine.state);
            match state {
                Some(State::Stopping(..)) => self.act(Deed::End { left: false }),
                Some(State::Starting(_)) => self.act(Deed::Execute),
                Some(State::Clearing(_)) => self.act(Deed::Clear),
                _ => {}
            }
            self.act(Deed::Wait);
        }
        let story = || format!("after {history:?}: {self:?}");
        match self.lock {
            None => assert!(matches!(self.machine.map(|m| m.state), Some(State::Up(_))), "not up {}", story()),
            Some(Order::Stop | Order::Kill) => assert!(self.main.is_none() && !self.left, "not down {}", story()),
            Some(Order::Once | Order::Restart) => panic!("an order is not carried out {}", story()),
            Some(_) => {}
        }
        assert!(!self.once_due, "once was forgotten {}", story());
        assert!(
            self.restart_of.is_none() || self.restart_of != self.main.map(|(main, _)| main),
            "restart was forgotten {}",
            story()
        );
        assert!(self.main.is_none() || self.machine.is_some(), "nobody looks after it {}", story());
    }
}

#[test]
fn no_history_runs_it_twice_or_loses_an_order() {
    let mut seen = HashSet::new();
    let mut front = vec![(World::new(), Vec::new())];
    for _ in 0..8 {
        let mut next = Vec::new();
        for (world, history) in front {
            for deed in DEEDS {
                let mut world = world.clone();
                world.act(deed);
                if seen.insert(world.clone()) {
                    let mut history = history.clone();
                    history.push(deed);
                    world.clone().come_to_rest(&history);
                    next.push((world, history));
                }
            }
        }
        front = next;
    }
    assert!(seen.len() > 5_000, "only {} states were seen", seen.len());
}

#[test]
fn no_long_random_history_does_either() {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for _ in 0..3_000 {
        let mut world = World::new();
        let mut history = Vec::new();
        for _ in 0..40 {
            // xorshift: the same histories each time
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let deed = match random % 17 {
                15 => Deed::Full(false),
                16 => Deed::Hurry,
                n => DEEDS[usize::try_from(n).expect("small")],
            };
            history.push(deed);
            world.act(deed);
        }
        world.come_to_rest(&history);
    }
}
