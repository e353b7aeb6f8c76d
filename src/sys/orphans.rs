//! Descendants whose parent has ended.

/// Makes this process the one to which orphaned descendants come, where there is such a thing; elsewhere they go to
/// process 1.
pub fn adopt() {
    #[cfg(all(target_os = "linux", not(sysmgr_posix)))]
    // SAFETY: PR_SET_CHILD_SUBREAPER of prctl(2) takes a number.
    unsafe {
        nix::libc::prctl(nix::libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    }
    #[cfg(all(any(target_os = "freebsd", target_os = "dragonfly"), not(sysmgr_posix)))]
    // SAFETY: PROC_REAP_ACQUIRE of procctl(2), which only the process itself may ask for, takes nothing more.
    unsafe {
        let own = nix::libc::getpid();
        nix::libc::procctl(nix::libc::P_PID, own as _, nix::libc::PROC_REAP_ACQUIRE, std::ptr::null_mut());
    }
}
