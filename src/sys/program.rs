//! Where our programs begin, in the place of the entry that the standard library has.
//!
//! That one reads the memory map of the process and makes a second stack, to be able to tell of an
//! overflow of the first; and to show where a panic came from, it needs a library that finds the way back
//! through the calls. There is one supervisor for each service: without the two, each takes a fifth
//! less memory, and starts and ends faster.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use nix::libc;

/// The arguments as the system gave them: strings, and a null pointer behind the last.
static ARGUMENTS: AtomicPtr<*const c_char> = AtomicPtr::new(ptr::null_mut());

/// The arguments of this program, its name first.
#[must_use]
pub fn arguments() -> Vec<OsString> {
    let mut arguments = Vec::new();
    let mut next = ARGUMENTS.load(Relaxed);
    // SAFETY: `begin` has put there what the system gave: a list that ends in null and is never changed.
    unsafe {
        while !next.is_null() && !(*next).is_null() {
            arguments.push(OsStr::from_bytes(CStr::from_ptr(*next).to_bytes()).to_owned());
            next = next.add(1);
        }
    }
    arguments
}

/// Runs `main`, whose result is the exit code, with what the standard library would have seen to:
/// that there are three standard descriptors, and that a pipe without reader is an error and no death.
///
/// # Safety
/// `list` is what the system gave to the program, or ends in null at least.
pub unsafe fn begin(list: *const *const c_char, main: fn() -> u8) -> c_int {
    ARGUMENTS.store(list.cast_mut(), Relaxed);
    // SAFETY: fcntl(2), open(2) and signal(2) take numbers, and a string that lives. What is opened gets the
    // lowest number that is free: the one that was found to be missing.
    unsafe {
        for fd in 0..3 {
            if libc::fcntl(fd, libc::F_GETFD) == -1 {
                libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
            }
        }
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
    c_int::from(main())
}

/// Makes the function `$main` the program, see `sys::program`.
#[macro_export]
macro_rules! program {
    ($main:path) => {
        /// Called by the C library.
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        extern "C" fn main(_: std::ffi::c_int, list: *const *const std::ffi::c_char) -> std::ffi::c_int {
            // SAFETY: it is what the C library has from the system.
            unsafe { $crate::sys::program::begin(list, $main) }
        }

        $crate::without_unwinding! {
            _Unwind_Backtrace _Unwind_DeleteException _Unwind_FindEnclosingFunction _Unwind_ForcedUnwind
            _Unwind_GetCFA _Unwind_GetDataRelBase _Unwind_GetIP _Unwind_GetIPInfo _Unwind_GetLanguageSpecificData
            _Unwind_GetRegionStart _Unwind_GetTextRelBase _Unwind_RaiseException _Unwind_Resume
            _Unwind_SetGR _Unwind_SetIP
        }
    };
}

/// The names that the standard library knows an unwinder by: a panic ends these programs, so that none
/// is ever asked to unwind; who asks where a panic came from learns that the way ends there.
#[macro_export]
macro_rules! without_unwinding {
    ($($name:ident)*) => {$(
        /// Nothing to unwind: `_URC_END_OF_STACK`.
        #[cfg(target_os = "linux")]
        #[allow(unsafe_code, non_snake_case)]
        #[unsafe(no_mangle)]
        extern "C" fn $name() -> usize {
            5
        }
    )*};
}
