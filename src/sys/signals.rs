//! Signals: blocked all the time, but for the one place where the program waits.

use std::sync::atomic::{AtomicU64, Ordering};

use nix::libc;

/// Those that ask for a stop.
pub const STOP: [i32; 5] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGABRT];

pub use nix::libc::{
    SIGALRM, SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH,
};

/// All that is handled.
pub(super) const HANDLED: [i32; 11] = [
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGHUP,
    libc::SIGQUIT,
    libc::SIGABRT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGCONT,
    libc::SIGCHLD,
    // so that a broken pipe is an error of write(2), and yet not ignored in the service
    libc::SIGPIPE,
];

/// Those that have arrived, as bits by their number.
static ARRIVED: AtomicU64 = AtomicU64::new(0);

/// Signals that have arrived since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived(u64);

impl Arrived {
    /// Whether `signal` is among them.
    #[must_use]
    pub fn has(self, signal: i32) -> bool {
        self.0 & (1 << signal) != 0
    }

    /// Whether one that asks for a stop is among them.
    #[must_use]
    pub fn has_stop(self) -> bool {
        STOP.iter().any(|signal| self.has(*signal))
    }
}

/// Those that have arrived since the last call.
#[must_use]
pub fn take() -> Arrived {
    Arrived(ARRIVED.swap(0, Ordering::Relaxed))
}

/// Makes those that have arrived pending again, for the program that we become by execve(2).
pub(super) fn send_back() {
    let arrived = take();
    for signal in HANDLED.into_iter().filter(|signal| arrived.has(*signal)) {
        // SAFETY: kill(2) of ourselves takes two numbers; the signal is blocked, and so stays pending.
        unsafe { libc::kill(libc::getpid(), signal) };
    }
}

extern "C" fn note(signal: libc::c_int) {
    ARRIVED.fetch_or(1 << signal, Ordering::Relaxed);
}

/// Blocks and handles what we react to, and undoes what whoever started us has ignored or blocked,
/// so that services get everything at its default.
pub fn install() {
    // SAFETY: sets and actions are plain numbers, made complete before they are used; the handler
    // only touches an atomic.
    unsafe {
        let mut blocked: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut blocked);
        for signal in HANDLED {
            libc::sigaddset(&raw mut blocked, signal);
        }
        libc::sigprocmask(libc::SIG_SETMASK, &raw const blocked, std::ptr::null_mut());
        for signal in 1..=last_signal() {
            let mut action: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(signal, std::ptr::null(), &raw mut action) == 0 && action.sa_sigaction == libc::SIG_IGN {
                libc::signal(signal, libc::SIG_DFL);
            }
        }
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigfillset(&raw mut action.sa_mask);
        action.sa_sigaction = note as extern "C" fn(libc::c_int) as libc::sighandler_t;
        for signal in HANDLED {
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}

/// Blocks and handles `signals`, but for those that whoever started us has ignored: for a tool that
/// has something to put away before it ends of one.
pub fn catch(signals: &[i32]) {
    // SAFETY: as in `install`.
    unsafe {
        let mut blocked: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut blocked);
        for signal in signals {
            let mut action: libc::sigaction = std::mem::zeroed();
            if libc::sigaction(*signal, std::ptr::null(), &raw mut action) == 0 && action.sa_sigaction != libc::SIG_IGN
            {
                libc::sigaddset(&raw mut blocked, *signal);
                libc::sigfillset(&raw mut action.sa_mask);
                action.sa_flags = 0;
                action.sa_sigaction = note as extern "C" fn(libc::c_int) as libc::sighandler_t;
                libc::sigaction(*signal, &raw const action, std::ptr::null_mut());
            }
        }
        libc::sigprocmask(libc::SIG_BLOCK, &raw const blocked, std::ptr::null_mut());
    }
}

/// Ends this process of `signal`, as if it had never been handled.
pub fn end_of(signal: i32) {
    // SAFETY: signal(2) and raise(3) take numbers.
    unsafe {
        libc::signal(signal, libc::SIG_DFL);
        libc::raise(signal);
    }
    unblock_all();
}

/// The highest number that sigaction(2) may know.
fn last_signal() -> i32 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return libc::SIGRTMAX();
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    return 64;
}

/// In a child, before execve(2).
pub(super) fn unblock_all() {
    // SAFETY: the set is made complete before it is used.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// The number of the signal called `name`, with or without `SIG`, in any case; or a number itself.
#[must_use]
pub fn by_name(name: &str) -> Option<i32> {
    use std::str::FromStr as _;
    if let Ok(number) = name.parse::<i32>() {
        return (1..=last_signal()).contains(&number).then_some(number);
    }
    let upper = name.to_ascii_uppercase();
    let full = if upper.starts_with("SIG") { upper } else { format!("SIG{upper}") };
    nix::sys::signal::Signal::from_str(&full).ok().map(|signal| signal as i32)
}

/// The names of all signals that have one, without `SIG`.
#[must_use]
pub fn names() -> Vec<String> {
    let all = nix::sys::signal::Signal::iterator();
    all.map(|signal| signal.as_str().trim_start_matches("SIG").to_owned()).collect()
}
