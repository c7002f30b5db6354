//! Calls and queued calls of tasks: what guests and clients hand in, and what they get back.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use super::CallError;
use soloist_resources::budget::Account;
use soloist_trace::TraceContext;

/// The most attempts of a call.
pub const ATTEMPTS_MAX: u32 = 100;

/// A call of a task, as a guest or a client makes it.
#[derive(Clone, Debug)]
pub struct TaskRequest {
    /// The name of the task.
    pub name: String,
    /// The input.
    pub payload: Bytes,
    /// The media type of the payload (RFC 9110, section 8.3).
    pub content_type: Option<String>,
    /// The timeout. The settings of the task have an upper bound.
    pub within: Option<Duration>,
    /// The most attempts if the task fails; at least one.
    pub attempts: u32,
    /// The trace context of the caller.
    pub trace: Option<TraceContext>,
    /// The account that the result is charged to. The payload is charged already.
    pub account: Account,
}

/// The result of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskReply {
    /// The id of the call.
    pub id: Arc<str>,
    /// The host that ran the task.
    pub host: Arc<str>,
    /// The number of the attempt that succeeded, from 1.
    pub attempt: u32,
    /// The result.
    pub payload: Bytes,
    /// The media type of the result.
    pub content_type: Option<String>,
}

/// Calls tasks, on this host or on others.
#[async_trait]
pub trait TaskCaller: Send + Sync + 'static {
    /// Makes a call and returns its result. Dropping the future ends the call.
    ///
    /// # Errors
    /// Why there is no result.
    async fn call(&self, order: TaskRequest) -> Result<TaskReply, CallError>;

    /// Puts a queued call into the store, where it is kept until it is done, and returns its id.
    ///
    /// # Errors
    /// Why it is not in the store, or may not be.
    async fn enqueue(
        &self,
        task: &str,
        payload: Bytes,
        content_type: Option<String>,
    ) -> Result<Arc<str>, QueuedCallFailure>;
}

/// Why a queued call is not in the store. The texts are for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueuedCallFailure {
    /// There is no such task.
    Unknown(String),
    /// The payload is too long.
    Refused(String),
    /// The queue is full.
    Full,
    /// This host may not write to the store at the moment.
    Shut(String),
    /// The store did not answer: the queued call may be in it, or not.
    Uncertain(String),
}
