//! On how many replicas of a target every row must be before a job is completed.

use serde::{Deserialize, Serialize};

/// How many replicas of each replicated target must have every row before the job is *completed*.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplicasWait {
    /// The replica that loads them. The others fetch them in their own time.
    #[default]
    One,
    /// More than half of those that Keeper knows, the one that loads included.
    Quorum,
    /// All that Keeper knows.
    All,
}

impl ReplicasWait {
    /// As written in plans and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Quorum => "quorum",
            Self::All => "all",
        }
    }

    /// Does nobody wait for other replicas? It is not written down then.
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    #[must_use]
    pub fn is_one(&self) -> bool {
        *self == Self::One
    }

    /// Replicas that must have every row, of so many.
    #[must_use]
    pub fn needed(self, replicas: usize) -> usize {
        match self {
            Self::One => 1,
            Self::Quorum => replicas / 2 + 1,
            Self::All => replicas,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ReplicasWait;

    #[test]
    fn a_quorum_is_more_than_half() {
        let quorum = |replicas| ReplicasWait::Quorum.needed(replicas);
        assert_eq!([1, 2, 3, 4, 5].map(quorum), [1, 2, 2, 3, 3]);
        assert_eq!(ReplicasWait::All.needed(3), 3);
        assert_eq!(ReplicasWait::One.needed(3), 1);
    }
}
