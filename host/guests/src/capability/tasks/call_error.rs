//! Why a call has no answer.

use std::{sync::Arc, time::Duration};

use soloist_resources::budget::OverBudget;
use soloist_text::REFUSED_HELP;

/// Why a call has no answer, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no such task.
    #[error("there is no task {name}")]
    Unknown {
        /// Its name.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// The action of this name cannot be had.
    #[error("the action {name} is refused: {reason}")]
    Unusable {
        /// Its name.
        name: String,
        /// Why not, and the mend.
        reason: String,
    },
    /// The task says that the call is wrong.
    #[error("{host} refused it: {text}")]
    Refused {
        /// The host that worked.
        host: Arc<str>,
        /// What the task says.
        text: String,
    },
    /// The task could not do it.
    #[error("it failed on {host}, at attempt {attempt}: {text}")]
    Failed {
        /// The host that worked last.
        host: Arc<str>,
        /// How many attempts there were.
        attempt: u32,
        /// What the task says, or how it ended.
        text: String,
    },
    /// It took too long.
    #[error("it was not done within {}", humantime::format_duration(*within))]
    Late {
        /// How long it had.
        within: Duration,
    },
    /// Every host has as many calls as it takes.
    #[error("there is no place for it: {hosts} have as many calls waiting as they take")]
    Busy {
        /// Whom that was asked of.
        hosts: String,
    },
    /// The host has no room for it, or for its answer.
    #[error("{0}")]
    OverBudget(#[from] OverBudget),
    /// No host takes calls of it.
    #[error("no host takes calls of {name}{}", reason.as_ref().map_or_else(String::new, |why| format!(": {why}")))]
    Nobody {
        /// The task.
        name: Arc<str>,
        /// What is in the way, if that is known.
        reason: Option<String>,
    },
    /// Its host was lost while it worked.
    #[error("{host} was lost while it worked on it, and may have done it: {reason}")]
    Lost {
        /// The host.
        host: Arc<str>,
        /// How that was noticed.
        reason: String,
    },
}

impl CallError {
    /// What it is, in a word.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Unknown { .. } | Self::Unusable { .. } => "unknown",
            Self::Refused { .. } => "refused",
            Self::Failed { .. } => "failed",
            Self::Late { .. } => "late",
            Self::Busy { .. } | Self::OverBudget(_) => "busy",
            Self::Nobody { .. } => "nobody",
            Self::Lost { .. } => "lost",
        }
    }

    /// What to do next.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Unknown { known, .. } if known.is_empty() => {
                "put a plugin that exports soloist:plugin/task into the plugins folder".to_owned()
            }
            Self::Unknown { known, .. } => format!("the tasks here: {}", known.join(", ")),
            Self::Unusable { .. } => REFUSED_HELP.to_owned(),
            Self::Refused { .. } => "call it with something else".to_owned(),
            Self::Failed { .. } => {
                "try again, or ask for several attempts: ?attempts=N, --attempts N".to_owned()
            }
            Self::Late { .. } => {
                "`timeout` in its settings gives it more time, and so does a longer ?timeout="
                    .to_owned()
            }
            Self::Busy { .. } => {
                "try again later; `requests` and `queue` in its settings say how many there may be"
                    .to_owned()
            }
            Self::OverBudget(_) => "try again when other calls are done".to_owned(),
            Self::Nobody { .. } => {
                "start a host that has its plugin, and the labels that `on` asks for; `soloist status` shows the hosts".to_owned()
            }
            Self::Lost { .. } => {
                "if doing it twice does no harm, `idempotent = true` in its settings has it tried elsewhere".to_owned()
            }
        }
    }
}
