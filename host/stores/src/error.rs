//! Errors of a store, as far as callers react to them differently.

use std::error::Error as StdError;

use crate::operator_order::Removal;
use soloist_heart::LeaseId;
use soloist_telemetry::measure;
use soloist_text::with_reason;

/// The cause of a store error.
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// A failed call to the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The session's lease has expired or was revoked, and everything attached to it is gone.
    #[error("the store no longer knows this session")]
    LeaseGone,
    /// The leader key that guards the call is gone.
    #[error("this host is not the leader any more")]
    NotLeader,
    /// Another host has the same name.
    #[error(
        "another live host is also called {name}{at} (session {lease}): give each host its own \
         `name` in [host], or --name",
        at = at(url)
    )]
    NameTaken {
        /// The name that both hosts have.
        name: String,
        /// The address that the other host advertises; empty if it advertises none.
        url: String,
        /// The lease of the other host's session.
        lease: LeaseId,
    },
    /// People have removed this host from the cluster.
    #[error("{}", removed(name, removal))]
    Removed {
        /// The host's name.
        name: String,
        /// Who removed it, when and why.
        removal: Removal,
    },
    /// Somebody else changed a value in the meantime: read it again.
    #[error("the value was changed by another meanwhile")]
    Conflict,
    /// A value is too large, or there are too many of them.
    #[error("{0}")]
    Limit(String),
    /// The store did not answer, or could not serve the call. Waiting may help.
    #[error("{attempted}: {store} is unavailable")]
    Unavailable {
        /// What was attempted, as in "renew the session's lease".
        attempted: &'static str,
        /// The store's label.
        store: String,
        /// What the store or the network said.
        #[source]
        source: BoxError,
    },
    /// The store refused this host, or is not a usable store. Waiting does not help.
    #[error("{problem}")]
    Refused {
        /// What is wrong and what to do next.
        problem: String,
        /// What the store said.
        #[source]
        source: Option<BoxError>,
    },
}

impl StoreError {
    /// An error that waiting does not help against, without an underlying cause.
    pub fn refused(problem: impl Into<String>) -> Self {
        Self::Refused { problem: problem.into(), source: None }
    }

    /// Whether the same call may succeed later without anybody's help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// Counts this error in the metrics if it is a failure, and returns it.
    pub(super) fn counted(self) -> Self {
        if self.is_failure() {
            measure::store_error();
        }
        self
    }

    /// Whether the store failed to serve the call, as opposed to answering it with an error.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Refused { .. })
    }
}

fn at(url: &str) -> String {
    if url.is_empty() { String::new() } else { format!(", at {url}") }
}

fn removed(name: &str, removal: &Removal) -> String {
    let by = with_reason(&format!("removed by {}", removal.order.by), &removal.order.reason);
    format!("{by}; `soloist admit {name}` lets it in again")
}
