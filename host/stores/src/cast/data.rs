//! The data types of casts.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use soloist_heart::{LeaseId, clock};

use super::{id::fresh_id, limits::cut_error};

/// Identifies a cast.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CastKey {
    /// The name of the task that the cast calls.
    pub task: Arc<str>,
    /// Unique for each cast. The ids of later casts sort after those of earlier ones.
    pub id: Arc<str>,
}

impl CastKey {
    /// The cast of `task` with this id.
    pub fn new(task: impl Into<Arc<str>>, id: impl Into<Arc<str>>) -> Self {
        Self { task: task.into(), id: id.into() }
    }

    /// A new cast, with an id that no host has used yet.
    pub fn fresh(task: impl Into<Arc<str>>) -> Self {
        Self::new(task, fresh_id())
    }
}

impl fmt::Display for CastKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.task, self.id)
    }
}

/// The request that a cast carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CastRequest {
    /// The payload for the task.
    pub payload: Bytes,
    /// The payload's content type, if the caller named one.
    pub content_type: Option<String>,
    /// How often the cast is attempted before it becomes a dead letter.
    pub max_attempts: u32,
}

/// A cast's state, without the payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CastHeader {
    /// When the cast was made, in milliseconds of Unix time; for people.
    pub queued: u64,
    /// How many attempts have begun.
    pub attempts: u32,
    /// How many attempts are allowed.
    pub max_attempts: u32,
    /// How long the cast must not be claimed after this header was written, in milliseconds.
    #[serde(default)]
    pub wait: u64,
    /// The host that claimed the cast last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The error of the last failed attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The payload's content type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The payload's length in bytes.
    pub bytes: usize,
}

impl CastHeader {
    /// The header of a new cast.
    pub(crate) fn of(order: &CastRequest) -> Self {
        Self {
            queued: clock::unix_ms(),
            attempts: 0,
            max_attempts: order.max_attempts,
            wait: 0,
            by: None,
            error: None,
            content_type: order.content_type.clone(),
            bytes: order.payload.len(),
        }
    }

    /// The header after `host` has claimed the cast.
    pub(crate) fn claimed_by(&self, host: &str) -> Self {
        let attempts = (self.attempts + 1).min(self.max_attempts);
        Self { attempts, wait: 0, by: Some(host.to_owned()), ..self.clone() }
    }

    /// The header after the cast has returned to the queue.
    pub(crate) fn requeued(&self, again: &CastRetry) -> Self {
        let mut head = self.clone();
        head.wait = again.wait.as_millis().try_into().unwrap_or(u64::MAX);
        if !again.counted {
            head.attempts = head.attempts.saturating_sub(1);
        }
        if let Some(error) = &again.error {
            head.error = Some(cut_error(error));
        }
        head
    }

    /// The header after the cast has become a dead letter.
    pub(crate) fn dead(&self, error: &str) -> Self {
        Self { error: Some(cut_error(error)), ..self.clone() }
    }

    /// The header after a dead letter was replayed.
    pub(crate) fn replayed(&self) -> Self {
        Self { attempts: 0, wait: 0, ..self.clone() }
    }

    /// Whether all attempts are used up.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        self.attempts >= self.max_attempts
    }
}

/// A cast in the queue, as it was at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedCast {
    /// The cast.
    pub key: CastKey,
    /// The version of the header; it changes with every write.
    pub version: i64,
    /// The cast's state.
    pub head: CastHeader,
}

/// A change of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CastChange {
    /// A cast was added, or its header changed.
    Queued(QueuedCast),
    /// A cast left the queue.
    Left(CastKey),
    /// A cast was claimed, under this lease.
    Claimed(CastKey, LeaseId),
    /// A claim has ended.
    Free(CastKey),
}

/// Who makes a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CastClaimer {
    /// The lease of the host's session.
    pub lease: LeaseId,
    /// The host's name.
    pub host: Arc<str>,
    /// A number that is unique for each claim, so that a repeated call finds its own claim.
    pub ticket: u64,
}

/// A claim that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The claimed cast.
    pub key: CastKey,
    /// Tells this claim apart from every other claim on the same cast.
    pub version: i64,
    /// The cast's header, with this attempt counted.
    pub head: CastHeader,
}

/// How a cast returns to the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CastRetry {
    /// How long the cast must not be claimed again.
    pub wait: Duration,
    /// What went wrong, if anything did.
    pub error: Option<String>,
    /// Whether this counts as an attempt.
    pub counted: bool,
}

/// The answer to a cast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CastAnswer {
    /// The answer's payload.
    pub payload: Bytes,
    /// The payload's content type, if the task named one.
    pub content_type: Option<String>,
}

/// A cast that has left the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedCast {
    /// The cast's last header.
    #[serde(flatten)]
    pub head: CastHeader,
    /// When it ended, in milliseconds of Unix time; for people.
    pub at: u64,
}

/// The state of a cast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CastState {
    /// It waits to be claimed.
    Queued(CastHeader),
    /// A host has claimed it and is working on it.
    Claimed(CastHeader),
    /// It is done.
    Done(EndedCast, CastAnswer),
    /// It is a dead letter.
    Dead(EndedCast),
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn fresh_ids_differ_and_sort_by_time() {
        let ids: BTreeSet<_> = (0..10_000).map(|_| CastKey::fresh("t").id).collect();
        assert_eq!(ids.len(), 10_000);
        let first = ids.first().unwrap();
        assert!(first.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'), "{first}");
        let later = format!("{:011x}-", clock::unix_ms() + 1);
        assert!(ids.iter().all(|id| **id < *later && id.len() == first.len()));
    }

    #[test]
    fn an_attempt_that_does_not_count_is_taken_back() {
        let order = CastRequest { payload: Bytes::new(), content_type: None, max_attempts: 2 };
        let fresh = CastHeader::of(&order);
        let taken = fresh.claimed_by("a");
        assert_eq!((taken.attempts, taken.is_spent()), (1, false));
        assert_eq!(taken.requeued(&CastRetry::default()).attempts, 0);
        let failed = CastRetry { counted: true, error: Some("no".into()), ..CastRetry::default() };
        let last = taken.requeued(&failed).claimed_by("b");
        assert_eq!((last.attempts, last.error.as_deref()), (2, Some("no")));
        assert!(last.is_spent() && last.claimed_by("c").attempts == 2);
        assert_eq!(last.replayed().attempts, 0);
    }
}
