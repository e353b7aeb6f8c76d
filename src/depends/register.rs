//! The own side of a wait: the lines in `waiting` and `depends` of the service that waits.

use super::lines::{Awaited, Waiter, write_depends, write_waiting};
use super::others::{is_newer, living_waiters, main_of, recorded, status};
use super::up::mark;
use crate::service::files;
use crate::service::name::Name;
use crate::service::pid::Pid;
use crate::service::record::{BootId, Process};
use crate::startup::Dirs;
use crate::sys::fault::Fault;
use crate::sys::files::Dir;
use crate::sys::{mark as marks, process};

/// This wait, as others can see it.
#[derive(Debug)]
pub struct Register<'d> {
    dirs: &'d Dirs,
    /// The service that waits.
    pub name: Name,
    /// This process.
    process: Process,
    /// The main process of the service.
    main: Process,
    /// What is written.
    written: Vec<Awaited>,
}

impl<'d> Register<'d> {
    /// For a wait of the service `name`, if that runs.
    #[must_use]
    pub fn new(dirs: &'d Dirs, name: Name, boot: BootId) -> Option<Self> {
        let own = Pid::new(i32::try_from(std::process::id()).ok()?)?;
        let dir = Dir::open(&dirs.rundir).ok()?.see(name.as_os_str()).ok()?;
        let main = main_of(&status(&dir, boot)?)?;
        Some(Self { dirs, name, process: process::identify(own), main, written: Vec::new() })
    }

    fn dir(&self) -> Result<Dir, Fault> {
        Dir::open(&self.dirs.rundir)?.own(self.name.as_os_str())
    }

    /// Has `waiting` say what this process waits for, and nothing of those that have ended.
    ///
    /// # Errors
    /// What the system refused.
    pub fn write(&mut self, awaited: &[Awaited]) -> Result<(), Fault> {
        let dir = self.dir()?;
        marks::alone(&dir, || {
            let mut waiters = living_waiters(&dir);
            waiters.retain(|waiter| waiter.process != self.process);
            waiters.extend(awaited.iter().map(|awaited| Waiter { process: self.process, awaited: awaited.clone() }));
            if waiters.is_empty() {
                dir.remove(files::WAITING)
            } else {
                dir.replace(files::WAITING, &write_waiting(&waiters))
            }
        })?;
        self.written = awaited.to_vec();
        Ok(())
    }

    /// Whether what was written is not what is awaited.
    #[must_use]
    pub fn differs(&self, awaited: &[Awaited]) -> bool {
        self.written != awaited
    }

    /// Whether somebody has removed what was written.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        let ours = |dir: &Dir| living_waiters(dir).iter().any(|waiter| waiter.process == self.process);
        !self.written.is_empty() && !self.dir().is_ok_and(|dir| ours(&dir))
    }

    /// Adds `names`, if there are any, to what the service is known to have waited for, and marks it
    /// as having waited in this run. What it waited for before its file was changed is forgotten.
    ///
    /// # Errors
    /// What the system refused.
    pub fn learn(&self, names: &[Name]) -> Result<(), Fault> {
        if names.is_empty() {
            return Ok(());
        }
        let dir = self.dir()?;
        let this_run = mark(self.main);
        marks::alone(&dir, || {
            let before = recorded(&dir);
            let marked = marks::changed(&dir, files::DEPENDS).is_some_and(|(_, mark)| mark == this_run);
            let mut all = before.clone();
            if !marked && is_newer(&self.dirs.sysdir.join(&self.name), &dir) {
                all.clear();
            }
            let new: Vec<_> = names.iter().filter(|name| !all.contains(name)).cloned().collect();
            all.extend(new);
            if all != before {
                dir.replace(files::DEPENDS, &write_depends(&all))?;
            }
            marks::set_changed(&dir, files::DEPENDS, this_run)
                .map_err(Fault::of("mark", dir.path().join(files::DEPENDS)))
        })
    }
}
