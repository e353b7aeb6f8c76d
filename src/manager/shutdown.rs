//! The end of sysmgr: every service is stopped first.

use crate::cli::Verbosity;

use super::services::{Services, Supervisor, read_order, record_of, remove_files};
use crate::service::files::{self, LOCK};
use crate::service::moment::Moment;
use crate::service::name::Name;
use crate::service::order::Order;
use crate::supervisor::machine::RETRY;
use crate::sys::files::Dir;
use crate::sys::{clock, signals};

/// The way to the end.
#[derive(Debug)]
pub struct Shutdown {
    /// When the patience with services ends, and then with their supervisors; it is tried again.
    pub at: Moment,
    /// How often it has ended already.
    rounds: u32,
}

impl Shutdown {
    /// Tells all services to stop.
    #[must_use]
    pub fn begin(services: &mut Services) -> Self {
        services.ending = true;
        let names: Vec<Name> = services.all.keys().cloned().collect();
        services.note(Verbosity::Normal, format_args!("told to end; all services are stopped"));
        for name in &names {
            stop(services, name);
        }
        // what was due can be left; but no process may be overlooked
        services.due.clear();
        for name in &names {
            services.attend(name);
        }
        Self { at: clock::now() + services.options.shutdown_timeout, rounds: 0 }
    }

    /// Whether nothing runs any more.
    #[must_use]
    pub fn is_over(services: &Services) -> bool {
        services.all.values().all(|service| matches!(service.supervisor, Supervisor::None)) && services.due.is_empty()
    }

    /// Time is up: SIGKILL for what is left.
    pub fn hasten(&mut self, services: &mut Services) {
        let names: Vec<Name> = services.all.keys().cloned().collect();
        for name in &names {
            if matches!(services.know(name).supervisor, Supervisor::None) {
                continue;
            }
            if self.rounds == 0 {
                services.say(Verbosity::Quiet, name, format_args!("not stopped in time; it is killed"));
            }
            if self.rounds == 2 {
                // it does not do what it is told; another one ends what it has left
                services.signal(name, &[signals::SIGKILL]);
            } else {
                services.signal(name, &[signals::SIGUSR1, signals::SIGCONT]);
            }
        }
        self.rounds = (self.rounds + 1) % 3;
        self.at = clock::now() + RETRY / 2;
    }

    /// Removes our files: all but what keeps stopped services stopped.
    pub fn clean_up(services: &mut Services) {
        for name in services.rundir.names().unwrap_or_default() {
            let Ok(dir) = services.rundir.sub(name.as_os_str()) else {
                continue;
            };
            if record_of(&dir).is_none() {
                // nothing of ours, unless it is empty
                services.rundir.remove_dir(name.as_os_str());
                continue;
            }
            if matches!(read_order(&dir), None | Some(Order::Shutdown | Order::Gone)) {
                remove_files(&dir, &files::OF_SERVICE);
                services.rundir.remove_dir(name.as_os_str());
            } else {
                remove_files(&dir, &[files::PID, files::SYSPID, files::WAITING, files::READY]);
            }
        }
        remove_files(&services.rundir, &[files::PID, files::OWNER]);
    }
}

/// Tells a service to stop, with an order that is void for the next sysmgr.
fn stop(services: &mut Services, name: &Name) {
    if let Ok(dir) = services.rundir.sub(name.as_os_str()) {
        write_order(&dir);
    }
    services.signal(name, &[signals::SIGTERM, signals::SIGCONT]);
}

/// An order that has the service started again would outlive this: it becomes one that waits for
/// the next sysmgr too. What cannot be written is in the supervisor's record at least.
fn write_order(dir: &Dir) {
    let content = format!("{}\n", Order::Shutdown.word());
    if !matches!(dir.make_file(LOCK, content.as_bytes()), Ok(true)) {
        let _ = dir.replace_if(LOCK, |text| Order::parse(text) == Order::Restart, content.as_bytes());
    }
}
