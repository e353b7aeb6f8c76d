//! Services of a bed: their files, and what the run directory says of them.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sysmgr::service::ended::Ended;
use sysmgr::service::status::{Phase, Status};

use super::{Signal, TestBed, is_alive, kill, until, value_of};

/// A service that does what it is told and nothing else.
pub const SLEEPER: &str = "exec sleep 1000";

/// A service that ignores SIGTERM.
pub const DEAF: &str = "trap '' TERM; while :; do sleep 1000; done";

impl TestBed {
    /// Makes a service of a shell script, whole: written aside and moved in.
    pub fn service(&self, name: impl AsRef<Path>, script: &str) {
        self.entry(name, format!("#!/bin/sh\n{script}\n").as_bytes(), 0o755);
    }

    /// Moves a file with this content and mode into the service directory.
    pub fn entry(&self, name: impl AsRef<Path>, content: &[u8], mode: u32) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let aside = self.sysdir.join(format!(".new-{number}"));
        self.file(&aside, content, mode);
        fs::rename(&aside, self.sysdir.join(name)).expect("it can be moved in");
    }

    /// Writes a file, in place.
    pub fn file(&self, path: &Path, content: &[u8], mode: u32) {
        fs::write(path, content).expect("it can be written");
        self.adjust(path, mode);
    }

    /// Makes a service that is a link.
    pub fn link(&self, name: impl AsRef<Path>, target: &Path) {
        symlink(target, self.sysdir.join(name)).expect("a link can be made");
    }

    /// Removes an entry of the service directory.
    pub fn remove(&self, name: impl AsRef<Path>) {
        fs::remove_file(self.sysdir.join(name)).expect("it can be removed");
    }

    /// A file of a service in the run directory.
    pub fn path(&self, name: impl AsRef<Path>, file: &str) -> PathBuf {
        self.rundir.join(name).join(file)
    }

    /// The process id of a service, as its file says.
    pub fn pid(&self, name: impl AsRef<Path>) -> Option<i32> {
        super::number(&self.path(name, "pid"))
    }

    /// The process id of the runsyssv of a service, as its file says.
    pub fn syspid(&self, name: impl AsRef<Path>) -> Option<i32> {
        super::number(&self.path(name, "syspid"))
    }

    /// What the status file says.
    pub fn status(&self, name: impl AsRef<Path>) -> Option<Status> {
        Status::decode(&fs::read(self.path(name, "status")).ok()?)
    }

    /// The state of a service.
    pub fn phase(&self, name: impl AsRef<Path>) -> Option<Phase> {
        self.status(name).map(|status| status.phase)
    }

    /// How its last run ended.
    pub fn last_exit(&self, name: impl AsRef<Path>) -> Option<Ended> {
        self.status(name)?.last_exit
    }

    /// The standing order of a service, without its newline.
    pub fn lock(&self, name: impl AsRef<Path>) -> Option<String> {
        let order = fs::read_to_string(self.path(name, "lock")).ok()?;
        Some(order.trim_end_matches('\n').to_owned())
    }

    /// Gives a standing order, as a person does: by writing the file in place.
    pub fn order(&self, name: impl AsRef<Path>, order: &str) {
        let path = self.path(name, "lock");
        let mut file = fs::File::create(&path).expect("a lock can be made");
        writeln!(file, "{order}").expect("a lock can be written");
        drop(file);
        self.adjust(&path, 0o644);
    }

    /// Removes the standing order.
    pub fn unlock(&self, name: impl AsRef<Path>) {
        fs::remove_file(self.path(name, "lock")).expect("there is a lock");
    }

    /// Waits until a service executes; gives its process id.
    #[track_caller]
    pub fn up(&self, name: impl AsRef<Path>) -> i32 {
        let name = name.as_ref();
        value_of(&format!("{} is up", name.display()), || {
            let status = self.status(name).filter(|s| s.phase == Phase::Up)?;
            let pid = self.pid(name).filter(|pid| is_alive(*pid))?;
            (status.pid?.raw() == pid).then_some(pid)
        })
    }

    /// Waits until a `SLEEPER` is past its script.
    #[track_caller]
    pub fn asleep(&self, name: impl AsRef<Path>) -> i32 {
        let pid = self.up(name);
        until("it sleeps", || super::process::command_name(pid) == "sleep");
        pid
    }

    /// Waits until a service executes in another process than `old`.
    #[track_caller]
    pub fn up_again(&self, name: impl AsRef<Path>, old: i32) -> i32 {
        let name = name.as_ref();
        until(&format!("{} has another process than {old}", name.display()), || {
            self.pid(name).is_some_and(|pid| pid != old)
        });
        self.up(name)
    }

    /// Waits until a service is down for good: it has no process and no runsyssv.
    #[track_caller]
    pub fn down(&self, name: impl AsRef<Path>) {
        let name = name.as_ref();
        until(&format!("{} is down", name.display()), || {
            self.phase(name) == Some(Phase::Down) && self.pid(name).is_none() && self.syspid(name).is_none()
        });
    }

    /// Waits until a service is in this state.
    #[track_caller]
    pub fn comes_to(&self, name: impl AsRef<Path>, phase: Phase) -> Status {
        let name = name.as_ref();
        value_of(&format!("{} is {phase:?}", name.display()), || {
            self.status(name).filter(|status| status.phase == phase)
        })
    }

    /// Sends a signal to the main process of a service.
    #[track_caller]
    pub fn signal(&self, name: impl AsRef<Path>, signal: Signal) {
        kill(self.pid(name).expect("it has a process"), signal);
    }

    /// Sends a signal to the runsyssv of a service.
    #[track_caller]
    pub fn nudge(&self, name: impl AsRef<Path>, signal: Signal) {
        kill(self.syspid(name).expect("it has a runsyssv"), signal);
    }
}
