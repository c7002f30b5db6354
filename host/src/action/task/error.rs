//! Why a call of a task was not done.

use std::time::Duration;

/// Why a call was not done on this host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// The task says that the call is wrong; a repeated call would be wrong as well.
    #[error("it was refused: {0}")]
    Refused(String),
    /// The task could not do it, or trapped; a repeated call may succeed.
    #[error("it failed: {0}")]
    Failed(String),
    /// It took too long.
    #[error("it took longer than {}", humantime::format_duration(*.0))]
    Late(Duration),
    /// Too many calls are waiting. It was not started.
    #[error("too many calls are waiting")]
    Busy,
    /// This host does not do it: it is leaving, or has no such task. It was not started.
    #[error("this host does not take calls of it")]
    Leaving,
}

impl TaskError {
    /// The error in one word, for machines to read.
    pub(crate) const fn as_str(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
            Self::Late(_) => "late",
            Self::Busy => "busy",
            Self::Leaving => "leaving",
        }
    }

    /// What the task itself says about it, if anything.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Refused(text) | Self::Failed(text) => text,
            Self::Late(_) | Self::Busy | Self::Leaving => "",
        }
    }
}
