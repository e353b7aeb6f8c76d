//! The start of a service: a process that waits at a gate until it stands on record.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use super::context::Context;
use super::{group, reap, signals};
use crate::service::pid::Pid;

/// A process that will execute the service when the gate is opened, and exits when it can't be any
/// more.
#[derive(Debug)]
pub struct Waiting {
    /// Its process id, which stays that of the service.
    pub pid: Pid,
    /// Its process group, which it does not lead.
    pub group: Pid,
    gate: OwnedFd,
}

/// The gate, after it was opened: tells what came of the execution.
#[derive(Debug)]
pub struct Gate(OwnedFd);

/// Makes the process for the service whose file is `path`.
///
/// # Errors
/// Of socketpair(2) and fork(2).
pub fn fork(path: &CStr, context: &Context) -> Result<Waiting, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC;
    let (gate, inner) = socketpair(AddressFamily::Unix, SockType::Stream, None, flags)?;
    let leader = group::create()?;
    // SAFETY: this program has one thread, and the child allocates nothing.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        drop(gate);
        become_service(path, &inner, context);
    }
    let forked = Errno::result(pid);
    if let Ok(pid) = forked {
        // SAFETY: setpgid(2) takes two numbers. The child has not called execve(2), the group has
        // an unreaped leader and is in our session: it can't fail but by a child killed meanwhile.
        unsafe { libc::setpgid(pid, leader.raw()) };
    }
    reap::reap(leader.raw());
    let pid = Pid::new(forked?).ok_or(Errno::EAGAIN)?;
    Ok(Waiting { pid, group: leader, gate })
}

impl Waiting {
    /// Opens the gate.
    #[must_use]
    pub fn release(self) -> Gate {
        let go = [1_u8];
        // SAFETY: the buffer is one byte. A child that is gone already will be reaped as such.
        unsafe { libc::send(self.gate.as_raw_fd(), go.as_ptr().cast(), 1, libc::MSG_NOSIGNAL) };
        Gate(self.gate)
    }
}

impl Gate {
    /// What becomes readable when the service executes, or can't.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Why the service could not be executed; `None` if it was, or if it was ended before.
    #[must_use]
    pub fn error(&self) -> Option<i32> {
        let mut errno = [0; 4];
        let flags = libc::MSG_DONTWAIT;
        // SAFETY: the buffer has the length given.
        let n = unsafe { libc::recv(self.0.as_raw_fd(), errno.as_mut_ptr().cast(), errno.len(), flags) };
        (n == 4).then(|| i32::from_ne_bytes(errno))
    }
}

/// In the child: waits at the gate, then executes the service, without a use of the heap.
fn become_service(path: &CStr, gate: &OwnedFd, context: &Context) -> ! {
    signals::reset_handled();
    let mut go = [0_u8];
    // SAFETY: only system calls with buffers that live across them.
    unsafe {
        loop {
            let n = libc::read(gate.as_raw_fd(), go.as_mut_ptr().cast(), 1);
            if n == 1 {
                break;
            }
            if n == 0 || io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                libc::_exit(0);
            }
        }
        libc::umask(context.umask);
        signals::unblock_all();
        let environment = context.environment.as_ptr();
        let arguments = [path.as_ptr(), ptr::null()];
        libc::execve(path.as_ptr(), arguments.as_ptr(), environment);
        let mut errno = Errno::last();
        if errno == Errno::ENOEXEC {
            let shell = c"/bin/sh";
            let arguments = [shell.as_ptr(), path.as_ptr(), ptr::null()];
            libc::execve(shell.as_ptr(), arguments.as_ptr(), environment);
            errno = Errno::last();
        }
        let errno = (errno as i32).to_ne_bytes();
        libc::send(gate.as_raw_fd(), errno.as_ptr().cast(), errno.len(), libc::MSG_NOSIGNAL);
        libc::_exit(127);
    }
}

/// `path` for execve(2).
///
/// # Errors
/// EINVAL if it has a NUL byte.
pub fn c_path(path: &std::path::Path) -> Result<CString, Errno> {
    use std::os::unix::ffi::OsStrExt;
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}
