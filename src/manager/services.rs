//! What sysmgr knows of each service, and doing what was decided.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

use nix::errno::Errno;

use super::Options;
use super::actions::tidy;
use super::clearing::Clearing;
use super::left::read_order;
use super::plan::{self, Action, Facts, Presence};
use crate::cli::Verbosity;
use crate::service::moment::Moment;
use crate::service::name::Name;
use crate::service::pid::Pid;
use crate::service::record::{BootId, Run};
use crate::sys::context::Umask;
use crate::sys::entry::{self, Entry};
use crate::sys::fault::{Fault, is_passing};
use crate::sys::files::Dir;
use crate::sys::group::lives;
use crate::sys::process::Handle;
use crate::sys::stamp::Stamp;
use crate::sys::watch::{self, Watch, Watched};
use crate::sys::{clock, message, signals};

/// The runsyssv of a service.
#[derive(Debug)]
pub enum Supervisor {
    /// None.
    None,
    /// A child of ours, and since when.
    Child(Pid, Moment),
    /// One that outlived the sysmgr that started it.
    Adopted(Handle),
    /// It died, and we could not look yet at what it has left: it may be a running service.
    Lost(Pid),
    /// It died and left no record: what lived in its session is being ended.
    Clearing(Clearing),
}

/// What is known of a service.
#[derive(Debug)]
pub struct Service {
    /// What its entry was at the last look.
    pub entry: Entry,
    /// Until when a missing entry is only missed.
    pub missed_until: Option<Moment>,
    /// Its runsyssv.
    pub supervisor: Supervisor,
    /// The run that was last seen on record: what still lives of it when the record is wiped.
    pub(super) run: Option<Run>,
    /// How often in a row its runsyssv has died at once.
    pub crashes: u32,
    /// How often in a row its runsyssv has ended at once, as it should.
    pub brief: u32,
    /// Until when no runsyssv is started.
    pub held_until: Option<Moment>,
    /// When its files are looked at, since others have touched them.
    pub heal_at: Option<Moment>,
    /// Whether they were changed, not only removed.
    pub defaced: bool,
    /// The watch on its run directory.
    pub watched: Option<Watched>,
    /// Its files as they were seen last, for where changes can't be watched.
    pub(super) files: [Option<Stamp>; 5],
    /// Whether it was stopped for its entry being gone.
    pub(super) dismissed: bool,
    /// The trouble that was reported last.
    pub(super) reported: Option<String>,
}

/// All services, and what concerns them together.
pub struct Services {
    /// What sysmgr is to do.
    pub options: Options,
    /// Where the service directory is watched, and what its links lead to, as far as that is possible.
    pub watch: Option<Watch>,
    /// Where the run directories are.
    pub run_watch: Option<Watch>,
    /// The run directory.
    pub rundir: Dir,
    /// By name.
    pub all: BTreeMap<Name, Service>,
    /// The runsyssv that are children.
    pub children: HashMap<Pid, Name>,
    /// The run directories that are watched.
    pub watched: HashMap<Watched, Name>,
    /// The moments at which something is due.
    pub due: BTreeSet<(Moment, Name)>,
    /// Whether sysmgr is ending.
    pub ending: bool,
    /// What files are made with.
    pub umask: Umask,
    /// This boot.
    pub boot: BootId,
    /// Whether something can't be watched, so that one has to look.
    pub blind: bool,
    /// Whether that has been said already.
    pub was_blind: bool,
    /// Whether the service directory can't be read or believed: then no entry counts as removed.
    pub unsure: bool,
    /// Whether the run directory was found to be gone, so that it has to be put back.
    pub misplaced: bool,
    /// Whether one could not look at an entry: it is what it was before, until one can.
    pub unseen: bool,
    /// By a service, those that have waited for it.
    pub dependents: HashMap<Name, BTreeSet<Name>>,
    /// While sysmgr is ending, those whose supervisors have.
    pub ended: Vec<Name>,
    /// Those whose supervisors, or what these left, are no children.
    pub others: BTreeSet<Name>,
    pub(super) runsyssv: Option<PathBuf>,
}

