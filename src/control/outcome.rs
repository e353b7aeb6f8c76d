//! What came of an operation, and the exit code that tells it.

/// What came of an operation on one service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is done, or the service is up.
    Done,
    /// It could not be done, or the service is down.
    Failed,
    /// There is no such service.
    Unknown,
    /// It was not done in time.
    Late,
    /// Whoever asked may not do it.
    Forbidden,
    /// sysmgr does not run, and would be needed.
    Unmanaged,
}

/// Which of several outcomes is told: the first of these that occurred.
const PRECEDENCE: [Outcome; 5] =
    [Outcome::Forbidden, Outcome::Unknown, Outcome::Unmanaged, Outcome::Late, Outcome::Failed];

impl Outcome {
    /// The exit code for it.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Unknown => 3,
            Self::Late => 4,
            Self::Forbidden => 5,
            Self::Unmanaged => 6,
        }
    }

    /// What is told of several services.
    #[must_use]
    pub fn of_all(all: &[Self]) -> Self {
        PRECEDENCE.into_iter().find(|outcome| all.contains(outcome)).unwrap_or(Self::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::Outcome::{Done, Failed, Forbidden, Late, Unknown, Unmanaged};
    use super::{Outcome, PRECEDENCE};

    #[test]
    fn the_codes_are_those_of_the_manual() {
        let codes = [Done, Failed, Unknown, Late, Forbidden, Unmanaged].map(Outcome::code);
        assert_eq!(codes, [0, 1, 3, 4, 5, 6]);
    }

    #[test]
    fn of_several_the_first_of_5_3_6_4_1_counts() {
        assert_eq!(PRECEDENCE.map(Outcome::code), [5, 3, 6, 4, 1]);
        for (at, first) in PRECEDENCE.iter().enumerate() {
            let mut rest: Vec<_> = PRECEDENCE[at..].iter().rev().copied().collect();
            rest.insert(0, Done);
            assert_eq!(Outcome::of_all(&rest), *first);
        }
        assert_eq!(Outcome::of_all(&[Done, Done]), Done);
        assert_eq!(Outcome::of_all(&[]), Done);
    }
}
