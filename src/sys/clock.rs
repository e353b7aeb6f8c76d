//! The clocks.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::service::moment::Moment;

/// Now, on the clock that nobody sets. It can't fail for a clock that every system has.
#[must_use]
pub fn now() -> Moment {
    Moment(millis(ClockId::CLOCK_MONOTONIC))
}

/// Now, in seconds since the epoch: for people, never for decisions.
#[must_use]
pub fn wall() -> u64 {
    millis(ClockId::CLOCK_REALTIME) / 1000
}

/// How long ago a moment was by the time of day, given as seconds and nanoseconds since the epoch;
/// zero if it is yet to come.
#[must_use]
pub fn ago(seconds: i64, nanoseconds: i64) -> Duration {
    let seconds = u64::try_from(seconds).unwrap_or(0).saturating_mul(1000);
    let then = seconds.saturating_add(u64::try_from(nanoseconds).unwrap_or(0) / 1_000_000);
    Duration::from_millis(millis(ClockId::CLOCK_REALTIME).saturating_sub(then))
}

/// How long the system has been up, sleep included: the clock of processes' start times.
#[cfg(all(target_os = "linux", not(sysmgr_posix)))]
#[must_use]
pub fn uptime() -> Duration {
    Duration::from_millis(millis(ClockId::CLOCK_BOOTTIME))
}

fn millis(clock: ClockId) -> u64 {
    clock_gettime(clock).map_or(0, |time| {
        let time = Duration::from(time);
        u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
    })
}