impl Services {
    /// None yet.
    #[must_use]
    pub fn new(options: Options, rundir: Dir, umask: Umask, boot: BootId) -> Self {
        let mut services = Self {
            options,
            blind: false,
            watch: None,
            run_watch: None,
            rundir,
            all: BTreeMap::new(),
            children: HashMap::new(),
            watched: HashMap::new(),
            due: BTreeSet::new(),
            ending: false,
            umask,
            boot,
            was_blind: false,
            unsure: false,
            misplaced: false,
            unseen: false,
            dependents: HashMap::new(),
            ended: Vec::new(),
            others: BTreeSet::new(),
            runsyssv: None,
        };
        if let Err(errno) = services.open_watches() {
            services.go_blind(errno);
        }
        services
    }

    fn open_watches(&mut self) -> Result<(), Errno> {
        for watch in [&mut self.watch, &mut self.run_watch] {
            if watch.is_none() {
                *watch = Some(Watch::new()?);
            }
        }
        Ok(())
    }

    /// Watches nothing any more.
    pub fn close_watches(&mut self) {
        (self.watch, self.run_watch, self.blind) = (None, None, false);
    }

    /// The service `name`, known from now on.
    pub fn know(&mut self, name: &Name) -> &mut Service {
        self.all.entry(name.clone()).or_insert_with(|| Service {
            entry: Entry::Missing,
            missed_until: None,
            supervisor: Supervisor::None,
            run: None,
            crashes: 0,
            brief: 0,
            held_until: None,
            heal_at: None,
            defaced: false,
            watched: None,
            files: [None; 5],
            dismissed: false,
            reported: None,
        })
    }

    /// Has `name` attended to at `at`.
    pub fn attend_at(&mut self, name: &Name, at: Moment) {
        self.due.insert((at, name.clone()));
    }

    /// Looks at the entry of `name` again: it may have changed.
    pub fn look(&mut self, name: &Name) {
        let path: &std::path::Path = name.as_ref();
        let entry = entry::look(&self.options.sysdir, path, self.options.owner_check);
        if matches!(entry, Entry::Unknown(_)) {
            // what it was is not forgotten; and it is looked for
            self.unseen = true;
            return;
        }
        let now = clock::now();
        let service = self.know(name);
        let changed = service.entry != entry;
        let was_there = service.entry != Entry::Missing;
        if entry != Entry::Missing {
            service.missed_until = None;
            service.dismissed = false;
        } else if was_there || service.missed_until.is_none() {
            service.missed_until = Some(now + plan::GRACE);
            self.attend_at(name, now + plan::GRACE);
        }
        self.know(name).entry = entry;
        if changed {
            let startable = matches!(self.know(name).entry, Entry::Service(_));
            self.know(name).held_until = None;
            if startable {
                // one that we have just found may not know that its file has changed
                self.signal(name, &[if was_there { signals::SIGCONT } else { signals::SIGALRM }]);
            }
        }
        self.attend_at(name, now);
    }

    /// Whether one has to look from time to time, since not all is told.
    #[must_use]
    pub fn must_look(&self) -> bool {
        self.blind || !watch::TELLS_ALL || self.unsure || self.unseen
    }

    /// Decides what is to be done about `name`, and does it.
    pub fn attend(&mut self, name: &Name) {
        let dir = match self.prepare(name) {
            Ok(dir) => dir,
            Err(fault) => return self.put_off(name, &fault),
        };
        if let Err(fault) = self.find_supervisor(name, dir.as_ref()) {
            return self.put_off(name, &fault);
        }
        let now = clock::now();
        loop {
            let facts = match self.facts(name, dir.as_ref(), now) {
                Ok(facts) => facts,
                Err(fault) => return self.put_off(name, &fault),
            };
            let action = plan::decide(&facts);
            let done = match action {
                Action::Nothing => {
                    if let Some(dir) = dir.as_ref().filter(|_| !facts.supervised) {
                        tidy(dir, false);
                    }
                    Ok(())
                }
                Action::Supervise => {
                    if facts.alive {
                        // one that does not end what lives on is not started again and again
                        let wait = plan::delay(self.know(name).brief);
                        self.know(name).held_until.get_or_insert(now + wait);
                    }
                    self.start(name, now);
                    Ok(())
                }
                Action::Unlock => match self.unlock(name, dir.as_ref(), facts.order) {
                    Ok(()) => continue,
                    Err(fault) => Err(fault),
                },
                Action::Dismiss => self.dismiss(name, dir.as_ref(), facts),
                Action::Forget => {
                    self.forget(name, dir.as_ref());
                    return;
                }
                Action::Refuse => {
                    if let Some(dir) = &dir {
                        tidy(dir, true);
                    }
                    self.refuse(name, dir.as_ref())
                }
            };
            if let Err(fault) = done {
                self.put_off(name, &fault);
            }
            return;
        }
    }

