//! What people have ordered, in a status.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use soloist_text::with_reason;

/// An order of a person that is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderEntry {
    /// Who gave it.
    pub by: String,
    /// Why, in their words; empty if they gave no reason.
    pub reason: String,
    /// Since when it is in force.
    pub since: String,
}

/// The order that pauses changes of leadership in a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PauseEntry {
    /// Whether a leader that fails is replaced all the same; then only changes by preference are
    /// paused.
    pub keep_failover: bool,
    /// Who gave the order, why, and since when it is in force.
    #[serde(flatten)]
    pub order: OrderEntry,
}

impl OrderEntry {
    /// A text for people, as in `drained by ada: new disks`; `what` says what was ordered.
    #[must_use]
    pub fn sentence(&self, what: &str) -> String {
        with_reason(&format!("{what} by {}", self.by), &self.reason)
    }
}

impl PauseEntry {
    /// A text for people, as in `paused by ada: new disks (failover goes on)`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let rest = if self.keep_failover {
            " (failover goes on)"
        } else {
            " (a leader that dies is not replaced)"
        };
        self.order.sentence("paused") + rest
    }
}
