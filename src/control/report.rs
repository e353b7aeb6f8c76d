//! How a service is, in words: from what is known of it at one moment.

use std::time::Duration;

use super::condition::Condition;
use super::words::{length, list, short, times};
use crate::depends::lines::Awaited;
use crate::service::ended::Ended;
use crate::service::moment::Moment;
use crate::service::name::Name;
use crate::service::order::Order;
use crate::service::record::Process;
use crate::service::status::{Phase, Status};

/// What is said of a service whose file was changed after it was started.
pub const STALE: &str = "its file is newer than the process";

/// What is said of a service that is.
pub const SUSPENDED: &str = "suspended";

/// What comes sooner is said to come now: it would be shown as 0.0 s.
pub const SOON: Duration = Duration::from_millis(50);

/// Where the service stands in the service directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// It is there.
    Present,
    /// It is not, or not any more.
    Missing,
    /// It is there but can't be a service, for this reason.
    Refused(String),
}

/// The main process of a service, which lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Main {
    /// The process.
    pub process: Process,
    /// How long it has lived.
    pub age: Duration,
    /// Whether it is suspended, as by SIGSTOP.
    pub suspended: bool,
}

/// All that is known of a service at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its name.
    pub name: Name,
    /// Its entry.
    pub place: Place,
    /// Its status file, if that is of this boot.
    pub status: Option<Status>,
    /// Its main process, if that lives.
    pub main: Option<Main>,
    /// What its lock says.
    pub order: Option<Order>,
    /// What its living waiters wait for.
    pub waits: Vec<Awaited>,
    /// Those that it waits for, or of one that fails: has waited for, which are not up, and how they are.
    pub lacks: Vec<(Name, &'static str)>,
    /// Of one that fails: those that would wait for each other, itself first.
    pub circle: Vec<Name>,
    /// Of one that fails: where its standard error goes, if that is known.
    pub errors: Option<String>,
    /// Whether its file was changed after the process was started.
    pub stale: bool,
    /// Whether its runsyssv lives.
    pub supervised: bool,
    /// The interpreter that its first line names, if that is not there.
    pub interpreter: Option<String>,
    /// Whether sysmgr runs.
    pub managed: bool,
    /// When all this was seen.
    pub now: Moment,
}

impl View {
    /// In which condition it is.
    #[must_use]
    pub fn condition(&self) -> Condition {
        let Some(status) = &self.status else {
            return match self.place {
                Place::Refused(_) => Condition::Refused,
                Place::Present | Place::Missing if self.order.is_some() => Condition::Down,
                Place::Present | Place::Missing => Condition::New,
            };
        };
        match (status.phase, self.main) {
            (Phase::Up, Some(_)) if !self.waits.is_empty() => Condition::Waiting,
            (Phase::Up, Some(_)) => Condition::Up,
            (Phase::Stopping, Some(_)) => Condition::Stopping,
            (Phase::Starting, Some(_)) => Condition::Starting,
            (Phase::Up | Phase::Stopping | Phase::Starting, None) => Condition::Lost,
            (Phase::Clearing, _) => Condition::Clearing,
            (Phase::Backoff, _) => Condition::Backoff,
            (Phase::Refused, _) => Condition::Refused,
            (Phase::Down, _) => Condition::Down,
        }
    }

    /// How long it has been in its state; of a running one, how long it has run.
    #[must_use]
    pub fn length(&self) -> Option<Duration> {
        let state = |status: &Status| self.now.since(status.since_ms);
        match self.main.filter(|main| !main.age.is_zero()) {
            Some(main) if self.condition() != Condition::Stopping => Some(main.age),
            _ => self.status.as_ref().map(state),
        }
    }

    /// How often it was restarted.
    #[must_use]
    pub fn restarts(&self) -> u64 {
        self.status.as_ref().map_or(0, |status| status.starts.saturating_sub(1))
    }

    /// How its last run ended, in words.
    #[must_use]
    pub fn last(&self) -> Option<String> {
        let ended = self.status.as_ref()?.last_exit?;
        Some(ended.in_words_with(self.interpreter.as_deref()))
    }

