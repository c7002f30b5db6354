//! The failure of an action, and the outcome of its start.

use std::sync::Arc;

use super::prepared_action::Action;

/// An action was given up. The leader then hands over, unless it can go back to an earlier version
/// of the action.
#[derive(Clone, Debug, thiserror::Error)]
#[error("action {} failed: {reason}", action.name())]
pub struct ActionFailure {
    /// The action that failed.
    pub action: Arc<Action>,
    /// What happened, and what to do about it.
    pub reason: String,
    /// Whether the cause lies outside the action and may go away by itself, such as an address that
    /// is in use.
    pub may_pass: bool,
}

/// Whether an action has started: `None` while that is not known.
pub(super) type StartOutcome = Option<Result<(), ActionFailure>>;
