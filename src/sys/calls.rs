//! The system calls of a child that may share the memory of its parent, errno included: these leave
//! errno alone where there are such children, and tell the error in what they return.

use std::ffi::{CStr, c_char};

use nix::libc;

pub(super) use os::{close, default_action, execute, exit, read, send, set_umask, unblock_all};

/// Whether these leave errno alone.
#[cfg(all(target_os = "linux", not(sysmgr_posix)))]
pub(super) const BARE: bool =
    cfg!(all(target_pointer_width = "64", any(target_arch = "x86_64", target_arch = "aarch64")));

#[cfg(all(
    target_os = "linux",
    not(sysmgr_posix),
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
#[allow(clippy::cast_sign_loss, clippy::cast_possible_truncation)] // numbers that the kernel takes in any width
mod os {
    use super::{CStr, c_char, libc};
    use libc::c_long;
    use std::arch::asm;

    /// A system call. The kernel's convention is the same for all of them: what it returns between
    /// -4095 and -1 is an error, negated.
    unsafe fn call(number: c_long, a: usize, b: usize, c: usize, d: usize) -> isize {
        let result: isize;
        // SAFETY: as the caller vouches for the call; registers as syscall(2) says. What is not used
        // by a call is not looked at, and sendto(2) has no address without one.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b, in("rdx") c,
                in("r10") d, in("r8") 0, in("r9") 0, lateout("rcx") _, lateout("r11") _, options(nostack));
            #[cfg(target_arch = "aarch64")]
            asm!("svc 0", in("x8") number, inlateout("x0") a => result, in("x1") b, in("x2") c, in("x3") d,
                in("x4") 0, in("x5") 0, options(nostack));
        }
        result
    }

    fn errno(result: isize) -> i32 {
        i32::try_from(-result).unwrap_or(libc::EIO)
    }

    pub fn close(fd: i32) {
        // SAFETY: only a number; who calls this has the descriptor.
        unsafe { call(libc::SYS_close, fd as usize, 0, 0, 0) };
    }

    pub fn read(fd: i32, buffer: &mut [u8]) -> Result<usize, i32> {
        // SAFETY: the buffer has the length given.
        let n = unsafe { call(libc::SYS_read, fd as usize, buffer.as_mut_ptr() as usize, buffer.len(), 0) };
        usize::try_from(n).map_err(|_| errno(n))
    }

    pub fn send(fd: i32, content: &[u8]) {
        let flags = libc::MSG_NOSIGNAL as usize;
        // SAFETY: the buffer has the length given.
        unsafe { call(libc::SYS_sendto, fd as usize, content.as_ptr() as usize, content.len(), flags) };
    }

    pub fn set_umask(mask: libc::mode_t) {
        // SAFETY: only a number.
        unsafe { call(libc::SYS_umask, mask as usize, 0, 0, 0) };
    }

    pub fn default_action(signal: i32) {
        // a struct sigaction as the kernel has it: all zero is the default, without flags
        let action = [0_u64; 4];
        // SAFETY: the structure lives across the call; its set of signals has 8 bytes.
        unsafe { call(libc::SYS_rt_sigaction, signal as usize, action.as_ptr() as usize, 0, 8) };
    }

    pub fn unblock_all() {
        let none = 0_u64;
        let how = libc::SIG_SETMASK as usize;
        // SAFETY: the set lives across the call, and has 8 bytes.
        unsafe { call(libc::SYS_rt_sigprocmask, how, (&raw const none) as usize, 0, 8) };
    }

    /// Executes `path`; returns the error only.
    pub unsafe fn execute(path: &CStr, arguments: &[*const c_char], environment: &[*const c_char]) -> i32 {
        let (path, arguments, environment) = (path.as_ptr(), arguments.as_ptr(), environment.as_ptr());
        // SAFETY: as the caller vouches, both lists end in null.
        errno(unsafe { call(libc::SYS_execve, path as usize, arguments as usize, environment as usize, 0) })
    }

    pub fn exit(code: i32) -> ! {
        loop {
            // SAFETY: only a number; does not return.
            unsafe { call(libc::SYS_exit_group, code as usize, 0, 0, 0) };
        }
    }
}

#[cfg(not(all(
    target_os = "linux",
    not(sysmgr_posix),
    target_pointer_width = "64",
    any(target_arch = "x86_64", target_arch = "aarch64")
)))]
mod os {
    use super::{CStr, c_char, libc};
    use nix::errno::Errno;

    pub fn close(fd: i32) {
        // SAFETY: only a number; who calls this has the descriptor.
        unsafe { libc::close(fd) };
    }

    pub fn read(fd: i32, buffer: &mut [u8]) -> Result<usize, i32> {
        // SAFETY: the buffer has the length given.
        let n = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
        usize::try_from(n).map_err(|_| Errno::last_raw())
    }

    pub fn send(fd: i32, content: &[u8]) {
        // SAFETY: the buffer has the length given.
        unsafe { libc::send(fd, content.as_ptr().cast(), content.len(), libc::MSG_NOSIGNAL) };
    }

    pub fn set_umask(mask: libc::mode_t) {
        // SAFETY: only a number.
        unsafe { libc::umask(mask) };
    }

    pub fn default_action(signal: i32) {
        // SAFETY: signal(2) with a default action takes numbers.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }

    pub fn unblock_all() {
        super::super::signals::unblock_all();
    }

    /// Executes `path`; returns the error only.
    pub unsafe fn execute(path: &CStr, arguments: &[*const c_char], environment: &[*const c_char]) -> i32 {
        // SAFETY: as the caller vouches, both lists end in null.
        unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
        Errno::last_raw()
    }

    pub fn exit(code: i32) -> ! {
        // SAFETY: _exit(2) takes a number.
        unsafe { libc::_exit(code) }
    }
}
