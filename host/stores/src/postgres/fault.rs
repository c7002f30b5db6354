//! Errors inside this module, before the caller's context is added.

use tokio_postgres::error::SqlState;

use super::sqlstate::{self, Remedy};
use crate::{StoreError, StoreMismatch, error::BoxError};

/// Why a piece of work failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum PostgresFault {
    #[error("the lease is gone")]
    LeaseGone,
    #[error("the leader key is gone")]
    NotLeader,
    #[error("the value has another version")]
    Conflict,
    #[error("the candidate was removed from the queue")]
    Removed,
    /// Another host has the same name, or people have removed this host.
    #[error(transparent)]
    NotAdmitted(StoreError),
    #[error("{0}")]
    Limit(String),
    #[error("{}", .0.seen)]
    Mismatch(StoreMismatch),
    #[error("no answer in time")]
    TimedOut,
    #[error("no connection became free in time: other calls take all the time")]
    NoTurn,
    #[error("the store was closed")]
    Closed,
    /// No server could be used; each with its reason.
    #[error("{0}")]
    NoServer(String),
    /// A server that accepts no writes.
    #[error(
        "it accepts no writes: it is a standby, or `default_transaction_read_only` is on; name \
         the primary as well"
    )]
    ReadOnly,
    #[error("{problem}")]
    Refused {
        problem: String,
        #[source]
        source: Option<BoxError>,
    },
    #[error("{}", sqlstate::remedy(.0).text())]
    Server(#[from] tokio_postgres::Error),
    #[error("writing a value as JSON")]
    Value(#[from] serde_json::Error),
    /// What somebody else found out and told as text.
    #[error("{0}")]
    Told(String),
}

impl PostgresFault {
    /// Somebody has deleted the rows that a cluster has for as long as it exists.
    pub(super) fn cluster_is_gone() -> Self {
        Self::Told("the cluster's row is not in the tables any more".into())
    }

    pub(super) fn refused(problem: impl Into<String>) -> Self {
        Self::Refused { problem: problem.into(), source: None }
    }

    /// Whether the transaction was given up for the sake of others, and may simply be repeated.
    pub(super) fn may_be_repeated(&self) -> bool {
        let Self::Server(error) = self else { return false };
        let code = error.code();
        code == Some(&SqlState::T_R_SERIALIZATION_FAILURE)
            || code == Some(&SqlState::T_R_DEADLOCK_DETECTED)
    }

    /// Whether the server refused the write since `code` was violated.
    pub(super) fn violates(&self, code: &SqlState) -> bool {
        matches!(self, Self::Server(error) if error.code() == Some(code))
    }

    /// Whether another server, or the same one later, may do better.
    pub(super) fn is_of_server(&self) -> bool {
        match self {
            Self::Server(error) => matches!(sqlstate::remedy(error), Remedy::Wait(_)),
            Self::TimedOut | Self::ReadOnly => true,
            _ => false,
        }
    }

    /// The error for the caller that attempted `attempted`.
    pub(super) fn into_error(self, attempted: &'static str, store: &str) -> StoreError {
        let error = match self {
            Self::LeaseGone => StoreError::LeaseGone,
            Self::NotLeader => StoreError::NotLeader,
            Self::Conflict => StoreError::Conflict,
            Self::Limit(problem) => StoreError::Limit(problem),
            Self::NotAdmitted(error) => error,
            Self::Refused { problem, source } => StoreError::Refused { problem, source },
            Self::Server(error) => match sqlstate::remedy(&error) {
                Remedy::Wait(_) => unavailable(attempted, store, Self::Server(error)),
                Remedy::Mend(text) => StoreError::Refused {
                    problem: format!("{store}: {text}"),
                    source: Some(error.into()),
                },
            },
            fault => unavailable(attempted, store, fault),
        };
        error.counted()
    }
}

fn unavailable(attempted: &'static str, store: &str, fault: PostgresFault) -> StoreError {
    StoreError::Unavailable { attempted, store: store.into(), source: fault.into() }
}
