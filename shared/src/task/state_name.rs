//! The states of a task by name, as they are stored and shown.

use serde::{Deserialize, Serialize};

/// The stored name of a state. The texts are part of the record format and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateName {
    /// See [`super::TaskState::Pending`].
    Pending,
    /// See [`super::TaskState::Claimed`].
    Claimed,
    /// See [`super::TaskState::Publishing`].
    Publishing,
    /// See [`super::TaskState::Done`].
    Done,
    /// See [`super::TaskState::Failed`].
    Failed,
    /// See [`super::TaskState::Quarantined`].
    Quarantined,
}

impl StateName {
    /// All states in the order of a task's life.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Claimed,
        Self::Publishing,
        Self::Done,
        Self::Failed,
        Self::Quarantined,
    ];

    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Claimed => "claimed",
            Self::Publishing => "publishing",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Quarantined => "quarantined",
        }
    }

    /// From its stored text.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == text)
    }

    /// No worker will act on it any more.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Done | Self::Failed | Self::Quarantined)
    }

    /// A worker owns it.
    pub fn is_owned(self) -> bool {
        matches!(self, Self::Claimed | Self::Publishing)
    }
}
