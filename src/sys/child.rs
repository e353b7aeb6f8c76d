//! The making of children that only live to execute something else, or to enter a group.
//!
//! fork(2) copies what describes the memory of its caller, page by page, for a child that throws it
//! away at once; and every page that the caller writes to meanwhile is copied too. That is most of
//! the work of starting a process. On Linux such a child can share the memory until it executes, as
//! posix_spawn(3) has it: clone(2) with `CLONE_VM`, on a stack of its own.

use nix::errno::Errno;
use nix::libc::{self, c_int, c_void};

/// What a child does instead of what its parent does: system calls only, of which the last is
/// _exit(2) or execve(2).
pub(super) type Body = extern "C" fn(*mut c_void) -> c_int;

/// Whether a child of `run` has done everything when `run` returns.
pub(super) const RUN_WAITS: bool = cfg!(all(target_os = "linux", not(sysmgr_posix)));

/// Makes a child that runs `body` with `argument`, and waits until it has executed something or does
/// nothing more than to end; where memory is not shared, this does not wait. Its signals are blocked and handled as ours
/// are.
///
/// # Errors
/// Of fork(2).
///
/// # Safety
/// This program has one thread; `argument` is what `body` takes.
pub(super) unsafe fn run(body: Body, argument: *mut c_void) -> Result<i32, Errno> {
    // SAFETY: as the caller vouches.
    unsafe { os::run(body, argument) }
}

/// Makes a child that runs `body` with `argument` beside us: it has to use the calls of `calls` only,
/// and whatever it points to must stay for ever, since nobody knows when it has executed something.
/// `argument` itself is copied.
///
/// # Errors
/// Of fork(2).
///
/// # Safety
/// This program has one thread; `argument` is what `body` takes.
pub(super) unsafe fn beside<T: Copy>(body: Body, argument: T) -> Result<i32, Errno> {
    // SAFETY: as the caller vouches.
    unsafe { os::beside(body, argument) }
}

/// Makes a child that only ends, without waiting for that: no signal tells of it. `None` where it takes
/// memory of its own, and so more than that.
///
/// # Errors
/// Of fork(2).
pub(super) fn that_ends() -> Result<Option<i32>, Errno> {
    os::that_ends()
}

/// The child `pid`, made by `beside`, has executed something or ended: it has left our memory.
pub(super) fn has_left(pid: i32) {
    os::has_left(pid);
}

unsafe fn fork(body: Body, argument: *mut c_void) -> Result<i32, Errno> {
    // SAFETY: as the caller vouches.
    let pid = Errno::result(unsafe { libc::fork() })?;
    if pid == 0 {
        let code = body(argument);
        // SAFETY: _exit(2) takes a number.
        unsafe { libc::_exit(code) }
    }
    Ok(pid)
}

#[cfg(all(target_os = "linux", not(sysmgr_posix)))]
mod os {
    use super::super::calls;
    use super::{Body, Errno, c_int, c_void, fork, libc};
    use std::cell::UnsafeCell;
    use std::mem::MaybeUninit;
    use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

    /// Of 1.5 KiB, since a child does little more than system calls, with all signals blocked; aligned
    /// as all machines want it. More would take a page more of each supervisor's memory.
    type Stack = MaybeUninit<[u128; 96]>;

    pub unsafe fn run(body: Body, argument: *mut c_void) -> Result<i32, Errno> {
        // we wait, so it can be in our own stack
        let mut stack = Stack::uninit();
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        // SAFETY: a stack grows down from its end. Nobody else uses it until the child has left.
        Errno::result(unsafe { libc::clone(body, stack.as_mut_ptr().add(1).cast(), flags, argument) })
    }

    struct Shared(UnsafeCell<Stack>);
    // SAFETY: it is used by one child at a time, see HOLDER.
    unsafe impl Sync for Shared {}
    static STACK: Shared = Shared(UnsafeCell::new(Stack::uninit()));
    /// That of a child that only ends. Two may be in it: neither looks at what it has written there.
    struct Brief(UnsafeCell<MaybeUninit<[u128; 32]>>);
    // SAFETY: as it says.
    unsafe impl Sync for Brief {}
    static BRIEF: Brief = Brief(UnsafeCell::new(MaybeUninit::uninit()));
    /// The child that may still use it.
    static HOLDER: AtomicI32 = AtomicI32::new(0);

    pub unsafe fn beside<T: Copy>(body: Body, mut argument: T) -> Result<i32, Errno> {
        let holder = HOLDER.load(Relaxed);
        // SAFETY: kill(2) of no signal takes numbers.
        let is_free = holder == 0 || unsafe { libc::kill(holder, 0) } != 0 && Errno::last() == Errno::ESRCH;
        if !calls::BARE || !is_free {
            // SAFETY: as the caller vouches.
            return unsafe { fork(body, (&raw mut argument).cast()) };
        }
        const { assert!(align_of::<T>() <= 16 && size_of::<T>() <= 256) };
        // SAFETY: the argument fits between the end and a multiple of 16 below it; the stack grows
        // down from there, and is nobody else's.
        let pid = unsafe {
            let end = STACK.0.get().add(1).cast::<u128>();
            let place = end.sub(size_of::<T>().div_ceil(16));
            place.cast::<T>().write(argument);
            libc::clone(body, place.cast(), libc::CLONE_VM | libc::SIGCHLD, place.cast::<c_void>())
        };
        let pid = Errno::result(pid)?;
        HOLDER.store(pid, Relaxed);
        Ok(pid)
    }

    pub fn that_ends() -> Result<Option<i32>, Errno> {
        extern "C" fn end(_: *mut c_void) -> c_int {
            calls::exit(0)
        }
        if !calls::BARE {
            return Ok(None);
        }
        // SAFETY: a stack grows down from its end; what the child does there is one system call.
        let pid = unsafe { libc::clone(end, BRIEF.0.get().add(1).cast(), libc::CLONE_VM, std::ptr::null_mut()) };
        Errno::result(pid).map(Some)
    }

    pub fn has_left(pid: i32) {
        let _ = HOLDER.compare_exchange(pid, 0, Relaxed, Relaxed);
    }
}

#[cfg(not(all(target_os = "linux", not(sysmgr_posix))))]
mod os {
    use super::{Body, Errno, c_void, fork};

    pub unsafe fn run(body: Body, argument: *mut c_void) -> Result<i32, Errno> {
        // SAFETY: as the caller vouches.
        unsafe { fork(body, argument) }
    }

    pub unsafe fn beside<T: Copy>(body: Body, mut argument: T) -> Result<i32, Errno> {
        // SAFETY: as the caller vouches.
        unsafe { fork(body, (&raw mut argument).cast()) }
    }

    #[allow(clippy::unnecessary_wraps)] // what can fail differs
    pub fn that_ends() -> Result<Option<i32>, Errno> {
        Ok(None)
    }

    pub fn has_left(_: i32) {}
}
