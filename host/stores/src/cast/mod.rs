//! Casts: calls of tasks that are kept until they are done.
//!
//! ```text
//!           put             claim              done
//!   caller ─────► queued ──────────► claimed ─────────► done, until it expires
//!                  ▲  ▲     again      │  │    bury
//!                  │  └────────────────┘  └───────────► dead ────► purged
//!                  └───────────────── replay ─────────────┘
//! ```
//!
//! Invariants:
//! - A cast is in one of these states, and each step is one transaction: no
//!   moment, and no death of a host, is between two of them.
//! - A claim hangs on the lease of its host's session. It goes with it, and the
//!   cast is queued again.
//! - A claim counts the attempt before anything is done about it. So a cast that
//!   kills its hosts runs out of attempts, and is no loop.
//! - What came of an attempt is written only while its very claim stands. Where
//!   another host has taken over, it is dropped.
//!
//! So each cast is done at least once, and more than once when a host dies, or
//! loses its session, between the work and the word of it.
//!
//! No wall time decides anything here. How long a cast is to be left alone is
//! said as a span, which each host measures from when it saw the cast; answers
//! expire with leases of the store.

mod answer_leases;
mod checks;
mod data;
mod id;
mod limits;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

pub(super) use answer_leases::AnswerLeases;
pub(super) use checks::{check_answer, check_capacity, check_key, check_request, check_task};
pub use data::{
    CastAnswer, CastChange, CastClaimer, CastHeader, CastKey, CastRequest, CastRetry, CastState,
    Claim, EndedCast, QueuedCast,
};
pub use id::fresh_id;
pub use limits::{ANSWER_MAX, CONTENT_TYPE_MAX, ERROR_MAX, PAYLOAD_MAX, is_content_type};
pub(super) use limits::{ANSWERS_MAX, cut_error};

use crate::error::StoreError;

/// What there is and then what changes, as [`Casts::watch`] tells it. It ends with an error.
pub type CastStream = BoxStream<'static, Result<Vec<CastChange>, StoreError>>;

/// The casts of one cluster.
///
/// Calls are bounded: each question to the store by the request time-out that it
/// was opened with, and most calls are one or two. A call that
/// fails as [`StoreError::Unavailable`] may have been carried out all the same;
/// each may be made again.
#[async_trait]
pub trait CastStore: Send + Sync + 'static {
    /// Puts a cast into the queue. One that is known already is left as it is.
    ///
    /// Casts that are put at the same moment may pass `limit` by what is put then.
    ///
    /// # Errors
    /// [`StoreError::Limit`] when it is too large, or the task has `limit` casts
    /// that are not done, dead letters included.
    async fn put(&self, key: &CastKey, order: &CastRequest, limit: usize)
    -> Result<(), StoreError>;

    /// Watches the queue: first all that is in it, if nothing then as an empty
    /// item, and then each change. Payloads are not in it. It ends with an error, or without
    /// one when it was believed for long enough: then the queue is to be watched anew.
    async fn watch(&self) -> Result<CastStream, StoreError>;

    /// Claims the cast that was `seen`, and counts the attempt, unless all are
    /// counted already. Nothing, when it has changed or another has claimed it.
    ///
    /// Whoever asks again with the same ticket gets the claim that it has.
    ///
    /// # Errors
    /// [`StoreError::LeaseGone`] when the session has ended.
    async fn claim(
        &self,
        by: &CastClaimer,
        seen: &QueuedCast,
    ) -> Result<Option<(Claim, Bytes)>, StoreError>;

    /// Says that the cast is done. The answer is kept for `keep` and up to an
    /// eighth of it longer.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the claim does not stand any more, be it
    /// that this very call was made before.
    async fn done(
        &self,
        claim: &Claim,
        answer: &CastAnswer,
        keep: Duration,
    ) -> Result<(), StoreError>;

    /// Gives the cast back into the queue.
    ///
    /// # Errors
    /// As those of [`done`](Casts::done).
    async fn again(&self, claim: &Claim, again: &CastRetry) -> Result<(), StoreError>;

    /// Makes the cast a dead letter, which nobody claims.
    ///
    /// # Errors
    /// As those of [`done`](Casts::done).
    async fn mark_dead(&self, claim: &Claim, error: &str) -> Result<(), StoreError>;

    /// How a cast stands; nothing when it is unknown, or its answer has expired.
    async fn look(&self, key: &CastKey) -> Result<Option<CastState>, StoreError>;

    /// Up to `limit` dead letters of a task by their ids, those after `after`.
    async fn dead(
        &self,
        task: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(CastKey, EndedCast)>, StoreError>;

    /// Puts a dead letter back into the queue, as if it had never been tried.
    /// Says whether there was one.
    async fn replay(&self, key: &CastKey) -> Result<bool, StoreError>;

    /// Takes a dead letter away, and says whether there was one.
    async fn purge(&self, key: &CastKey) -> Result<bool, StoreError>;

    /// Takes all dead letters of a task away, and says how many there were.
    async fn purge_all(&self, task: &str) -> Result<usize, StoreError>;
}
