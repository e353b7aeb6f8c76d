//! What a distribution decides: the settings of `config.toml`, as plain values.
//!
//! `build.rs` compiles this file too, so it imports nothing of the crate.

use std::borrow::Cow;

/// The settings of one build. Times are in milliseconds, as the keys of `config.toml` say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where the services are.
    pub service_dir: Cow<'static, str>,
    /// Where the state of the services is kept.
    pub run_dir: Cow<'static, str>,
    /// What `make install` installs below.
    pub prefix: Cow<'static, str>,
    /// Where the executables go.
    pub bin_dir: Cow<'static, str>,
    /// Where the manuals go.
    pub man_dir: Cow<'static, str>,
    /// The wait before the second restart in a row; it doubles with each further failure.
    pub restart_delay_ms: u32,
    /// The longest wait before a restart.
    pub restart_delay_max_ms: u32,
    /// A run of this length forgets all failures.
    pub stable_after_ms: u32,
    /// How long what a service left behind has before SIGKILL; also how long `svctl` waits.
    pub stop_timeout_ms: u32,
    /// How long all services together have when sysmgr is told to end.
    pub shutdown_timeout_ms: u32,
    /// How long a service that is not known to wait must live to count as up.
    pub settle_ms: u32,
    /// How often directories are looked at where they cannot be watched.
    pub rescan_ms: u32,
    /// Whether root refuses service files that others could have written.
    pub owner_check: bool,
}

/// A time that can be set: by its key when building, by its environment variable when running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    /// The key in `config.toml`.
    pub key: &'static str,
    /// The environment variable that overrides it.
    pub variable: &'static str,
    /// The least value that makes sense, in milliseconds.
    pub least: u32,
    /// The largest value that makes sense, in milliseconds.
    pub most: u32,
}

const SECOND: u32 = 1000;
const HOUR: u32 = 3600 * SECOND;
const DAY: u32 = 24 * HOUR;

/// The wait before the second restart in a row. Never 0: a service that ends at once would take a whole processor.
pub const RESTART_DELAY: Time = time("restart_delay_ms", "SYSMGR_RESTART_DELAY_MS", 1, DAY);
/// The longest wait before a restart.
pub const RESTART_DELAY_MAX: Time = time("restart_delay_max_ms", "SYSMGR_RESTART_DELAY_MAX_MS", 1, DAY);
/// The run that forgets failures. Never 0: no end would count as a failure, and nothing be held back.
pub const STABLE_AFTER: Time = time("stable_after_ms", "SYSMGR_STABLE_AFTER_MS", 1, DAY);
/// The time between SIGTERM and SIGKILL.
pub const STOP_TIMEOUT: Time = time("stop_timeout_ms", "SYSMGR_STOP_TIMEOUT_MS", 1, HOUR);
/// The time that a stop of everything may take.
pub const SHUTDOWN_TIMEOUT: Time = time("shutdown_timeout_ms", "SYSMGR_SHUTDOWN_TIMEOUT_MS", 1, HOUR);
/// The age at which a service counts as up; 0 is allowed, and means as soon as it runs.
pub const SETTLE: Time = time("settle_ms", "SYSMGR_SETTLE_MS", 0, HOUR);
/// The interval of looking; below 10 ms it would do nothing else.
pub const RESCAN: Time = time("rescan_ms", "SYSMGR_RESCAN_MS", 10, HOUR);

/// All times, in the order of `config.toml`.
pub const TIMES: [Time; 7] =
    [RESTART_DELAY, RESTART_DELAY_MAX, STABLE_AFTER, STOP_TIMEOUT, SHUTDOWN_TIMEOUT, SETTLE, RESCAN];

/// The key of the owner check in `config.toml`.
pub const OWNER_CHECK_KEY: &str = "owner_check";
/// The environment variable that overrides the owner check.
pub const OWNER_CHECK_VARIABLE: &str = "SYSMGR_OWNER_CHECK";

const fn time(key: &'static str, variable: &'static str, least: u32, most: u32) -> Time {
    Time { key, variable, least, most }
}
