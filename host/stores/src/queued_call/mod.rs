//! Queued calls: calls of tasks that are kept until they are done.
//!
//! ```text
//!           put             claim              complete
//!   caller ─────► queued ──────────► claimed ───────────► done, until it expires
//!                  ▲  ▲    requeue     │  │   mark_dead
//!                  │  └────────────────┘  └─────────────► dead ────► purged
//!                  └───────────────── replay ───────────────┘
//! ```
//!
//! Invariants:
//! - A queued call is always in exactly one of these states, and each step is one transaction, so
//!   no crash of a host can leave it in between.
//! - A claim is attached to the lease of its host's session. It ends with the lease, and the queued
//!   call is then queued again.
//! - A claim counts the attempt before the work begins. So a queued call that crashes its hosts
//!   runs out of attempts instead of looping forever.
//! - The outcome of an attempt is written only while that same claim exists. If another host has
//!   taken over, the outcome is discarded.
//!
//! So each queued call is done at least once, and more than once if a host dies or loses its
//! session after the work and before the outcome is written.
//!
//! Nothing here depends on wall time. The wait before a retry is stored as a duration, which each
//! host measures from the moment at which it saw the queued call; answers expire with leases of the
//! store.

mod answer_leases;
pub(super) mod attempted;
mod checks;
mod data;
mod id;
mod limits;
mod queue_view;
pub(super) mod state_names;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

pub(super) use answer_leases::AnswerLeases;
pub(super) use checks::{check_answer, check_capacity, check_key, check_request, check_task};
pub use data::{
    CallClaimer, CallQueueChange, Claim, EndedQueuedCall, QueuedCallHeader, QueuedCallKey,
    QueuedCallRequest, QueuedCallResult, QueuedCallRetry, QueuedCallState, WaitingCall,
};
pub use id::fresh_id;
pub use limits::{ANSWER_MAX, CONTENT_TYPE_MAX, ERROR_MAX, PAYLOAD_MAX, is_content_type};
pub(super) use limits::{ANSWERS_MAX, cut_error};
pub(super) use queue_view::{QueueSnapshot, QueueView, waiting_call};

use crate::error::StoreError;

/// The content of the queue and then each change, as [`CallQueueStore::watch`] delivers them. The
/// stream ends after an error.
pub type CallQueueStream = BoxStream<'static, Result<Vec<CallQueueChange>, StoreError>>;

/// The queued calls of one cluster.
///
/// Calls are bounded: each request to the store by the request time-out that the store was opened
/// with, and most calls need one or two requests. A call that fails with
/// [`StoreError::Unavailable`] may have been carried out nevertheless; every call may be repeated.
#[async_trait]
pub trait CallQueueStore: Send + Sync + 'static {
    /// Puts a queued call into the queue. If the queued call exists already, it is left as it is.
    ///
    /// Queued calls that are put at the same moment may exceed `limit` by their number.
    ///
    /// # Errors
    /// [`StoreError::Limit`] if the queued call is too large, or if the task has `limit` unfinished
    /// queued calls, including dead letters.
    async fn put(
        &self,
        key: &QueuedCallKey,
        request: &QueuedCallRequest,
        limit: usize,
    ) -> Result<(), StoreError>;

    /// Watches the queue: the first item contains all waiting calls, and may be empty; then each
    /// change follows. Payloads are not included. The stream ends after an error; or without one,
    /// when it has been trusted for long enough and a new watch should be started.
    async fn watch(&self) -> Result<CallQueueStream, StoreError>;

    /// Claims the queued call if it is still as in `queued`, and counts the attempt unless all
    /// attempts are counted already. Returns `None` if the queued call has changed or another host
    /// has claimed it.
    ///
    /// A repeated call with the same ticket returns the claim that was made.
    ///
    /// # Errors
    /// [`StoreError::LeaseGone`] if the session has ended.
    async fn claim(
        &self,
        by: &CallClaimer,
        queued: &WaitingCall,
    ) -> Result<Option<(Claim, Bytes)>, StoreError>;

    /// Completes the queued call. The answer is kept for `keep`, and up to an eighth longer.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the claim no longer exists; also if this same call has already
    /// succeeded.
    async fn complete(
        &self,
        claim: &Claim,
        answer: &QueuedCallResult,
        keep: Duration,
    ) -> Result<(), StoreError>;

    /// Returns the queued call to the queue.
    ///
    /// # Errors
    /// Those of [`complete`](CallQueueStore::complete).
    async fn requeue(&self, claim: &Claim, again: &QueuedCallRetry) -> Result<(), StoreError>;

    /// Makes the queued call a dead letter, which is never claimed.
    ///
    /// # Errors
    /// Those of [`complete`](CallQueueStore::complete).
    async fn mark_dead(&self, claim: &Claim, error: &str) -> Result<(), StoreError>;

    /// The state of a queued call; `None` if it is unknown or its answer has expired.
    async fn state(&self, key: &QueuedCallKey) -> Result<Option<QueuedCallState>, StoreError>;

    /// Up to `limit` dead letters of a task in the order of their ids, starting after the id
    /// `after`.
    async fn dead_letters(
        &self,
        task: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(QueuedCallKey, EndedQueuedCall)>, StoreError>;

    /// Puts a dead letter back into the queue, as if it had never been attempted. Returns whether
    /// it existed.
    async fn replay(&self, key: &QueuedCallKey) -> Result<bool, StoreError>;

    /// Deletes a dead letter, and returns whether it existed.
    async fn purge(&self, key: &QueuedCallKey) -> Result<bool, StoreError>;

    /// Deletes all dead letters of a task, and returns how many there were.
    async fn purge_all(&self, task: &str) -> Result<usize, StoreError>;
}
