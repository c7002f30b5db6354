//! What can go wrong inside the worker, before it is told who asked for what.

use rusqlite::ErrorCode;

use crate::store::{Mismatch, StoreError};

/// A failed piece of work on the file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the lease is gone")]
    LeaseGone,
    #[error("the leader key is gone")]
    NotLeader,
    #[error("the value has another version")]
    Conflict,
    #[error("{0}")]
    Limit(String),
    #[error("the file was removed or replaced while it was in use")]
    Replaced,
    #[error("{}", .0.seen)]
    Mismatch(Mismatch),
    #[error("the candidate was removed from the queue")]
    Removed,
    #[error("another campaign of the same lease took its place")]
    Superseded,
    #[error("{0}")]
    Broken(String),
    #[error("no answer in time; another process may hold the file")]
    TimedOut,
    #[error("other writes took all the time; nothing was written")]
    Crowded,
    #[error("the store was closed")]
    Closed,
    #[error("{problem}")]
    Refused {
        problem: String,
        #[source]
        source: Option<rusqlite::Error>,
    },
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("looking at the file")]
    Io(#[from] std::io::Error),
    #[error("starting the store's thread or file watch")]
    Start(#[source] std::io::Error),
    #[error("writing a value as JSON")]
    Value(#[from] serde_json::Error),
}

impl Fault {
    pub(super) fn refused(problem: String) -> Self {
        Self::Refused { problem, source: None }
    }

    /// What a check of the limits said.
    pub(super) fn of_a_limit(error: StoreError) -> Self {
        Self::Limit(error.to_string())
    }

    /// Whether another process merely holds the file: the connection is sound.
    pub(super) fn is_busy(&self) -> bool {
        let Self::Sqlite(error) = self else {
            return false;
        };
        let code = error.sqlite_error_code();
        matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    /// As the caller of `attempted` is told.
    pub(super) fn into_error(self, attempted: &'static str, store: &str) -> StoreError {
        match self {
            Self::LeaseGone => StoreError::LeaseGone,
            Self::NotLeader => StoreError::NotLeader,
            Self::Conflict => StoreError::Conflict,
            Self::Limit(problem) => StoreError::Limit(problem),
            Self::Refused { problem, source } => {
                StoreError::Refused { problem, source: source.map(Into::into) }
            }
            fault => {
                StoreError::Unavailable { attempted, store: store.into(), source: fault.into() }
            }
        }
    }
}
