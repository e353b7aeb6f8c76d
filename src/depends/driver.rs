//! The wait itself.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;

use super::lines::Awaited;
use super::others::{Other, Others};
use super::register::Register;
use super::up::{Answer, Timing, judge};
use super::{ENDING, Options, say};
use crate::service::moment::Moment;
use crate::service::name::Name;
use crate::service::nearest::nearest;
use crate::service::order::Order;
use crate::service::status::Phase;
use crate::sys::dnotify;
use crate::sys::files::Dir;
use crate::sys::lookout::{Lookout, Stirred};
use crate::sys::process::Handle;
use crate::sys::{clock, context, process, signals};

/// The exit codes, as in sysmgr-depends(1).
const FAILED: u8 = 1;
const UNKNOWN: u8 = 3;
const LATE: u8 = 4;

/// Where directories can't be watched, they are looked at at least so often.
const LOOK: Duration = Duration::from_millis(200);

/// How long a removal has to be over before what is missing is put back: against `rm -r`, who
/// heals at once makes it fail.
const REST: Duration = Duration::from_millis(50);

/// Between two looks at what nothing tells of, and which is over soon.
const MOMENT: Duration = Duration::from_millis(5);

/// Waits; gives the exit code.
pub fn run(options: &Options) -> u8 {
    let _ = context::clear_umask();
    if let Err(code) = check(options) {
        // that it needs what is not there explains why it fails, and has it tried when that comes
        let own = options.own.clone().filter(|_| code == UNKNOWN);
        if let Some(register) = own.and_then(|own| Register::new(&options.dirs, own, process::boot_id())) {
            let _ = register.learn(&options.services);
        }
        return code;
    }
    signals::catch(&ENDING);
    let mut wait = Waiting::new(options);
    if let Err(code) = wait.begin() {
        return code;
    }
    let code = wait.until_up();
    wait.end();
    code
}

/// Whether all services are in the service directory.
fn check(options: &Options) -> Result<(), u8> {
    let sysdir = &options.dirs.sysdir;
    let mut unknown = false;
    for name in &options.services {
        match sysdir.join(name).symlink_metadata() {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && sysdir.is_dir() => {
                let listed = Dir::open(sysdir).and_then(|dir| dir.names()).unwrap_or_default();
                let all: BTreeSet<Name> = listed.iter().filter_map(|name| Name::new(name).ok()).collect();
                let hint = nearest(name, &all).map_or_else(String::new, |near| format!("; did you mean {near}?"));
                say(options, &format!("{name}: there is no such service{hint}"));
                unknown = true;
            }
            Err(error) => {
                let reason = error.raw_os_error().map_or_else(String::new, crate::service::errno::words);
                say(options, &format!("cannot look at {}: {reason}", sysdir.join(name).display()));
                return Err(FAILED);
            }
        }
    }
    if unknown { Err(UNKNOWN) } else { Ok(()) }
}

struct Waiting<'o> {
    options: &'o Options,
    awaited: Vec<Awaited>,
    others: Others<'o>,
    register: Option<Register<'o>>,
    timing: Timing,
    end: Option<Moment>,
    /// The processes of others that wait: one that is killed tells nobody.
    waiters: Vec<Handle>,
    /// Whether one of them could not be taken hold of.
    unsure: bool,
    /// What was said already.
    said: BTreeSet<String>,
}

impl<'o> Waiting<'o> {
    fn new(options: &'o Options) -> Self {
        let boot = process::boot_id();
        let dirs = &options.dirs;
        let (settle, stable_after) = (options.timings.settle, options.timings.stable_after);
        let service = |name: &Name| {
            if options.ready { Awaited::Ready(name.clone()) } else { Awaited::Up(name.clone()) }
        };
        let paths = options.paths.iter().map(|path| Awaited::Path(path.as_os_str().as_bytes().to_vec()));
        Self {
            awaited: options.services.iter().map(service).chain(paths).collect(),
            others: Others::new(&dirs.sysdir, &dirs.rundir, boot, stable_after),
            register: options.own.clone().and_then(|own| Register::new(dirs, own, boot)),
            timing: Timing::new(settle, stable_after),
            end: options.timeout.map(|time| clock::now() + time),
            waiters: Vec::new(),
            unsure: false,
            said: BTreeSet::new(),
            options,
        }
    }

    /// Makes the wait known, and sees whether it can ever end.
    fn begin(&mut self) -> Result<(), u8> {
        let Some(mut register) = self.register.take() else {
            return Ok(());
        };
        let services = &self.options.services;
        // the line first: that this run has waited is only true while a line, or none any more, is there
        if let Err(fault) = register.write(&self.awaited).and_then(|()| register.learn(services)) {
            let advice = match fault.errno {
                Errno::EPERM | Errno::EACCES => "; call sysmgr-depends first, then give up privileges",
                _ => "",
            };
            self.say(&format!("others cannot see that it waits: {fault}{advice}"));
            return Ok(());
        }
        let circle = self.others.graph(&register.name, services).circle(&register.name);
        let Some(circle) = circle else {
            self.register = Some(register);
            return Ok(());
        };
        let mut text =
            if circle.len() == 1 { "it would wait for itself: " } else { "they would wait for each other: " }
                .to_owned();
        for name in &circle {
            let _ = write!(text, "{name} -> ");
        }
        self.say(&format!("{text}{}", register.name));
        let _ = register.write(&[]);
        Err(FAILED)
    }