    /// Something failed that can be tried again.
    pub(super) fn put_off(&mut self, name: &Name, fault: &Fault) {
        let now = clock::now();
        let again = now + self.options.rescan;
        self.misplaced |= !self.rundir.is_in_place();
        let text = fault.to_string();
        let service = self.know(name);
        if service.reported.as_ref() != Some(&text) {
            service.reported = Some(text);
            self.say(Verbosity::Quiet, name, format_args!("{fault}; it is tried again"));
        }
        self.attend_at(name, again);
    }

    /// The run directory of `name`: made and watched, unless there is no reason for one. What stands in its place when
    /// all is to end is left alone.
    fn prepare(&mut self, name: &Name) -> Result<Option<Dir>, Fault> {
        let wanted = !self.ending && !matches!(self.know(name).entry, Entry::Missing);
        let dir = if wanted {
            self.rundir.make_sub(name.as_os_str())?
        } else {
            match self.rundir.sub(name.as_os_str()) {
                Err(fault) if fault.errno == Errno::ENOENT => return Ok(None),
                Err(fault) if self.ending && !is_passing(fault.errno) => return Ok(None),
                other => other?,
            }
        };
        self.watch_dir(name, &dir);
        Ok(Some(dir))
    }

    fn watch_dir(&mut self, name: &Name, dir: &Dir) {
        let Some(watch) = &self.run_watch else { return };
        match watch.add(dir.path()) {
            Ok(watched) => {
                self.watched.insert(watched, name.clone());
                if self.know(name).watched.replace(watched) != Some(watched) {
                    // what was done to its files before was not told
                    self.signal(name, &[signals::SIGALRM]);
                }
            }
            Err(errno) => self.go_blind(errno),
        }
    }

    /// Not all can be watched any more; but what is not there needs no watching.
    pub fn go_blind(&mut self, errno: Errno) {
        if matches!(errno, Errno::ENOENT | Errno::ENOTDIR) {
            return;
        }
        self.blind = true;
        // where nothing can be watched at all, that is no news
        if !std::mem::replace(&mut self.was_blind, true) && errno != Errno::ENOSYS {
            let rescan = self.options.rescan.as_millis();
            message::say(format_args!(
                "sysmgr: cannot watch all directories ({}); they are looked at every {rescan} ms instead",
                crate::service::errno::words(errno as i32)
            ));
        }
    }

    /// What could not be watched perhaps can be by now: whether there was such. All watches have to
    /// be asked for anew then.
    pub fn try_to_see(&mut self) -> bool {
        let opened = self.open_watches();
        std::mem::replace(&mut self.blind, opened.is_err())
    }

    fn facts(&mut self, name: &Name, dir: Option<&Dir>, now: Moment) -> Result<Facts, Fault> {
        let (ending, unsure) = (self.ending, self.unsure || self.unseen);
        let order = dir.map(read_order).transpose()?.flatten();
        let service = self.know(name);
        let entry = match service.entry {
            Entry::Service(_) => Presence::Startable,
            Entry::Refused(_) => Presence::Refused,
            Entry::Unknown(_) => Presence::Missed,
            Entry::Missing if unsure || service.missed_until.is_some_and(|until| until > now) => Presence::Missed,
            Entry::Missing => Presence::Removed,
        };
        let supervised = !matches!(service.supervisor, Supervisor::None);
        let alive = !supervised && self.last_run(name, dir)?.is_some_and(lives);
        Ok(Facts { entry, order, supervised, alive, ending })
    }

    /// Gives a missing entry its grace anew.
    pub fn miss_again(&mut self, name: &Name) {
        let until = clock::now() + plan::GRACE;
        self.know(name).missed_until = Some(until);
        self.attend_at(name, until);
    }

    /// Says something of all.
    pub fn note(&self, least: Verbosity, what: std::fmt::Arguments<'_>) {
        if self.options.verbosity >= least {
            message::say(format_args!("sysmgr: {what}"));
        }
    }

    /// Says something of a service.
    pub fn say(&self, least: Verbosity, name: &Name, what: std::fmt::Arguments<'_>) {
        if self.options.verbosity >= least {
            message::say(format_args!("sysmgr: {name}: {what}"));
        }
    }
}