    /// How its last run ended, and how long it was: `exited with 1 after 0.2 s`.
    #[must_use]
    pub fn last_run(&self) -> Option<String> {
        let last = self.last()?;
        let status = self.status.as_ref()?;
        match (self.run_length(), status.last_exit) {
            (_, Some(Ended::Exec(_) | Ended::Fork(_))) | (None, _) => Some(last),
            (Some(time), Some(Ended::Unknown)) => Some(format!("{last}, after {time}")),
            (Some(time), _) => Some(format!("{last} after {time}")),
        }
    }

    /// How long its last run was.
    #[must_use]
    pub fn run_length(&self) -> Option<String> {
        self.status.as_ref()?.last_run_ms.map(|ms| short(Duration::from_millis(ms)))
    }

    /// When it came into its state: `3 min ago`.
    #[must_use]
    pub fn ago(&self) -> Option<String> {
        self.length().map(|time| format!("{} ago", length(time)))
    }

    /// What keeps it down, or what is remarkable about how it runs.
    #[must_use]
    pub fn state(&self) -> Option<String> {
        Some(match self.condition() {
            Condition::Up => return None,
            Condition::Stopping => {
                let told = if self.order == Some(Order::Kill) { "killed" } else { "told to stop" };
                self.since(told)
            }
            Condition::Starting => "starting".to_owned(),
            Condition::Waiting => format!("waits for {}", self.awaited(true)),
            Condition::Clearing => "has ended, and what it left behind is being ended".to_owned(),
            Condition::Backoff => self.backoff(),
            Condition::Refused => format!("refused: {}", self.refusal()),
            Condition::Down => self.down(),
            Condition::Lost if self.supervised || self.managed => "its process is gone".to_owned(),
            Condition::Lost => "its process is gone, and sysmgr is not running".to_owned(),
            Condition::New if self.place == Place::Missing => "never started".to_owned(),
            Condition::New if self.managed => "not started yet".to_owned(),
            Condition::New => "never started, and sysmgr is not running".to_owned(),
        })
    }

    /// What it waits for, and if wanted, how that is.
    #[must_use]
    pub fn awaited(&self, with_states: bool) -> String {
        let one = |awaited: &Awaited| {
            let state = self.lacks.iter().find(|(name, _)| with_states && awaited.service() == Some(name));
            state.map_or_else(|| awaited.to_string(), |(_, state)| format!("{awaited} ({state})"))
        };
        list(&self.waits.iter().map(one).collect::<Vec<_>>())
    }

    /// Why its file can't be a service.
    #[must_use]
    pub fn refusal(&self) -> String {
        match (self.remark(), &self.place) {
            (Some(reason), _) => reason,
            (None, Place::Refused(reason)) => reason.clone(),
            (None, Place::Missing) => "it is not in the service directory".to_owned(),
            (None, Place::Present) => "it can't be a service as it is".to_owned(),
        }
    }

    /// When it is tried again.
    #[must_use]
    pub fn next_try(&self) -> Option<Duration> {
        let at = self.status.as_ref()?.next_try_ms?;
        Some(at.since(self.now))
    }

    /// What its supervisor has remarked of it.
    #[must_use]
    pub fn remark(&self) -> Option<String> {
        self.status.as_ref()?.reason.clone()
    }

    fn backoff(&self) -> String {
        let next = match self.next_try() {
            _ if !self.supervised && !self.managed => "not tried again, since sysmgr is not running".to_owned(),
            Some(time) if time >= SOON => format!("tried again in {}", short(time)),
            _ => "tried again now".to_owned(),
        };
        let last = self.last_run().map_or_else(String::new, |last| format!(": {last}"));
        let failures = self.status.as_ref().map_or(0, |status| status.failures);
        let often = if failures > 1 { format!(", {} in a row", times(failures.into())) } else { String::new() };
        let reason = self.remark().map_or_else(String::new, |reason| format!(": {reason}"));
        format!("{next}{last}{often}{reason}")
    }

    /// What happened, and when, if that is known.
    fn since(&self, what: &str) -> String {
        self.ago().map_or_else(|| what.to_owned(), |ago| format!("{what} {ago}"))
    }

