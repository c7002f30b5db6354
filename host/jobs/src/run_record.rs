//! What is recorded of a run, in the store and in answers of the API.

use std::fmt;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The state of a run, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RunOutcome {
    /// It was started, and has not ended as far as is known.
    Running,
    /// It ended well.
    Done,
    /// Its last attempt failed.
    Failed,
    /// A later run replaced it.
    Replaced,
    /// It was claimed, and could not start within a second of its time. It is not run.
    Missed,
    /// Its leader was lost or stopped while it ran. It is not run again.
    Interrupted,
}

impl RunOutcome {
    /// How a run that has begun can end.
    pub const ENDS: [Self; 4] = [Self::Done, Self::Failed, Self::Replaced, Self::Interrupted];

    /// The name of the outcome, as it is shown.
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

impl fmt::Display for RunOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A run that was claimed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// Tells it from every other run; the guest gets it as well.
    pub id: String,
    /// When it should have started.
    pub scheduled_at: DateTime<Utc>,
    /// Whether a person asked for it.
    pub by_hand: bool,
    /// How many runs before it were missed and dropped.
    pub missed_runs: u64,
    /// The host that started it.
    pub host: String,
    /// The fencing token of the term in which it was started.
    pub fencing_token: i64,
    /// When it was started; until that is known, when it was claimed.
    pub started_at: DateTime<Utc>,
    /// When it ended, or when a later leader found that it had ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// The number of the latest attempt, starting at 1.
    pub attempt: usize,
    /// Its state, or how it ended.
    pub outcome: RunOutcome,
    /// The exit code of the program, if it exited.
    pub exit_code: Option<i32>,
    /// The error of the latest attempt.
    pub error: Option<String>,
    /// The end of the output of the latest attempt.
    pub output: String,
}

impl RunRecord {
    /// Whether it has ended.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.outcome != RunOutcome::Running
    }
}