    fn until_up(&mut self) -> u8 {
        let mut lookout = Lookout::long(LOOK.min(self.options.timings.rescan));
        for name in &self.options.services {
            lookout.over(&self.options.dirs.rundir.join(name));
        }
        let mut watched = BTreeSet::new();
        if !self.options.paths.is_empty() {
            lookout.over_mounts();
        }
        let mut calm = true;
        loop {
            // before the look, so that nothing is missed between
            for dir in self.options.paths.iter().flat_map(|path| directories_of(path)) {
                if !watched.contains(&dir) {
                    lookout.over(&dir);
                    watched.insert(dir);
                }
            }
            let (missing, next) = self.look();
            if missing.is_empty() {
                return 0;
            }
            let left = self.end.map(|end| end.since(clock::now()));
            if left.is_some_and(|left| left.is_zero()) {
                let services: Vec<String> = missing.iter().filter_map(Awaited::service).map(Name::typed).collect();
                let advice = match &services[..] {
                    [] => String::new(),
                    services => format!(" ('svctl why {}' tells more)", services.join(" ")),
                };
                let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
                let time = self.options.timeout.unwrap_or_default().as_secs_f64();
                self.say(&format!("waited {time} s in vain for {}{advice}", missing.join(", ")));
                return LATE;
            }
            let heal = self.make_known(&missing, calm);
            let limit = [left, next, heal].into_iter().flatten().min();
            let stirred = lookout.wait(limit, &self.waiters);
            let arrived = signals::take();
            if let Some(signal) = ENDING.into_iter().find(|signal| arrived.has(*signal)) {
                self.end();
                signals::end_of(signal);
                return FAILED;
            }
            calm = !arrived.has(dnotify::SIGNAL) && !matches!(stirred, Stirred::Places(places) if !places.is_empty());
        }
    }

    /// What is still missing, and after which time that may change by itself.
    fn look(&mut self) -> (Vec<Awaited>, Option<Duration>) {
        let mut missing = Vec::new();
        let mut next: Option<Duration> = None;
        self.waiters.clear();
        self.unsure = false;
        for awaited in self.awaited.clone() {
            let answer = match &awaited {
                Awaited::Path(path) => exists(Path::new(std::ffi::OsStr::from_bytes(path))),
                Awaited::Up(name) => {
                    let other = self.other(name);
                    judge(&other.seen, &self.timing)
                }
                Awaited::Ready(name) => {
                    let other = self.other(name);
                    let ready = other.ready && other.seen.age.is_some() && !other.seen.waits;
                    if ready { Answer::Up } else { Answer::No }
                }
            };
            match answer {
                Answer::Up => continue,
                Answer::In(time) => next = Some(next.map_or(time, |next| next.min(time))),
                Answer::No => {}
            }
            missing.push(awaited);
        }
        if self.unsure {
            next = Some(next.map_or(MOMENT, |next| next.min(MOMENT)));
        }
        // a moment is a whole millisecond
        (missing, next.map(|next| next + Duration::from_millis(1)))
    }

    fn other(&mut self, name: &Name) -> Other {
        let other = self.others.look(name);
        self.explain(name, &other);
        if other.seen.age.is_some() {
            let before = self.waiters.len();
            self.waiters.extend(other.waiters.iter().copied().filter_map(Handle::to_await));
            // one that has ended, but whose parent has not noticed yet, has no end to be awaited
            self.unsure |= self.waiters.len() - before < other.waiters.len();
        }
        other
    }

    /// Says why a service will not be up by itself.
    fn explain(&mut self, name: &Name, other: &Other) {
        if other.seen.age.is_some() {
            return;
        }
        let typed = name.typed();
        let failing = other.status.as_ref().filter(|status| status.phase == Phase::Backoff && status.failures > 1);
        if let Some(last) = failing.and_then(|status| status.last_exit) {
            let last = last.in_words();
            return self
                .say(&format!("waits for {name}, which keeps failing: {last} ('svctl why {typed}' tells more)"));
        }
        let refused = other.status.as_ref().filter(|status| status.phase == Phase::Refused);
        let why = match (other.order, refused) {
            (Some(Order::Once | Order::Restart), _) | (None, None) => return,
            (_, Some(status)) => {
                let reason = status.reason.as_deref().unwrap_or("it can't be a service as it is");
                format!("which can't be started: {reason}")
            }
            (Some(Order::Ran), _) => "which was to run once, and has ended".to_owned(),
            (Some(_), _) => format!("which is stopped ('svctl start {typed}' starts it)"),
        };
        self.say(&format!("waits for {name}, {why}"));
    }

    /// Has `waiting` say what is missing; gives when to look whether it still says so.
    fn make_known(&mut self, missing: &[Awaited], calm: bool) -> Option<Duration> {
        let register = self.register.as_mut()?;
        let lost = register.is_lost();
        if lost && !calm {
            return Some(REST);
        }
        if lost || register.differs(missing) {
            let written = register.write(missing);
            if lost && written.is_ok() {
                let _ = register.learn(&self.options.services);
            }
            if let Err(fault) = written {
                self.say(&format!("others cannot see that it waits: {fault}"));
                return Some(LOOK);
            }
        }
        None
    }

    /// Takes back that it waits.
    fn end(&mut self) {
        if let Some(register) = &mut self.register {
            let _ = register.write(&[]);
        }
    }

    /// Says something once.
    fn say(&mut self, what: &str) {
        if self.said.insert(what.to_owned()) {
            say(self.options, what);
        }
    }
}

fn exists(path: &Path) -> Answer {
    if path.exists() { Answer::Up } else { Answer::No }
}

/// The directories in which `path` can come into being: its own, and if it is a link that leads
/// nowhere yet, that of its target, and so on.
fn directories_of(path: &Path) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    let mut path = path.to_owned();
    // as many as the kernel follows
    for _ in 0..40 {
        let Some(parent) = path.parent().map(Path::to_owned) else { break };
        directories.push(parent.clone());
        match path.read_link() {
            Ok(target) => path = parent.join(target),
            Err(_) => break,
        }
    }
    directories
}
