//! One service, as whoever may control it sees it and speaks to it.

use nix::errno::Errno;

use super::goal::Seen;
use super::report::Place;
use super::survey::{Scene, order};
use crate::depends::others::main_of;
use crate::service::ended::Ended;
use crate::service::files;
use crate::service::name::Name;
use crate::service::order::Order;
use crate::service::pid::Pid;
use crate::service::record::{Process, Record};
use crate::sys::fault::Fault;
use crate::sys::files::Dir;
use crate::sys::group::lives;
use crate::sys::owner::{Holder, Owner};
use crate::sys::{interpreter, process, signals};

/// A service, and its directory if there is one.
#[derive(Debug)]
pub struct Service {
    name: Name,
    dir: Option<Dir>,
}

/// Whether a supervisor was told something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It was.
    Told,
    /// There is none; and whether a run is on record all the same.
    Nobody(bool),
}

impl Service {
    /// The service `name`.
    ///
    /// # Errors
    /// Why its directory can't be used.
    pub fn new(name: &Name, scene: &Scene) -> Result<Self, Fault> {
        let mut service = Self { name: name.clone(), dir: None };
        service.open(scene)?;
        Ok(service)
    }

    /// Opens its directory, if there is one. It may have been put into the place of another.
    fn open(&mut self, scene: &Scene) -> Result<(), Fault> {
        self.dir = match &scene.rundir {
            None => None,
            Some(rundir) => match rundir.own(self.name.as_os_str()) {
                Ok(dir) => Some(dir),
                Err(fault) if fault.errno == Errno::ENOENT => None,
                Err(fault) => return Err(fault),
            },
        };
        Ok(())
    }

    /// What is to be seen of it now.
    ///
    /// # Errors
    /// Why its directory can't be used, or the kernel not be asked.
    pub fn look(&mut self, scene: &Scene) -> Result<Seen, Fault> {
        if self.dir.as_ref().is_none_or(|dir| !dir.is_in_place()) {
            self.open(scene)?;
        }
        let mut seen = Seen {
            managed: true,
            supervised: false,
            left: false,
            status: None,
            main: None,
            order: None,
            interpreter: None,
            refusal: None,
        };
        if let Some(dir) = &self.dir {
            // the order before its supervisor: one that ends removes nothing after that
            seen.order = order(dir);
            match Owner::holder(dir)? {
                Holder::Nothing => {}
                Holder::Nobody(record) => {
                    let run = record.filter(|record| record.boot == scene.boot).and_then(|record| record.run);
                    seen.left = run.is_some_and(lives);
                }
                Holder::Process(..) => seen.supervised = true,
            }
            seen.status = scene.status(dir);
            seen.main = seen.status.as_ref().and_then(main_of);
            if matches!(seen.status.as_ref().and_then(|status| status.last_exit), Some(Ended::Exec(_))) {
                seen.interpreter = interpreter::missing(&scene.dirs.sysdir.join(&self.name));
            }
        }
        if seen.main.is_none() {
            if let Place::Refused(reason) = scene.place(&self.name).0 {
                seen.refusal = Some(reason);
            }
        }
        seen.managed = seen.supervised || scene.is_managed();
        Ok(seen)
    }

    /// Writes an order, into a directory that is made if there is none yet.
    ///
    /// # Errors
    /// What the system refused.
    pub fn write(&mut self, scene: &Scene, order: Order) -> Result<(), Fault> {
        if self.dir.is_none() {
            self.dir = Some(match &scene.rundir {
                Some(rundir) => rundir.make_sub(self.name.as_os_str())?,
                None => Dir::make(&scene.dirs.rundir)?.make_sub(self.name.as_os_str())?,
            });
        }
        let line = format!("{}\n", order.word());
        self.dir.as_ref().map_or(Ok(()), |dir| dir.replace(files::LOCK, line.as_bytes()))
    }

    /// Removes its order, whatever it is.
    ///
    /// # Errors
    /// What the system refused.
    pub fn unlock(&self) -> Result<(), Fault> {
        match &self.dir {
            Some(dir) if dir.has(files::LOCK) => dir.remove(files::LOCK),
            _ => Ok(()),
        }
    }

    /// Sends `signals` to its runsyssv: the process that has the lock, before and after we took
    /// hold of it.
    ///
    /// # Errors
    /// Why the kernel can't be asked; EPERM if it is not ours to signal.
    pub fn signal_supervisor(&self, signals: &[i32]) -> Result<Reach, Fault> {
        let Some(dir) = &self.dir else {
            return Ok(Reach::Nobody(false));
        };
        let record = match Owner::holder(dir)? {
            Holder::Nothing => return Ok(Reach::Nobody(false)),
            Holder::Nobody(record) => record,
            Holder::Process(..) => {
                signal_holder(dir, signals)?;
                return Ok(Reach::Told);
            }
        };
        Ok(Reach::Nobody(record.is_some_and(|record| record.run.is_some())))
    }

    /// Sends `signal` to its main process, by its record, else by its status; whether it has one.
    ///
    /// # Errors
    /// Why the kernel can't be asked; EPERM if it is not ours to signal.
    pub fn signal_main(&self, scene: &Scene, signal: i32) -> Result<bool, Fault> {
        let Some(dir) = &self.dir else {
            return Ok(false);
        };
        let record = match Owner::holder(dir)? {
            Holder::Nothing => None,
            Holder::Nobody(record) | Holder::Process(_, record) => record,
        };
        let by_status = || scene.status(dir).as_ref().and_then(main_of);
        let Some(main) = run_of(record, scene).or_else(by_status) else {
            return Ok(false);
        };
        match process::signal(main, signal) {
            Ok(()) => Ok(true),
            Err(Errno::ESRCH) => Ok(false),
            Err(errno) => Err(Fault::of("signal the process of", self.name.as_os_str())(errno)),
        }
    }
}

/// Sends signals to the process that has the lock of `dir`, if there still is one.
///
/// # Errors
/// Why the kernel can't be asked; EPERM if it is not ours to signal.
pub fn signal_holder(dir: &Dir, signals: &[i32]) -> Result<(), Fault> {
    let held_by = || match Owner::holder(dir)? {
        Holder::Process(raw, _) => Ok::<_, Fault>(Pid::new(raw)),
        Holder::Nothing | Holder::Nobody(_) => Ok(None),
    };
    // another PID namespace's is not known here; it will be seen all the same
    let Some(pid) = held_by()? else { return Ok(()) };
    // its start time, or else the short time between, makes the number its own
    let holder = process::identify(pid);
    if held_by()? != Some(pid) {
        return Ok(());
    }
    for signal in signals {
        match process::signal(holder, *signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => return Err(Fault::of("signal the supervisor of", dir.path())(errno)),
        }
    }
    Ok(())
}

fn run_of(record: Option<Record>, scene: &Scene) -> Option<Process> {
    Some(record.filter(|record| record.boot == scene.boot)?.run?.process)
}

impl Scene {
    /// Has sysmgr look at all services.
    pub fn nudge_manager(&self) {
        if let Some(dir) = &self.rundir {
            // it has seen the orders by itself already, unless it can't watch
            let _ = signal_holder(dir, &[signals::SIGUSR1]);
        }
    }
}
