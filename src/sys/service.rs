//! The start of a service: a process that waits at a gate until it stands on record.

use std::ffi::{CStr, CString, c_char};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;
use nix::libc::{self, c_int, c_void};

use super::context::Context;
use super::group::Leader;
use super::{calls, child, signals};
use crate::service::pid::Pid;

/// A process that will execute the service when the gate is opened, and exits when it can't be any
/// more.
#[derive(Debug)]
pub struct Waiting {
    /// Its process id, which stays that of the service.
    pub pid: Pid,
    leader: Leader,
    gate: OwnedFd,
}

/// The gate, after it was opened: tells what came of the execution.
#[derive(Debug)]
pub struct Gate {
    fd: OwnedFd,
    pid: Pid,
    /// Reaped with this: by then it has ended, and nobody waits for that.
    _leader: Leader,
}

/// Makes the process for the service whose file is `path`. What it is given is there for ever, since
/// the process shares our memory until it executes the service, if the system can do that.
///
/// # Errors
/// Of socketpair(2) and fork(2).
pub fn fork(path: &'static CStr, context: &'static Context) -> Result<Waiting, Errno> {
    let (gate, inner) = pair()?;
    let leader = Leader::make()?;
    let orders = Orders { path, context, gate: inner.as_raw_fd(), outer: gate.as_raw_fd() };
    // SAFETY: this program has one thread; the argument is what the child takes, and what that
    // points to is never changed or freed.
    let made = unsafe { child::beside(become_service, orders) };
    if let Ok(pid) = made {
        // SAFETY: setpgid(2) takes two numbers. The child has not called execve(2), the group has
        // an unreaped leader and is in our session: it can't fail but by a child killed meanwhile.
        unsafe { libc::setpgid(pid, leader.group().raw()) };
    }
    let pid = Pid::new(made?).ok_or(Errno::EAGAIN)?;
    Ok(Waiting { pid, leader, gate })
}

/// Two sockets that are closed at the next execve(2).
#[cfg(all(target_os = "linux", not(sysmgr_posix)))]
fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    use std::os::fd::FromRawFd as _;
    let mut fds = [-1; 2];
    // SAFETY: there is room for two; they are new, and nobody else's.
    unsafe {
        let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
        Errno::result(libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()))?;
        Ok((OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])))
    }
}

/// Two sockets that are closed at the next execve(2).
#[cfg(not(all(target_os = "linux", not(sysmgr_posix))))]
fn pair() -> Result<(OwnedFd, OwnedFd), Errno> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
    let (a, b) = socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::empty())?;
    for fd in [&a, &b] {
        fcntl(fd, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    }
    Ok((a, b))
}

impl Waiting {
    /// Its process group, which it does not lead.
    #[must_use]
    pub fn group(&self) -> Pid {
        self.leader.group()
    }

    /// Opens the gate.
    #[must_use]
    pub fn release(self) -> Gate {
        let go = [1_u8];
        // SAFETY: the buffer is one byte. A child that is gone already will be reaped as such.
        unsafe { libc::send(self.gate.as_raw_fd(), go.as_ptr().cast(), 1, libc::MSG_NOSIGNAL) };
        Gate { fd: self.gate, pid: self.pid, _leader: self.leader }
    }
}

impl Gate {
    /// What becomes readable when the service executes, or can't.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Why the service could not be executed; `None` if it was, or if it was ended before.
    #[must_use]
    pub fn error(&self) -> Option<i32> {
        let mut errno = [0; 4];
        let flags = libc::MSG_DONTWAIT;
        // SAFETY: the buffer has the length given.
        let n = unsafe { libc::recv(self.fd.as_raw_fd(), errno.as_mut_ptr().cast(), errno.len(), flags) };
        if n == 0 {
            // its end of the gate was closed when it executed, or ended
            child::has_left(self.pid.raw());
        }
        (n == 4).then(|| i32::from_ne_bytes(errno))
    }
}

/// What the child needs to know.
#[derive(Clone, Copy)]
struct Orders {
    path: &'static CStr,
    context: &'static Context,
    /// Its end of the gate.
    gate: i32,
    /// Our end, which must not stay open in it when we are gone.
    outer: i32,
}

/// In the child: waits at the gate, then executes the service. Uses no heap, and no errno.
extern "C" fn become_service(orders: *mut c_void) -> c_int {
    // SAFETY: it is what `fork` has given.
    let Orders { path, context, gate, outer } = unsafe { *orders.cast::<Orders>() };
    calls::close(outer);
    // a signal that arrives from now on must not be lost in our handler
    for signal in signals::HANDLED {
        calls::default_action(signal);
    }
    let mut go = [0];
    loop {
        match calls::read(gate, &mut go) {
            Ok(1..) => break,
            Err(libc::EINTR) => {}
            Ok(0) | Err(_) => calls::exit(0),
        }
    }
    calls::set_umask(context.umask);
    calls::unblock_all();
    let mut errno = run(path, &[path.as_ptr(), ptr::null()], context);
    if errno == libc::ENOEXEC {
        errno = run(SHELL, &[SHELL.as_ptr(), path.as_ptr(), ptr::null()], context);
    }
    calls::send(gate, &errno.to_ne_bytes());
    calls::exit(127)
}

const SHELL: &CStr = c"/bin/sh";

fn run(path: &CStr, arguments: &[*const c_char], context: &Context) -> i32 {
    // SAFETY: both lists end in null.
    unsafe { calls::execute(path, arguments, &context.environment) }
}

/// `path` for execve(2).
///
/// # Errors
/// EINVAL if it has a NUL byte.
pub fn c_path(path: &std::path::Path) -> Result<CString, Errno> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}
