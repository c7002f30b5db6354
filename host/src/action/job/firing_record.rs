//! What is kept of a firing, in the store and in answers.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How a firing stands, or has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FiringOutcome {
    /// It was begun, and has not ended as far as is known.
    Running,
    /// It ended well.
    Done,
    /// Its last attempt failed.
    Failed,
    /// A later firing took its place.
    Replaced,
    /// It was claimed, and could not begin within a second of its time any more. It is not
    /// run.
    Missed,
    /// Its leader was lost, or stopped, while it ran. It is not run again.
    Interrupted,
}

impl FiringOutcome {
    /// As it is shown.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Replaced => "replaced",
            Self::Missed => "missed",
            Self::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for FiringOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A firing that was claimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FiringRecord {
    /// What tells it from every other, as the guest was told.
    pub id: String,
    /// When it should have begun.
    pub scheduled: DateTime<Utc>,
    /// Whether a person asked for it.
    pub by_hand: bool,
    /// How many firings before it were missed and dropped.
    pub missed: u64,
    /// The host that began it.
    pub host: String,
    /// The token of the term that it was begun in.
    pub token: i64,
    /// When it was begun; until that is known, when it was claimed.
    pub started: DateTime<Utc>,
    /// When it ended, or when a later leader found that it had.
    pub ended: Option<DateTime<Utc>>,
    /// Which attempt is the latest; the first is 1.
    pub attempt: usize,
    /// How it stands.
    pub outcome: FiringOutcome,
    /// What the program exited with, if it came to that.
    pub exit: Option<i32>,
    /// What went wrong.
    pub error: Option<String>,
    /// The end of what the latest attempt printed.
    pub output: String,
}

impl FiringRecord {
    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.outcome != FiringOutcome::Running
    }
}
