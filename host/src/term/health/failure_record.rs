//! One action that has failed on this host.

use std::sync::Arc;

use crate::action::{Action, FAILED_AGAIN};
use soloist_heart::clock::BootTime;
use soloist_stores::FailedAction;

/// An action that has failed on this host.
pub(super) struct FailureRecord {
    /// The version that failed.
    pub(super) action: Arc<Action>,
    pub(super) reason: String,
    pub(super) at: BootTime,
    /// When it failed, in milliseconds of Unix time.
    pub(super) at_unix: u64,
    /// Whether this host leads, and goes on without the action.
    pub(super) parked: bool,
    /// If it was started again: since when it has run without ending, and how often it had ended
    /// before.
    pub(super) retried: Option<(BootTime, u64)>,
}

impl FailureRecord {
    /// Whether a leader is to go on without the action for now.
    pub(super) fn is_parked_now(&self, now: BootTime) -> bool {
        self.retried.is_none() && now.since(self.at) < FAILED_AGAIN
    }

    /// Whether the action has run for long enough since it was started again. `up` says whether it
    /// runs now, and `ends` how often it has ended until now.
    pub(super) fn has_recovered(&mut self, up: bool, ends: u64, now: BootTime) -> bool {
        let Some((since, before)) = self.retried else { return false };
        if !up || ends != before {
            self.retried = Some((now, ends));
            return false;
        }
        now.since(since) >= self.action.stable_after()
    }

    /// What this host publishes about the failure.
    pub(super) fn published(&self) -> FailedAction {
        FailedAction { reason: self.reason.clone(), at: self.at_unix, parked: self.parked }
    }
}
