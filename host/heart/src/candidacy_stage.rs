//! The stages of a candidacy, from standing in the queue to resigning at the end of a term.

use super::{EndCause, LeaderKey};
use crate::clock::BootTime;

/// The stage that a candidacy is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CandidacyStage {
    /// Not standing, and not before `not_before`.
    Idle {
        /// The earliest moment at which the host may stand again.
        not_before: BootTime,
    },
    /// Standing, and waiting in the queue.
    Campaigning,
    /// Won, and re-reading the key; the next attempt is at `retry_at`.
    Verifying {
        /// The key with which the election was won.
        key: LeaderKey,
        /// When to try again; [`BootTime::NEVER`] while an attempt is under way.
        retry_at: BootTime,
    },
    /// The term runs.
    Leading {
        /// The term's key.
        key: LeaderKey,
        /// When the term began.
        since: BootTime,
    },
    /// The term is ending gracefully: work in flight may finish until `until`.
    Draining {
        /// The term's key.
        key: LeaderKey,
        /// Why the term ends.
        cause: EndCause,
        /// When work in flight is no longer waited for.
        until: BootTime,
    },
    /// The term is ending: everything is being interrupted and joined.
    Stopping {
        /// The term's key.
        key: LeaderKey,
        /// Why the term ends.
        cause: EndCause,
    },
    /// Nothing of the term is alive; its key is being given up.
    Resigning {
        /// The key that is being given up.
        key: LeaderKey,
        /// The earliest moment at which the host may stand again.
        not_before: BootTime,
        /// When to try again; [`BootTime::NEVER`] while an attempt is under way.
        retry_at: BootTime,
    },
}

impl CandidacyStage {
    /// The key that is held in this stage, if any.
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
