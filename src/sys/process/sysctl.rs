//! As sysctl(3) of FreeBSD, DragonFly, NetBSD and OpenBSD tells it, of one process.

use std::mem::MaybeUninit;
use std::ptr;
use std::sync::OnceLock;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc::{self, c_int};

use super::super::{clock, fault::is_passing};
use super::Facts;
use crate::service::pid::Pid;

/// Whether the system tells when a process was started, and whether it is a zombie. What it tells has its
/// form from the kernel, and we have ours from when we were built: whether they agree is seen on this process.
pub(super) fn knows() -> bool {
    static KNOWS: OnceLock<bool> = OnceLock::new();
    *KNOWS.get_or_init(|| {
        let own = i32::try_from(std::process::id()).ok().and_then(Pid::new);
        let told = own.and_then(|own| ask(own).ok().flatten());
        // SAFETY: getpgid(2) and getsid(2) of ourselves can't fail.
        let (group, session) = unsafe { (libc::getpgid(0), libc::getsid(0)) };
        told.is_some_and(|told| !told.zombie && told.group == group && told.session == session && told.start != 0)
    })
}

pub(super) fn facts(pid: Pid) -> Result<Option<Facts>, Errno> {
    if knows() { ask(pid) } else { Ok(None) }
}

/// How long ago something was started at `start`.
pub(super) fn age(start: u64) -> Duration {
    let origin = Duration::from_micros(origin().unwrap_or(0).unsigned_abs());
    Duration::from_secs(clock::wall()).saturating_sub(origin + Duration::from_millis(start))
}

fn ask(pid: Pid) -> Result<Option<Facts>, Errno> {
    loop {
        let before = origin()?;
        let Some(told) = os::ask(pid.raw())? else { return Ok(None) };
        if origin()? != before {
            // the time of day was set while we looked
            continue;
        }
        let started = told.seconds * 1_000_000 + told.microseconds - before;
        return Ok(Some(Facts {
            zombie: told.zombie,
            // it is not asked for
            suspended: false,
            parent: told.parent,
            group: told.group,
            session: told.session,
            // one of the two times may have been rounded
            start: u64::try_from((started + 500) / 1000).unwrap_or(0),
        }));
    }
}

/// What the kernel tells of a process; when it was started by the time of day.
struct Told {
    zombie: bool,
    parent: i32,
    group: i32,
    session: i32,
    seconds: i64,
    microseconds: i64,
}

/// What start times are counted from, in microseconds since the epoch. FreeBSD and OpenBSD keep how long the
/// system was up, and add when it was started, which changes whenever the time of day is set.
#[cfg(any(target_os = "freebsd", target_os = "openbsd"))]
#[allow(clippy::unnecessary_cast, clippy::useless_conversion)] // the fields have other widths on other machines
fn origin() -> Result<i64, Errno> {
    let name = [libc::CTL_KERN, libc::KERN_BOOTTIME];
    let boot = sysctl::<libc::timeval>(&mut name.clone())?.ok_or(Errno::ENOENT)?;
    // SAFETY: numbers only, for which any bits are a value.
    let boot = unsafe { boot.assume_init() };
    Ok(boot.tv_sec as i64 * 1_000_000 + boot.tv_usec as i64)
}

/// What start times are counted from: the time of day at the start is kept as it was then.
#[cfg(any(target_os = "dragonfly", target_os = "netbsd"))]
#[allow(clippy::unnecessary_wraps)]
fn origin() -> Result<i64, Errno> {
    Ok(0)
}

/// What is known under `name`; `None` if there is none, or it is of another size.
fn sysctl<T>(name: &mut [c_int]) -> Result<Option<MaybeUninit<T>>, Errno> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut size = size_of::<T>();
    let length = libc::c_uint::try_from(name.len()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: name and value live across the call, and have the lengths given; nothing is set.
    let asked = unsafe {
        libc::sysctl(name.as_mut_ptr(), length, value.as_mut_ptr().cast(), &raw mut size, ptr::null_mut(), 0)
    };
    match Errno::result(asked) {
        Ok(_) => Ok(Some(value).filter(|_| size == size_of::<T>())),
        Err(errno) if is_passing(errno) => Err(errno),
        Err(_) => Ok(None),
    }
}

#[cfg(target_os = "freebsd")]
#[allow(clippy::unnecessary_cast, clippy::useless_conversion)]
mod os {
    use super::{Errno, Told, libc, sysctl};