    fn down(&self) -> String {
        let last = self.last_run().map_or_else(String::new, |last| format!(": {last}"));
        match self.order {
            Some(Order::Stop) => self.since("stopped"),
            Some(Order::Kill) => self.since("killed"),
            Some(Order::Ran) if self.status.is_none() => "ran once".to_owned(),
            Some(Order::Ran) => format!("{}{last}", self.since("ran once, until")),
            Some(Order::Shutdown) => self.since("stopped together with sysmgr"),
            Some(Order::Gone) => format!("{}, after its removal", self.since("stopped")),
            Some(Order::Hold) if self.status.is_none() => "held down by its lock".to_owned(),
            Some(Order::Hold) => format!("{}{last}", self.since("held down by its lock, ended")),
            Some(Order::Once | Order::Restart) | None if self.managed || self.supervised => {
                "about to be started".to_owned()
            }
            Some(Order::Once | Order::Restart) | None => "not started, since sysmgr is not running".to_owned(),
        }
    }

    /// What else one should know.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let condition = self.condition();
        let runs = matches!(condition, Condition::Up | Condition::Waiting | Condition::Starting);
        if runs && matches!(self.order, Some(Order::Ran | Order::Once)) {
            notes.push("runs once".to_owned());
        }
        if runs && self.order == Some(Order::Hold) {
            notes.push("not restarted when it ends".to_owned());
        }
        if runs && self.order == Some(Order::Restart) {
            notes.push("about to be restarted".to_owned());
        }
        if runs && self.stale {
            notes.push(STALE.to_owned());
        }
        if condition == Condition::Stopping && self.order.is_none_or(Order::starts) {
            notes.push("started again when it has ended".to_owned());
        }
        if self.main.is_some_and(|main| main.suspended) {
            notes.push(SUSPENDED.to_owned());
        }
        if self.place == Place::Missing
            && condition != Condition::New
            && (self.order, condition) != (Some(Order::Gone), Condition::Down)
        {
            notes.push("not in the service directory any more".to_owned());
        }
        if let Place::Refused(reason) = &self.place {
            if condition != Condition::Refused {
                notes.push(format!("not started again: {reason}"));
            }
        }
        if self.main.is_some() && !self.supervised && !self.managed {
            notes.push("without a supervisor, and sysmgr is not running".to_owned());
        }
        if condition == Condition::Backoff {
            notes.extend(self.round());
        }
        notes
    }

    /// What it needs and has not, if it fails.
    fn shortage(&self) -> Option<String> {
        if self.condition() != Condition::Backoff || self.lacks.is_empty() || !self.circle.is_empty() {
            return None;
        }
        let lacks: Vec<String> = self.lacks.iter().map(|(name, state)| format!("{name} ({state})")).collect();
        Some(format!("needs {}", list(&lacks)))
    }

    /// What there is to be said beside its state.
    pub(super) fn remarks(&self) -> impl Iterator<Item = String> {
        self.history().into_iter().chain(self.shortage()).chain(self.notes())
    }

    /// The circle that it is in.
    fn round(&self) -> Option<String> {
        let who = if self.circle.len() == 1 { "it would wait for itself" } else { "they would wait for each other" };
        let names = self.circle.iter().chain([self.circle.first()?]);
        Some(format!("{who}: {}", names.map(ToString::to_string).collect::<Vec<_>>().join(" -> ")))
    }

    /// What happened before: how often it was restarted, and how its last run ended.
    #[must_use]
    pub fn history(&self) -> Option<String> {
        let told = matches!(self.condition(), Condition::Up | Condition::Waiting | Condition::Stopping);
        let restarts = self.restarts();
        if !told || restarts == 0 {
            return None;
        }
        let restarted = format!("restarted {}", times(restarts));
        Some(match self.last() {
            _ if self.status.as_ref().is_some_and(|status| status.by_order) => format!("{restarted}, last by order"),
            Some(last) => format!("{restarted}, last {last}"),
            None => restarted,
        })
    }

    /// The line for it: `web: UP pid 1234, 3 h 12 min`.
    #[must_use]
    pub fn line(&self) -> String {
        let condition = self.condition();
        let mut parts: Vec<String> = Vec::new();
        if !condition.is_up() {
            parts.extend(self.state());
        }
        if let Some(main) = self.main {
            parts.push(format!("pid {}", main.process.pid));
            parts.push(length(if main.age.is_zero() { self.length().unwrap_or_default() } else { main.age }));
        }
        if condition.is_up() {
            parts.extend(self.state());
        }
        parts.extend(self.remarks());
        let word = if condition.is_up() { "UP" } else { "DOWN" };
        format!("{}: {word} {}", self.name, parts.join(", "))
    }
}
