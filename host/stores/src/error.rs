//! What can go wrong with a store, as far as a caller acts on it differently.

use std::error::Error as StdError;

use crate::operator_order::Removal;
use soloist_heart::LeaseId;
use soloist_telemetry::measure;
use soloist_text::with_reason;

/// The boxed cause of a store error.
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// A failed call to the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The session's lease has run out or was revoked: all that hung on it is gone.
    #[error("the store no longer knows this session")]
    LeaseGone,
    /// The leader key that guards the call is gone.
    #[error("this host is not the leader any more")]
    NotLeader,
    /// Another host goes by this name.
    #[error(
        "another host is called {name} as well{at}, by session {lease}: give each its own \
         `name` in [host], or --name",
        at = at(url)
    )]
    NameTaken {
        /// The name.
        name: String,
        /// Where the other one says that it answers, if it says so.
        url: String,
        /// The lease of its session.
        lease: LeaseId,
    },
    /// People have removed this host from the cluster.
    #[error("{}", removed(name, removal))]
    Removed {
        /// The host.
        name: String,
        /// Who did so, when and why.
        removal: Removal,
    },
    /// A value was changed by another meanwhile: read it again.
    #[error("the value was changed by another meanwhile")]
    Conflict,
    /// What was to be kept is too large, or too much.
    #[error("{0}")]
    Limit(String),
    /// The store did not answer, or could not serve. Waiting may mend it.
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
    /// The store refused this host, or is none. Waiting does not mend it.
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
    /// What waiting does not mend, and no cause below it.
    pub fn refused(problem: impl Into<String>) -> Self {
        Self::Refused { problem: problem.into(), source: None }
    }

    /// Whether the same call may succeed later without anybody's help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }

    /// The same, taken down if it is a failure.
    pub(super) fn counted(self) -> Self {
        if self.is_failure() {
            measure::store_error();
        }
        self
    }

    /// Whether it is no answer of the store: it could not serve, or would not.
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
