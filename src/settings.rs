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
