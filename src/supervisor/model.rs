//! The model of a supervised service: in which states it can be, what happens, what is done.
//!
//! # The model
//!
//! A service *is* in one of seven states, and somebody *wants* something of it. The two stand apart:
//!
//! - What is: [`State`]. A process is there in `Starting` (made, let go, not known to execute the
//!   service yet), `Up` and `Stopping`. In `Clearing` the main process is gone and what it left in its
//!   group is being ended. In `Backoff`, `Refused` and `Down` there is nothing: in `Backoff` it is
//!   tried again at a moment, in `Refused` when its file changes.
//! - What is wanted: the standing order that the lock has (`order`), or what a signal told
//!   (`told`), which counts for more and is on record until the service is down.
//!
//! An event first changes what is or what is wanted (`Machine::step` names every pair of state and
//! event); then `Machine::pursue` compares the two and takes the one step that follows. It is
//! repeated until nothing follows. A supervisor that comes after another's death finds the state from the
//! record, reads the order, and pursues the same as its predecessor did.
//!
//! ```text
//!             Spawn            Executed
//!  Down ---------> Starting ------------> Up
//!   ^ ^               |   \              /  |
//!   | |               |    v            v   |
//!   | |               |     Stopping <-'    |
//!   | |               v        |            v
//!   | '---- Clearing <-- ended with something left in its group
//!   |          |               |
//!   '----------+--- ended -----+----> Backoff ----> Starting
//! ```
//!
//! An order that is carried out is taken back from the lock (`once` becomes `ran`, `restart` is
//! removed). What could not be written to the lock is remembered as `unsaved`: it counts as if it
//! stood there, and is tried again.

use std::time::Duration;

use crate::service::ended::Ended;
use crate::service::moment::Moment;
use crate::service::order::Order;
use crate::service::pid::Pid;
use crate::service::record::Told;

/// How long a supervisor waits before it tries again what the system refused (a fork, a write).
pub const RETRY: Duration = Duration::from_secs(1);

/// The timings that the decisions depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Policy {
    /// The wait after the second failure in a row; it doubles with each further one.
    pub delay: Duration,
    /// The longest wait.
    pub delay_max: Duration,
    /// A run of this length forgets all failures.
    pub stable_after: Duration,
    /// How long what was left behind has before SIGKILL.
    pub stop_timeout: Duration,
}

/// What is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// No process, nothing left of one, nothing due.
    Down,
    /// The process exists and may execute the service, or fail to.
    Starting(Pid),
    /// The service runs.
    Up(Pid),
    /// The main process has been told to end, with which signal.
    Stopping(Pid, Told),
    /// The main process is gone; the rest of its group gets SIGKILL at this moment (again).
    Clearing(Moment),
    /// Nothing runs; the next start is at this moment.
    Backoff(Moment),
    /// Nothing runs; the file can't be a service as it is.
    Refused,
}

/// What happens to a supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The lock was read; nothing, or this order, stands in it.
    Ordered(Option<Order>),
    /// A signal told to stop or kill.
    Told(Told),
    /// What was to be written to the lock is there now, or could not be written.
    Saved(bool),
    /// A waiting service is to be tried now: its file has changed, what it needs is there, or
    /// somebody wants it.
    Hurry,
    /// The process was made, and let go.
    Spawned(Pid),
    /// No process could be made.
    NotSpawned(i32),
    /// The file can't be a service as it is, or is just being written.
    Refused,
    /// The service executes.
    Executed,
    /// The main process has ended, with something left in its group or not.
    Ended(Ended, bool),
    /// The main process is about to be known to have ended, and a process of another session is left.
    Detached,
    /// Nothing is left in the group.
    Cleared,
    /// Time has passed.
    Tick,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Start the service.
    Spawn,
    /// Send the main process SIGTERM and SIGCONT.
    Terminate(Pid),
    /// Send the main process SIGKILL.
    Kill(Pid),
    /// Send what is left in the group SIGTERM and SIGCONT.
    TerminateGroup,
    /// Send what is left in the group SIGKILL.
    KillGroup,
    /// Write the order to the lock.
    Save(Order),
    /// Remove the lock.
    RemoveLock,
    /// The supervisor has nothing to do any more.
    Finish,
}
