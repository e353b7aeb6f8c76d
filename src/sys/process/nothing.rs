//! POSIX tells nothing of one process alone.

use std::time::Duration;

use nix::errno::Errno;

use super::Facts;
use crate::service::pid::Pid;

/// Whether the system tells when a process was started, and whether it is a zombie.
pub(super) const fn knows() -> bool {
    false
}

pub(super) fn facts(_: Pid) -> Result<Option<Facts>, Errno> {
    Ok(None)
}

/// How long ago it was started is not known.
pub(super) fn age(_: u64) -> Duration {
    Duration::ZERO
}
