//! The files of one service in the run directory, and keeping them as they should be.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;

use crate::service::files;
use crate::service::name::Name;
use crate::service::order::Order;
use crate::service::pid::Pid;
use crate::service::record::Record;
use crate::service::status::Status;
use crate::sys::fault::Fault;
use crate::sys::files::Dir;
use crate::sys::owner::{Claim, Owner};

/// The directory of a service, under our lock.
#[derive(Debug)]
pub struct Files {
    dir: Dir,
    owner: Owner,
    /// What was written last, to see whether it is still there.
    pid: Written,
    syspid: Written,
    status: Written,
    /// The next status, in memory that is used again and again.
    draft: String,
}

/// A file that we have written, or removed.
#[derive(Debug, Default)]
struct Written {
    content: Option<String>,
    /// Whether that could be done.
    done: bool,
}

/// What came of taking over a service.
#[allow(clippy::large_enum_variant)] // made once, taken apart at once
pub enum Opened {
    /// It is ours, with what our predecessor had on record.
    Ours(Files, Option<Record>),
    /// Another runsyssv has it: its process id, 0 if that is not known.
    Held(i32),
}

impl Files {
    /// Takes over the service `name` of `rundir`, both made as needed.
    ///
    /// # Errors
    /// What the system refused.
    pub fn open(rundir: &Path, name: &Name) -> Result<Opened, Fault> {
        let dir = Dir::make(rundir)?.make_sub(name.as_os_str())?;
        Ok(match Owner::claim(&dir)? {
            Claim::Held(pid) => Opened::Held(pid),
            Claim::Ours(owner, record) => Opened::Ours(Self::of(dir, owner), record),
        })
    }

    /// Goes on with a lock that came through execve(2).
    ///
    /// # Errors
    /// What the system refused.
    pub fn resume(rundir: &Path, name: &Name, lock: OwnedFd) -> Result<Opened, Fault> {
        let dir = Dir::make(rundir)?.make_sub(name.as_os_str())?;
        let (owner, record) = Owner::inherited(lock).map_err(Fault::of("read", dir.path().join(files::OWNER)))?;
        Ok(Opened::Ours(Self::of(dir, owner), record))
    }

    fn of(dir: Dir, owner: Owner) -> Self {
        let none = Written::default;
        Self { dir, owner, pid: none(), syspid: none(), status: none(), draft: String::with_capacity(256) }
    }

    /// Lets the lock survive the next execve(2), or not; gives the number of its descriptor.
    ///
    /// # Errors
    /// What the system refused.
    pub fn inherit(&self, inherit: bool) -> Result<i32, Errno> {
        self.owner.inherit(inherit)
    }

    /// Puts back what was removed or changed by others; `record` is what has to stand in `.owner`.
    ///
    /// # Errors
    /// What the system refused.
    pub fn restore(&mut self, rundir: &Path, name: &Name, record: &Record) -> Result<(), Fault> {
        if !self.dir.is_in_place() || !self.owner.is_in(&self.dir) {
            let dir = Dir::make(rundir)?.make_sub(name.as_os_str())?;
            // it may only have been moved away for a moment: to claim it again would drop the lock
            let claim = if self.owner.is_in(&dir) { None } else { Some(Owner::claim(&dir)?) };
            match claim {
                None => self.dir = dir,
                Some(Claim::Ours(owner, _)) => (self.dir, self.owner) = (dir, owner),
                Some(Claim::Held(_)) => {
                    let tried = "take back the lock, which another process has, of";
                    return Err(Fault::of(tried, dir.path().join(files::OWNER))(Errno::EAGAIN));
                }
            }
        }
        self.write_record(record)?;
        self.pid.restore(&self.dir, files::PID)?;
        self.syspid.restore(&self.dir, files::SYSPID)?;
        self.status.restore(&self.dir, files::STATUS)
    }

    /// Writes the record.
    ///
    /// # Errors
    /// What the system refused: the service must not be let go then.
    pub fn write_record(&self, record: &Record) -> Result<(), Fault> {
        self.owner.write(record).map_err(Fault::of("write", self.dir.path().join(files::OWNER)))
    }

