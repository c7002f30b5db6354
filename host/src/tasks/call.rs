//! One call of a task, and what comes of it.

use std::sync::Arc;

use bytes::Bytes;

/// One call of a task, on its way to being done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What tells it from every other; all attempts at one call have the same.
    pub id: Arc<str>,
    /// The task.
    pub name: Arc<str>,
    /// What the caller handed over.
    pub payload: Bytes,
    /// Its form, if the caller named it.
    pub content_type: Option<String>,
    /// The number of this attempt, from 1.
    pub attempt: u32,
}

/// What the caller gets back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The result.
    pub payload: Bytes,
    /// Its form, if the task named it.
    pub content_type: Option<String>,
}

/// Why a call was not done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The call is wrong, and would be wrong again.
    #[error("refused: {0}")]
    Refused(String),
    /// Something was in the way that may be gone later.
    #[error("{0}")]
    Failed(String),
    /// This host has no room for it, and has not begun.
    #[error("no place is free")]
    Busy,
}
