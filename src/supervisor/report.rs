//! What is told of a service: its record, its status, and messages.

use super::driver::Supervisor;
use super::machine::State;
use super::run::service_path;
use crate::cli::Verbosity;
use crate::service::ended::Ended;
use crate::service::moment::Seconds;
use crate::service::record::{Process, Record};
use crate::service::status::{Phase, Status};
use crate::sys::fault::Fault;
use crate::sys::{clock, interpreter, message};

impl Supervisor {
    pub(super) fn to_record(&self) -> Record {
        let told = self.machine.told;
        Record { boot: self.boot, run: self.run, told, locked: told.is_some() && self.machine.locked }
    }

    /// Brings the record up to date, if it is not.
    pub(super) fn record(&mut self) {
        let record = self.to_record();
        if self.recorded != Some(record) {
            let written = self.files.write_record(&record);
            if written.is_ok() {
                self.recorded = Some(record);
            }
            self.report(written);
        }
    }

    /// Puts back what others have taken away.
    pub(super) fn restore(&mut self) {
        let restored = self.files.restore(&self.options.rundir, &self.options.name, &self.to_record());
        self.report(restored);
    }

    /// Brings record and status up to date.
    pub(super) fn publish(&mut self) {
        self.record();
        if self.since.0 != self.machine.since {
            let ago = clock::now().since(self.machine.since).as_secs();
            self.since = (self.machine.since, clock::wall().saturating_sub(ago));
        }
        let status = self.status();
        let written = self.files.write_status(&status);
        self.report(written);
    }

    pub(super) fn status(&self) -> Status {
        let machine = &self.machine;
        let phase = match machine.state {
            State::Down => Phase::Down,
            State::Starting(_) => Phase::Starting,
            State::Up(_) => Phase::Up,
            State::Stopping(..) => Phase::Stopping,
            State::Clearing(_) => Phase::Clearing,
            State::Backoff(_) => Phase::Backoff,
            State::Refused => Phase::Refused,
        };
        let (since_ms, since) = self.since;
        let mut status = Status::new(phase, since, since_ms, self.boot.as_str().to_owned());
        let main: Option<Process> = self.run.map(|run| run.process).filter(|_| machine.main().is_some());
        status.pid = main.map(|main| main.pid);
        status.start_time = main.map(|main| main.start);
        status.starts = machine.starts;
        status.failures = machine.failures;
        status.last_exit = machine.last;
        status.last_run_ms = machine.last_run.map(|run| u64::try_from(run.as_millis()).unwrap_or(u64::MAX));
        status.by_order = machine.by_order;
        if let State::Backoff(at) = machine.state {
            status.next_try_ms = Some(at);
        }
        status.order = machine.order.map(|order| order.word().to_owned());
        status.reason.clone_from(&self.reason);
        status
    }

    /// Says how a run has ended, and what happens now, unless it was asked for.
    pub(super) fn tell_of_end(&self) {
        let Some(last) = self.machine.last else {
            return;
        };
        let run = Seconds(self.machine.last_run.unwrap_or_default());
        let ended = match last {
            Ended::Exec(_) => last.in_words_with(interpreter::missing(service_path(self.path)).as_deref()),
            Ended::Code(_) | Ended::Signal { .. } | Ended::Fork(_) => format!("{} after {run} s", last.in_words()),
            Ended::Unknown => format!("{}, after {run} s", last.in_words()),
        };
        match self.machine.state {
            _ if !self.machine.is_wanted() => {
                self.say(Verbosity::Verbose, format_args!("{ended}, as it was told"));
            }
            State::Backoff(at) => {
                let wait = at.since(clock::now());
                let seconds = Seconds(wait);
                if let Some(reason) = &self.reason {
                    self.say(Verbosity::Quiet, format_args!("{ended}: {reason}; tried again in {seconds} s"));
                } else if !wait.is_zero() {
                    let failures = self.machine.failures;
                    self.say(
                        Verbosity::Quiet,
                        format_args!("{ended}, {failures} times in a row; tried again in {seconds} s"),
                    );
                } else {
                    self.say(Verbosity::Normal, format_args!("{ended}; started again"));
                }
            }
            State::Clearing(_) => {
                self.say(Verbosity::Normal, format_args!("{ended}; what it left behind is ended"));
            }
            _ => {}
        }
    }

    /// Reports what the system refused, once until all works again.
    pub(super) fn report(&mut self, result: Result<(), Fault>) {
        if let Err(fault) = result {
            if !std::mem::replace(&mut self.fault_said, true) {
                self.say(Verbosity::Quiet, format_args!("{fault}; it is tried again"));
            }
            self.faulty = true;
        }
    }

    pub(super) fn say(&self, least: Verbosity, what: std::fmt::Arguments<'_>) {
        if self.options.verbosity >= least {
            message::say(format_args!("sysmgr: {}: {what}", self.options.name));
        }
    }
}
