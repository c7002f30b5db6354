//! The kinds of records in a backup.

use serde::{Deserialize, Serialize};

/// The kinds of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BackupKind {
    /// Values of actions' state.
    State,
    /// Records about jobs.
    Ledger,
    /// Queued calls that are still to be done.
    Waiting,
    /// Dead letters.
    Dead,
    /// Answers of queued calls.
    Answer,
    /// Notes.
    Note,
}

impl BackupKind {
    /// Whether they stay until somebody changes them. Answers expire.
    #[must_use]
    pub fn is_lasting(self) -> bool {
        self != Self::Answer
    }

    /// What `count` of them are called.
    #[must_use]
    pub fn counted(self, count: u64) -> String {
        let (one, many) = match self {
            Self::State => ("value of state", "values of state"),
            Self::Ledger => ("record about jobs", "records about jobs"),
            Self::Waiting => ("queued call", "queued calls"),
            Self::Dead => ("dead letter", "dead letters"),
            Self::Answer => ("answer", "answers"),
            Self::Note => ("note", "notes"),
        };
        format!("{count} {}", if count == 1 { one } else { many })
    }
}
