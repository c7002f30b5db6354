//! How far a candidacy is, from standing to the last act of a term.

use super::{EndCause, LeaderKey};
use crate::clock::BootTime;

/// How far a candidacy is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CandidacyStage {
    /// Not standing before `not_before`.
    Idle {
        /// When the host may stand again.
        not_before: BootTime,
    },
    /// Standing, and waiting in the queue.
    Campaigning,
    /// Won, and re-reading the key; the next try is at `retry_at`.
    Verifying {
        /// The key that was won with.
        key: LeaderKey,
        /// When to try again; never, while a try is under way.
        retry_at: BootTime,
    },
    /// The term runs.
    Leading {
        /// The term's key.
        key: LeaderKey,
        /// Since when.
        since: BootTime,
    },
    /// The term ends gracefully: what is in flight may finish until then.
    Draining {
        /// The term's key.
        key: LeaderKey,
        /// Why it ends.
        cause: EndCause,
        /// When patience ends.
        until: BootTime,
    },
    /// The term ends: everything is being interrupted and joined.
    Stopping {
        /// The term's key.
        key: LeaderKey,
        /// Why it ends.
        cause: EndCause,
    },
    /// Nothing of the term is alive; its key is being given up.
    Resigning {
        /// The key.
        key: LeaderKey,
        /// When the host may stand again.
        not_before: BootTime,
        /// When to try again; never, while a try is under way.
        retry_at: BootTime,
    },
}

impl CandidacyStage {
    /// The key that is held, from winning to resigning.
    #[must_use]
    pub fn key(&self) -> Option<&LeaderKey> {
        match self {
            Self::Idle { .. } | Self::Campaigning => None,
            Self::Verifying { key, .. }
            | Self::Leading { key, .. }
            | Self::Draining { key, .. }
            | Self::Stopping { key, .. }
            | Self::Resigning { key, .. } => Some(key),
        }
    }
}
