//! Errors inside the worker, before the caller's context is added.

use rusqlite::{ErrorCode, ffi};

use crate::{StoreError, StoreMismatch, error::BoxError};

/// Why a piece of work on the file failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SqliteFault {
    #[error("the lease is gone")]
    LeaseGone,
    #[error("the leader key is gone")]
    NotLeader,
    #[error("the value has another version")]
    Conflict,
    /// Another host has the same name, or people have removed this host.
    #[error(transparent)]
    NotAdmitted(StoreError),
    #[error("{0}")]
    Limit(String),
    #[error("it was removed or replaced while hosts used it: do so when none runs")]
    Replaced,
    #[error("{}", .0.seen)]
    Mismatch(StoreMismatch),
    #[error(
        "its `-wal` or `-shm` was removed or replaced while hosts used it: do not touch \
         the files next to it while they run"
    )]
    LogReplaced,
    #[error(
        "another process uses it with another `-wal`, so that neither sees what the other \
         writes: by another name (a hard link, a mount of the file alone), or since before the \
         `-wal` or `-shm` was removed; have all hosts name the same file in the same folder \
         (`fuser -v FILE` tells who uses it)"
    )]
    OtherLog,
    #[error("it was removed, replaced or used with another `-wal` while hosts used it")]
    Lost,
    #[error("another process has stopped while opening it: resume it (SIGCONT) or end it")]
    OpenedByOther,
    #[error("opening it")]
    Open(#[source] std::io::Error),
    #[error("locking a part of it")]
    Lock(#[source] std::io::Error),
    #[error("the candidate was removed from the queue")]
    Removed,
    #[error("another campaign of the same lease took its place")]
    Superseded,
    #[error("{0}")]
    Broken(String),
    #[error("no answer in time; another process may hold the file")]
    TimedOut,
    #[error("other writes left no time for this one; nothing was written")]
    NoTurn,
    #[error("the store was closed")]
    Closed,
    #[error("{problem}")]
    Refused {
        problem: String,
        #[source]
        source: Option<BoxError>,
    },
    #[error("{}", explanation(.0))]
    Sqlite(#[from] rusqlite::Error),
    #[error("looking at the file")]
    Io(#[from] std::io::Error),
    #[error("starting the store's thread or file watch")]
    Start(#[source] std::io::Error),
    #[error("writing a value as JSON")]
    Value(#[from] serde_json::Error),
}

/// What an SQLite error means here and what to do about it. SQLite's own text is added as the
/// cause.
fn explanation(error: &rusqlite::Error) -> &'static str {
    match error.sqlite_error_code() {
        _ if is_full(error) => "its disk is full: free some space",
        // Every row that is asked for without a condition is written when the file is made.
        _ if matches!(error, rusqlite::Error::QueryReturnedNoRows) => {
            "rows that soloist wrote were deleted from it: stop every host of the cluster, and put \
             a backup there or remove the file, which is then created again"
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            "it cannot be written to: let this user write to it and its folder, on a file system \
             that is mounted for writing"
        }
        Some(ErrorCode::SystemIoFailure) => "its disk fails: the kernel's log (dmesg) says how",
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            "it is damaged: stop every host of the cluster and remove it; it is created again"
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => "another process holds it",
        _ => "SQLite fails",
    }
}

/// Whether the disk was full. This includes the index of the log (`-shm`), for which SQLite reports
/// that it could not be enlarged.
fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
        || error.sqlite_error().is_some_and(|it| it.extended_code == ffi::SQLITE_IOERR_SHMSIZE)
}

impl SqliteFault {
    pub(super) fn refused(problem: String) -> Self {
        Self::Refused { problem, source: None }
    }

    /// Converts the error of a limit check.
    pub(super) fn from_limit(error: StoreError) -> Self {
        Self::Limit(error.to_string())
    }

    /// Whether another process merely holds the file. The connection is still usable then.
    pub(super) fn is_busy(&self) -> bool {
        let Self::Sqlite(error) = self else {
            return false;
        };
        let code = error.sqlite_error_code();
        matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
    }

    /// Whether the disk had no room.
    pub(super) fn is_full(&self) -> bool {
        matches!(self, Self::Sqlite(error) if is_full(error))
    }

    /// Whether this process has lost the file, so that nothing it was granted there can be relied
    /// on.
    pub(super) const fn lost_the_file(&self) -> bool {
        matches!(self, Self::Replaced | Self::LogReplaced | Self::OtherLog)
    }

    /// The error for the caller that attempted `attempted`.
    pub(super) fn into_error(self, attempted: &'static str, store: &str) -> StoreError {
        let error = match self {
            Self::LeaseGone => StoreError::LeaseGone,
            Self::NotLeader => StoreError::NotLeader,
            Self::Conflict => StoreError::Conflict,
            Self::Limit(problem) => StoreError::Limit(problem),
            Self::NotAdmitted(error) => error,
            Self::OtherLog => StoreError::refused(format!("{store}: {}", Self::OtherLog)),
            Self::Refused { problem, source } => StoreError::Refused { problem, source },
            fault => {
                StoreError::Unavailable { attempted, store: store.into(), source: fault.into() }
            }
        };
        error.counted()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soloist_text::with_causes;

    #[test]
    fn what_sqlite_says_is_told_with_what_helps() {
        for (code, words) in [
            (ffi::SQLITE_FULL, "its disk is full: free some space"),
            (ffi::SQLITE_IOERR_SHMSIZE, "its disk is full: free some space"),
            (ffi::SQLITE_READONLY, "mounted for writing"),
            (ffi::SQLITE_IOERR, "the kernel's log (dmesg) says how"),
            (ffi::SQLITE_CORRUPT, "stop every host of the cluster and remove it"),
            (ffi::SQLITE_BUSY, "another process holds it"),
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            let said = with_causes(&SqliteFault::from(error).into_error("renew", "sqlite a.db"));
            assert!(said.starts_with("renew: sqlite a.db is unavailable: "), "{said}");
            assert!(said.contains(words), "no {words:?} in {said}");
        }
    }
}
