//! The end of sysmgr: every service is stopped first.

use std::collections::BTreeMap;

use crate::cli::Verbosity;
use crate::depends::graph::Departure;

use super::left::{read_order, record_of, remove_files};
use super::services::Services;
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
    /// When more is done about what has not ended.
    pub at: Moment,
    /// How often that was done.
    rounds: u32,
    /// Who may go when: a service before those that it has waited for.
    departure: Departure,
    /// What the lock said of those that could not be told by it: to be started once, or nothing.
    unwritten: BTreeMap<Name, Option<Order>>,
}

impl Shutdown {
    /// Tells those services to stop that no other needs.
    #[must_use]
    pub fn begin(services: &mut Services) -> Self {
        services.ending = true;
        services.note(Verbosity::Normal, format_args!("told to end; all services are stopped"));
        // what was due can be left; but no process may be overlooked
        services.due.clear();
        services.all.values_mut().for_each(|service| service.heal_at = None);
        let names: Vec<Name> = services.all.keys().cloned().collect();
        for name in names.iter().filter(|name| !services.is_supervised(name)).collect::<Vec<_>>() {
            services.attend(name);
        }
        let departure = services.graph().departure(names.into_iter().filter(|name| services.is_supervised(name)));
        let at = clock::now() + services.options.shutdown_timeout / 2;
        let mut shutdown = Self { at, rounds: 0, departure, unwritten: BTreeMap::new() };
        for name in shutdown.departure.first() {
            shutdown.stop(services, &name);
        }
        // nothing new is to be noticed; the kernel takes its time over it, in which services end
        services.close_watches();
        shutdown
    }

    /// Tells those to stop that were needed only by what has ended.
    pub fn go_on(&mut self, services: &mut Services) {
        for name in std::mem::take(&mut services.ended) {
            // another runsyssv may have had to take over
            if !services.is_supervised(&name) {
                for next in self.departure.gone(&name) {
                    self.stop(services, &next);
                }
            }
        }
    }

    /// Whether nothing runs any more.
    #[must_use]
    pub fn is_over(services: &Services) -> bool {
        services.children.is_empty() && services.others.is_empty() && services.due.is_empty()
    }

    /// Half of the time is up: all are told, so that one that does not end does not cost others
    /// their orderly end. All of it is: SIGKILL for what is left.
    pub fn hasten(&mut self, services: &mut Services) {
        let names: Vec<Name> = services.all.keys().cloned().collect();
        for name in &names {
            if !services.is_supervised(name) {
                continue;
            }
            match self.rounds {
                0 => self.stop(services, name),
                // it does not do what it is told; another one ends what it has left
                rounds if rounds % 3 == 0 => services.signal(name, &[signals::SIGKILL]),
                rounds => {
                    if rounds == 1 {
                        services.say(Verbosity::Quiet, name, format_args!("not stopped in time; it is killed"));
                    }
                    services.signal(name, &[signals::SIGUSR1, signals::SIGCONT]);
                }
            }
        }
        let wait = if self.rounds == 0 { services.options.shutdown_timeout / 2 } else { RETRY / 2 };
        self.rounds = self.rounds.saturating_add(1);
        self.at = clock::now() + wait;
    }

    /// Removes our files: all but what keeps stopped services stopped.
    pub fn clean_up(&self, services: &mut Services) {
        for name in services.all.keys() {
            let Ok(dir) = services.rundir.sub(name.as_os_str()) else {
                continue;
            };
            if !matches!(record_of(&dir), Ok(Some(_))) {
                // nothing of ours, unless it is empty
                services.rundir.remove_dir(name.as_os_str());
                continue;
            }
            // its supervisor has taken our signal for somebody's wish that it stays down
            let is_ours = |text: &[u8]| matches!(Order::parse(text), Order::Stop | Order::Kill);
            let _ = match self.unwritten.get(name) {
                Some(Some(order)) => dir.replace_if(LOCK, is_ours, format!("{}\n", order.word()).as_bytes()),
                Some(None) => dir.remove_if(LOCK, is_ours),
                None => Ok(false),
            };
            if matches!(read_order(&dir), Ok(None | Some(Order::Shutdown | Order::Gone))) {
                remove_files(&dir, &files::OF_SERVICE);
                services.rundir.remove_dir(name.as_os_str());
            } else {
                remove_files(&dir, &[files::PID, files::SYSPID, files::WAITING, files::READY]);
            }
        }
        remove_files(&services.rundir, &[files::PID, files::OWNER]);
    }

    /// Tells a service to stop, with an order that is void for the next sysmgr. A supervisor only has to look at
    /// it: a signal to stop that it takes after the next sysmgr has removed the order would be one to stay down.
    fn stop(&mut self, services: &mut Services, name: &Name) {
        let ordered = if let Ok(dir) = services.rundir.make_sub(name.as_os_str()) {
            self.write_order(&dir, name)
        } else {
            // it was removed just now, and no order is in what comes in its place
            self.unwritten.insert(name.clone(), None);
            false
        };
        let tell = if ordered { signals::SIGALRM } else { signals::SIGTERM };
        services.signal(name, &[tell, signals::SIGCONT]);
    }

    /// An order that has the service started again would outlive this: it becomes one that waits for
    /// the next sysmgr too. What cannot be written is in the supervisor's record at least. Whether there
    /// is an order to stop now.
    fn write_order(&mut self, dir: &Dir, name: &Name) -> bool {
        let content = format!("{}\n", Order::Shutdown.word());
        if matches!(dir.make_file(LOCK, content.as_bytes()), Ok(true)) {
            return true;
        }
        match read_order(dir) {
            Ok(Some(Order::Stop | Order::Kill | Order::Gone | Order::Shutdown)) => true,
            Ok(Some(Order::Restart)) => {
                let is_restart = |text: &[u8]| Order::parse(text) == Order::Restart;
                matches!(dir.replace_if(LOCK, is_restart, content.as_bytes()), Ok(true))
            }
            Ok(order @ (None | Some(Order::Once))) => {
                self.unwritten.insert(name.clone(), order);
                false
            }
            Ok(Some(Order::Ran | Order::Hold)) | Err(_) => false,
        }
    }
}