    /// Writes, or removes, the process id of the service.
    ///
    /// # Errors
    /// What the system refused.
    pub fn write_pid(&mut self, pid: Option<Pid>) -> Result<(), Fault> {
        self.pid.set(&self.dir, files::PID, pid.map(line))
    }

    /// Writes, or removes, the process id of this runsyssv.
    ///
    /// # Errors
    /// What the system refused.
    pub fn write_syspid(&mut self, pid: Option<Pid>) -> Result<(), Fault> {
        self.syspid.set(&self.dir, files::SYSPID, pid.map(line))
    }

    /// Writes the status, unless it says that already.
    ///
    /// # Errors
    /// What the system refused.
    pub fn write_status(&mut self, status: &Status) -> Result<(), Fault> {
        self.draft.clear();
        let _ = write!(self.draft, "{status}");
        if self.status.done && self.status.content.as_ref() == Some(&self.draft) {
            return Ok(());
        }
        let before = self.status.content.replace(std::mem::take(&mut self.draft));
        self.draft = before.unwrap_or_else(|| String::with_capacity(256));
        self.status.put(&self.dir, files::STATUS)
    }

    /// The status that our predecessor has left.
    #[must_use]
    pub fn read_status(&self) -> Option<Status> {
        // mostly there is none, and then no memory is touched for it
        self.dir
            .has(files::STATUS)
            .then(|| vec![0; 4096])
            .and_then(|mut content| Status::decode(self.dir.read(files::STATUS, &mut content)?))
    }

    /// Removes the ready file, which the next run has to make anew.
    pub fn remove_ready(&self) {
        let _ = self.dir.remove(files::READY);
    }

    /// What the lock says; nothing if there is none.
    ///
    /// # Errors
    /// What the system refused just now.
    pub fn read_order(&self) -> Result<Option<Order>, Fault> {
        Ok(self.dir.read_for_certain(files::LOCK, &mut [0; 64])?.map(Order::parse))
    }

    /// Has the lock say `order`: `ran` in the place of `once`; anything else unless there is a
    /// lock, but for one that would start the service again.
    ///
    /// # Errors
    /// What the system refused.
    pub fn write_order(&self, order: Order) -> Result<(), Fault> {
        let content = format!("{}\n", order.word());
        let once = |text: &[u8]| Order::parse(text) == Order::Once;
        let starting = |text: &[u8]| Order::parse(text).starts();
        if order == Order::Ran {
            self.dir.replace_if(files::LOCK, once, content.as_bytes()).map(drop)
        } else if self.dir.make_file(files::LOCK, content.as_bytes())? {
            Ok(())
        } else {
            self.dir.replace_if(files::LOCK, starting, content.as_bytes()).map(drop)
        }
    }

    /// Removes the lock if it still has an order to restart.
    ///
    /// # Errors
    /// What the system refused.
    pub fn remove_restart(&self) -> Result<(), Fault> {
        self.dir.remove_if(files::LOCK, |text| Order::parse(text) == Order::Restart).map(drop)
    }
}

impl Written {
    fn set(&mut self, dir: &Dir, name: &str, content: Option<String>) -> Result<(), Fault> {
        self.content = content;
        self.put(dir, name)
    }

    fn put(&mut self, dir: &Dir, name: &str) -> Result<(), Fault> {
        self.done = false;
        match &self.content {
            Some(content) => dir.replace(name, content.as_bytes())?,
            None => dir.remove(name)?,
        }
        self.done = true;
        Ok(())
    }

    fn restore(&mut self, dir: &Dir, name: &str) -> Result<(), Fault> {
        let stands = match &self.content {
            Some(content) => dir.holds(name, content.as_bytes()),
            None => !dir.has(name),
        };
        if self.done && stands { Ok(()) } else { self.put(dir, name) }
    }
}

fn line(pid: Pid) -> String {
    format!("{pid}\n")
}
