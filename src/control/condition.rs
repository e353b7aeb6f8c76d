//! In which condition a service is.

/// In which condition a service is, for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It runs.
    Up,
    /// It runs, and was told to end.
    Stopping,
    /// Its process does not execute it yet.
    Starting,
    /// It runs, but waits for others in sysmgr-depends.
    Waiting,
    /// It has ended, and what it left behind is being ended.
    Clearing,
    /// It has failed, and is tried again.
    Backoff,
    /// Its file can't be a service.
    Refused,
    /// It has no process, because of an order.
    Down,
    /// It should have a process, and has none.
    Lost,
    /// Nothing is known of it in this boot.
    New,
}

impl Condition {
    /// Whether the service counts as up.
    #[must_use]
    pub const fn is_up(self) -> bool {
        matches!(self, Self::Up | Self::Stopping)
    }

    /// One word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Stopping => "stopping",
            Self::Starting => "starting",
            Self::Waiting => "waiting",
            Self::Clearing => "clearing",
            Self::Backoff => "backoff",
            Self::Refused => "refused",
            Self::Down => "down",
            Self::Lost => "lost",
            Self::New => "new",
        }
    }

    /// The same for people, where another service is meant.
    #[must_use]
    pub const fn plain(self) -> &'static str {
        match self {
            Self::Backoff => "failing",
            Self::Lost => "gone",
            Self::New => "not started",
            _ => self.word(),
        }
    }
}
