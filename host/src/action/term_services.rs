//! What the actions of a group get from their term.

use std::time::Duration;

use tokio::sync::mpsc;

use super::{action_directory::ActionDirectory, action_failure::ActionFailure, job::JobServices};
use crate::task_scope::TaskScope;
use soloist_guests::capability::TermLink;

/// What actions get from their term.
#[derive(Clone, Debug)]
pub struct TermServices {
    /// The term.
    pub term: TermLink,
    /// Owns all tasks of the actions.
    pub tasks: TaskScope,
    /// Where actions that were given up are reported.
    pub failures: mpsc::UnboundedSender<ActionFailure>,
    /// Where the actions can be found by those who have requests for them.
    pub directory: ActionDirectory,
    /// What all jobs share.
    pub jobs: JobServices,
    /// How long a replaced version may take to finish what it has started.
    pub drain: Duration,
}
