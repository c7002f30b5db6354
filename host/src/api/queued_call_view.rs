//! The JSON of a queued call.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::tasks::call_queue::QueuedCallEntry;
use soloist_stores::QueuedCallResult;
use soloist_text::rfc3339;

/// A queued call. Times are RFC 3339 in UTC.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct QueuedCallView {
    /// Its id, unique within its task.
    id: Arc<str>,
    /// The task that it calls.
    task: Arc<str>,
    /// `queued`, `claimed`, `done` or `dead`.
    state: &'static str,
    /// When it was put into the queue.
    queued_at: String,
    /// When it was done or given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<String>,
    /// The attempts that have begun.
    attempts: u32,
    /// The attempts that are allowed.
    max_attempts: u32,
    /// The pause before its next attempt, counted from the end of the last one, in milliseconds.
    retry_delay_ms: u64,
    /// The host that claimed it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_by: Option<String>,
    /// The error of the last failed attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// The content type of its payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// The length of its payload in bytes.
    payload_bytes: usize,
    /// Its result, if it is done and the result is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<String>,
}

impl QueuedCallView {
    /// The view of `entry`, with its result if it is done.
    pub(super) fn new(entry: QueuedCallEntry, result: Option<QueuedCallResult>) -> Self {
        let QueuedCallEntry { id, task, state, head, ended } = entry;
        Self {
            id,
            task,
            state,
            queued_at: rfc3339(head.queued),
            ended_at: ended.map(rfc3339),
            attempts: head.attempts,
            max_attempts: head.max_attempts,
            retry_delay_ms: head.wait,
            claimed_by: head.by,
            error: head.error,
            content_type: head.content_type,
            payload_bytes: head.bytes,
            result: result.and_then(|result| String::from_utf8(result.payload.into()).ok()),
        }
    }
}
