//! Standing orders: the line in `RUNDIR/NAME/lock`.

/// What the lock of a service says. No lock at all means: keep it running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// End it with SIGTERM and keep it down.
    Stop,
    /// End it with SIGKILL and keep it down.
    Kill,
    /// Start it once; becomes `Ran` when that is done.
    Once,
    /// It was started once; leave it alone, and down when it ends.
    Ran,
    /// End it, then remove this order and start it.
    Restart,
    /// sysmgr is ending; void for the next sysmgr.
    Shutdown,
    /// The entry in the service directory was removed; void when it is back.
    Gone,
    /// Anything else, also an empty lock: don't start it again.
    Hold,
}

impl Order {
    /// Reads the content of a lock. There is no wrong content.
    #[must_use]
    pub fn parse(content: &[u8]) -> Self {
        match content.strip_suffix(b"\n").unwrap_or(content) {
            b"stop" => Self::Stop,
            b"kill" => Self::Kill,
            b"once" => Self::Once,
            b"ran" => Self::Ran,
            b"restart" => Self::Restart,
            b"shutdown" => Self::Shutdown,
            b"gone" => Self::Gone,
            _ => Self::Hold,
        }
    }

    /// The word for it; empty for `Hold`, whose content is somebody else's.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Kill => "kill",
            Self::Once => "once",
            Self::Ran => "ran",
            Self::Restart => "restart",
            Self::Shutdown => "shutdown",
            Self::Gone => "gone",
            Self::Hold => "",
        }
    }

    /// Whether it has the service started, also when no process lives.
    #[must_use]
    pub const fn starts(self) -> bool {
        matches!(self, Self::Once | Self::Restart)
    }

    /// Whether it ends the process that runs.
    #[must_use]
    pub const fn ends(self) -> bool {
        matches!(self, Self::Stop | Self::Kill | Self::Restart | Self::Shutdown | Self::Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::Order;
    use crate::service::rubbish::variations;

    #[test]
    fn each_word_is_read_back_and_rubbish_holds() {
        use Order::{Gone, Hold, Kill, Once, Ran, Restart, Shutdown, Stop};
        for order in [Stop, Kill, Once, Ran, Restart, Shutdown, Gone, Hold] {
            assert_eq!(Order::parse(order.word().as_bytes()), order);
            assert_eq!(Order::parse(format!("{}\n", order.word()).as_bytes()), order);
        }
        for rubbish in [&b"Stop"[..], b"stop stop", b" stop", b"\xff", b"stop\nkill\n", b"0"] {
            assert_eq!(Order::parse(rubbish), Hold);
        }
    }

    #[test]
    fn whatever_stands_there_is_one_of_our_words_or_holds() {
        variations(&[b"stop\n", b"kill\n", b"once", b"ran", b"restart\n", b"shutdown", b"gone\n", b""], |content| {
            let order = Order::parse(content);
            let word = content.strip_suffix(b"\n").unwrap_or(content);
            assert!(order == Order::Hold || order.word().as_bytes() == word, "{content:?}");
        });
    }
}