    pub(super) fn ask(pid: i32) -> Result<Option<Told>, Errno> {
        let mut name = [libc::CTL_KERN, libc::KERN_PROC, libc::KERN_PROC_PID, pid];
        let Some(info) = sysctl::<libc::kinfo_proc>(&mut name)? else { return Ok(None) };
        let info = info.as_ptr();
        // SAFETY: all of it was set to zero or by the kernel, and only numbers are read.
        Ok(unsafe { (*info).ki_pid == pid }.then(|| unsafe {
            Told {
                zombie: (*info).ki_stat == libc::SZOMB,
                parent: (*info).ki_ppid,
                group: (*info).ki_pgid,
                session: (*info).ki_sid,
                seconds: (*info).ki_start.tv_sec as i64,
                microseconds: (*info).ki_start.tv_usec as i64,
            }
        }))
    }
}

#[cfg(target_os = "dragonfly")]
mod os {
    use super::{Errno, Told, c_int, libc, sysctl};

    pub(super) fn ask(pid: i32) -> Result<Option<Told>, Errno> {
        let mut name = [libc::CTL_KERN, libc::KERN_PROC, libc::KERN_PROC_PID, pid];
        let Some(info) = sysctl::<libc::kinfo_proc>(&mut name)? else { return Ok(None) };
        let info = info.as_ptr();
        // SAFETY: all of it was set to zero or by the kernel, and only numbers are read: the state too as one,
        // since not all numbers are a value of its type.
        Ok(unsafe { (*info).kp_pid == pid }.then(|| unsafe {
            Told {
                zombie: (&raw const (*info).kp_stat).cast::<c_int>().read() == libc::procstat::SZOMB as c_int,
                parent: (*info).kp_ppid,
                group: (*info).kp_pgid,
                session: (*info).kp_sid,
                seconds: (*info).kp_start.tv_sec,
                microseconds: (*info).kp_start.tv_usec,
            }
        }))
    }
}

#[cfg(target_os = "netbsd")]
mod os {
    use super::{Errno, Told, c_int, libc, sysctl};

    /// `SZOMB` of <sys/proc.h>.
    const ZOMBIE: u64 = 5;

    pub(super) fn ask(pid: i32) -> Result<Option<Told>, Errno> {
        let size = c_int::try_from(size_of::<libc::kinfo_proc2>()).map_err(|_| Errno::EINVAL)?;
        let mut name = [libc::CTL_KERN, libc::KERN_PROC2, libc::KERN_PROC_PID, pid, size, 1];
        let Some(info) = sysctl::<libc::kinfo_proc2>(&mut name)? else { return Ok(None) };
        let info = info.as_ptr();
        // SAFETY: all of it was set to zero or by the kernel, and only numbers are read.
        Ok(unsafe { (*info).p_pid == pid }.then(|| unsafe {
            Told {
                zombie: (*info).p_realstat >= ZOMBIE,
                parent: (*info).p_ppid,
                group: (*info).p__pgid,
                session: (*info).p_sid,
                seconds: i64::from((*info).p_ustart_sec),
                microseconds: i64::from((*info).p_ustart_usec),
            }
        }))
    }
}

#[cfg(target_os = "openbsd")]
mod os {
    use super::{Errno, Told, c_int, libc, sysctl};

    /// `SDEAD` of <sys/proc.h>: what sysctl(2) says of a zombie.
    const DEAD: i8 = 6;

    pub(super) fn ask(pid: i32) -> Result<Option<Told>, Errno> {
        let size = c_int::try_from(size_of::<libc::kinfo_proc>()).map_err(|_| Errno::EINVAL)?;
        let mut name = [libc::CTL_KERN, libc::KERN_PROC, libc::KERN_PROC_PID, pid, size, 1];
        let Some(info) = sysctl::<libc::kinfo_proc>(&mut name)? else { return Ok(None) };
        let info = info.as_ptr();
        // SAFETY: all of it was set to zero or by the kernel, and only numbers are read.
        Ok(unsafe { (*info).p_pid == pid }.then(|| unsafe {
            Told {
                zombie: (*info).p_stat == DEAD,
                parent: (*info).p_ppid,
                group: (*info).p__pgid,
                session: (*info).p_sid,
                seconds: i64::try_from((*info).p_ustart_sec).unwrap_or(0),
                microseconds: i64::from((*info).p_ustart_usec),
            }
        }))
    }
}
