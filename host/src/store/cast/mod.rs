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

mod data;
mod slices;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

pub use data::{
    Again, CastAnswer, CastChange, CastHead, CastKey, CastOrder, CastState, Claim, Claimer, Ended,
    Queued,
};
pub(super) use slices::Slices;

use super::{StoreError, plain_name};

/// The longest payload, in bytes; a task's settings may say less. etcd takes
/// requests of 1.5 MiB (`--max-request-bytes`).
pub const PAYLOAD_MAX: usize = 1 << 20;
/// The longest answer, in bytes.
pub const ANSWER_MAX: usize = 256 << 10;
/// The longest name of a payload's form, in bytes.
pub const CONTENT_TYPE_MAX: usize = 256;
/// Whether a text can name the form of a payload (RFC 9110, section 8.3): it stands in headers
/// and with each cast.
#[must_use]
pub fn is_content_type(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
    (1..=CONTENT_TYPE_MAX).contains(&text.len()) && text.bytes().all(plain)
}

/// The longest text of an error, in bytes; what is longer is cut.
pub const ERROR_MAX: usize = 4 << 10;
/// How many answers of one task are kept at most: the oldest casts' go first.
pub(super) const ANSWERS_MAX: usize = 10_000;
/// The longest id, in bytes.
const ID_MAX: usize = 64;

/// What there is and then what changes, as [`Casts::watch`] tells it. It ends with an error.
pub type CastStream = BoxStream<'static, Result<Vec<CastChange>, StoreError>>;

/// The casts of one cluster.
///
/// Calls are bounded: each question to the store by the request time-out that it
/// was opened with, and most calls are one or two. A call that
/// fails as [`StoreError::Unavailable`] may have been carried out all the same;
/// each may be made again.
#[async_trait]
pub trait Casts: Send + Sync + 'static {
    /// Puts a cast into the queue. One that is known already is left as it is.
    ///
    /// Casts that are put at the same moment may pass `limit` by what is put then.
    ///
    /// # Errors
    /// [`StoreError::Limit`] when it is too large, or the task has `limit` casts
    /// that are not done, dead letters included.
    async fn put(&self, key: &CastKey, order: &CastOrder, limit: usize) -> Result<(), StoreError>;

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
        by: &Claimer,
        seen: &Queued,
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
    async fn again(&self, claim: &Claim, again: &Again) -> Result<(), StoreError>;

    /// Makes the cast a dead letter, which nobody claims.
    ///
    /// # Errors
    /// As those of [`done`](Casts::done).
    async fn bury(&self, claim: &Claim, error: &str) -> Result<(), StoreError>;

    /// How a cast stands; nothing when it is unknown, or its answer has expired.
    async fn look(&self, key: &CastKey) -> Result<Option<CastState>, StoreError>;

    /// Up to `limit` dead letters of a task by their ids, those after `after`.
    async fn dead(
        &self,
        task: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(CastKey, Ended)>, StoreError>;

    /// Puts a dead letter back into the queue, as if it had never been tried.
    /// Says whether there was one.
    async fn replay(&self, key: &CastKey) -> Result<bool, StoreError>;

    /// Takes a dead letter away, and says whether there was one.
    async fn purge(&self, key: &CastKey) -> Result<bool, StoreError>;

    /// Takes all dead letters of a task away, and says how many there were.
    async fn purge_all(&self, task: &str) -> Result<usize, StoreError>;
}

/// Refuses a key that would reach outside its place in the store.
pub(super) fn check_key(key: &CastKey) -> Result<(), StoreError> {
    check_task(&key.task)?;
    plain_name("the cast's id", &key.id)?;
    if key.id.len() > ID_MAX {
        let length = key.id.len();
        return Err(StoreError::Limit(format!("an id of {length} bytes: {ID_MAX} at most")));
    }
    Ok(())
}

pub(super) fn check_task(task: &str) -> Result<(), StoreError> {
    plain_name("the task's name", task)
}

/// Refuses a cast that is too large.
pub(super) fn check_order(order: &CastOrder) -> Result<(), StoreError> {
    check_form(order.content_type.as_deref())?;
    check_length("a payload", order.payload.len(), PAYLOAD_MAX)
}

/// Refuses an answer that is too large.
pub(super) fn check_answer(answer: &CastAnswer) -> Result<(), StoreError> {
    check_form(answer.content_type.as_deref())?;
    check_length("an answer", answer.payload.len(), ANSWER_MAX)
}

fn check_form(content_type: Option<&str>) -> Result<(), StoreError> {
    let length = content_type.map_or(0, str::len);
    check_length("a content type", length, CONTENT_TYPE_MAX)
}

fn check_length(what: &str, length: usize, most: usize) -> Result<(), StoreError> {
    if length <= most {
        return Ok(());
    }
    Err(StoreError::Limit(format!("{what} of {length} bytes: {most} at most")))
}

/// The first [`ERROR_MAX`] bytes of a text, at most.
pub(super) fn cut(text: &str) -> String {
    crate::words::cut(text, ERROR_MAX).to_owned()
}

/// Refuses one more cast of a task that has so many.
pub(super) fn check_room(
    task: &str,
    queued: usize,
    dead: usize,
    limit: usize,
) -> Result<(), StoreError> {
    if queued + dead < limit {
        return Ok(());
    }
    let mend = if dead > queued {
        format!(": `soloist tasks dead replay {task}`, or `purge`")
    } else {
        String::new()
    };
    Err(StoreError::Limit(format!(
        "{task} has {queued} casts to do and {dead} dead letters, {limit} together at most{mend}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        let long = format!("a{}", "é".repeat(ERROR_MAX));
        assert_eq!(cut(&long).len(), ERROR_MAX - 1);
        assert!(long.starts_with(&cut(&long)));
    }

    #[test]
    fn room_is_told_with_what_to_do_about_it() {
        check_room("resize", 1, 1, 3).unwrap();
        let told = |queued, dead| check_room("resize", queued, dead, 3).unwrap_err().to_string();
        assert!(told(3, 0).ends_with("0 dead letters, 3 together at most"));
        assert!(told(1, 2).contains("1 casts to do and 2 dead letters"));
        assert!(told(1, 2).contains("soloist tasks dead replay resize"));
        assert!(check_room("resize", 0, 0, 0).is_err());
    }

    #[test]
    fn keys_stay_in_their_place() {
        check_key(&CastKey::new("resize", "1-2")).unwrap();
        for (task, id) in [("a/b", "1"), ("", "1"), ("a", "1/2"), ("a", ""), ("a", "1\0")] {
            check_key(&CastKey::new(task, id)).unwrap_err();
        }
        check_key(&CastKey::new("a", "i".repeat(ID_MAX + 1))).unwrap_err();
    }
}
