//! Why a call of a task has no result.

use std::{sync::Arc, time::Duration};

use soloist_resources::budget::OverBudget;
use soloist_text::REFUSED_HELP;

/// Why a call has no result, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no such task.
    #[error("there is no task {name}")]
    Unknown {
        /// The name that was called.
        name: String,
        /// The names of the tasks that exist.
        known: Vec<String>,
    },
    /// The action with this name was refused by the host.
    #[error("the action {name} is refused: {reason}")]
    Unusable {
        /// Its name.
        name: String,
        /// Why it was refused, and how to fix it.
        reason: String,
    },
    /// The task rejects the call as invalid.
    #[error("{host} refused it: {text}")]
    Refused {
        /// The host that ran it.
        host: Arc<str>,
        /// The message of the task.
        text: String,
    },
    /// The task failed.
    #[error("it failed on {host}, at attempt {attempt}: {text}")]
    Failed {
        /// The host that ran the last attempt.
        host: Arc<str>,
        /// The number of attempts.
        attempt: u32,
        /// The message of the task, or how its instance ended.
        text: String,
    },
    /// It took too long.
    #[error("it took longer than {}", humantime::format_duration(*within))]
    Late {
        /// How long it was given.
        within: Duration,
    },
    /// The queues of all hosts are full.
    #[error("it was refused: {hosts} have the maximum number of calls waiting")]
    Busy {
        /// The hosts that were asked.
        hosts: String,
    },
    /// The memory budget has no room for the call, or for its result.
    #[error("{0}")]
    OverBudget(#[from] OverBudget),
    /// No host accepts calls of the task.
    #[error("no host takes calls of {name}{}", reason.as_ref().map_or_else(String::new, |why| format!(": {why}")))]
    Nobody {
        /// The name of the task.
        name: Arc<str>,
        /// What prevents it, if that is known.
        reason: Option<String>,
    },
    /// The host was lost while it worked on the call.
    #[error("{host} was lost while it worked on it, and may have done it: {reason}")]
    Lost {
        /// The host that was lost.
        host: Arc<str>,
        /// How the loss was noticed.
        reason: String,
    },
}

impl CallError {
    /// The kind of error, as one word.
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

    /// The words of all errors.
    pub const WORDS: [&str; 7] = ["unknown", "refused", "failed", "late", "busy", "nobody", "lost"];

    /// What the caller can do next.
    #[must_use]
    pub fn help(&self) -> String {
        match self {
            Self::Unknown { known, .. } if known.is_empty() => {
                "put a plugin that exports soloist:plugin/task into the plugins folder".to_owned()
            }
            Self::Unknown { known, .. } => format!("the tasks here: {}", known.join(", ")),
            Self::Unusable { .. } => REFUSED_HELP.to_owned(),
            Self::Refused { .. } => "change the payload of the call".to_owned(),
            Self::Failed { .. } => {
                "try again, or ask for several attempts: ?max_attempts=N, --attempts N".to_owned()
            }
            Self::Late { .. } => {
                "`call_timeout` in its settings gives it more time, and so does a longer ?timeout="
                    .to_owned()
            }
            Self::Busy { .. } => {
                "try again later; `max_concurrent_requests` and `max_queued_requests` in its \
                 settings set the limits"
                    .to_owned()
            }
            Self::OverBudget(_) => "try again when other calls are done".to_owned(),
            Self::Nobody { .. } => {
                "start a host that has its plugin, and the label that `require_label` asks for; `soloist status` shows the hosts".to_owned()
            }
            Self::Lost { .. } => {
                "if running it twice does no harm, set `idempotent = true` in its settings: then \
                 it is repeated on another host".to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_has_its_word_among_all() {
        let (host, text) = (|| Arc::from("a"), String::new);
        let errors = [
            CallError::Unknown { name: text(), known: Vec::new() },
            CallError::Refused { host: host(), text: text() },
            CallError::Failed { host: host(), attempt: 1, text: text() },
            CallError::Late { within: Duration::ZERO },
            CallError::Busy { hosts: text() },
            CallError::Nobody { name: host(), reason: None },
            CallError::Lost { host: host(), reason: text() },
        ];
        assert_eq!(errors.map(|error| error.as_str()), CallError::WORDS);
    }
}
