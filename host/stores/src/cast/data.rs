//! What a cast is, plainly.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use soloist_heart::{LeaseId, clock};

use super::{id::fresh_id, limits::cut_error};

/// Which cast.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CastKey {
    /// The task that it calls.
    pub task: Arc<str>,
    /// What tells it from every other; ids of later casts sort after those of earlier ones.
    pub id: Arc<str>,
}

impl CastKey {
    /// The cast of that id.
    pub fn new(task: impl Into<Arc<str>>, id: impl Into<Arc<str>>) -> Self {
        Self { task: task.into(), id: id.into() }
    }

    /// A cast that nobody has made yet, on this host or any other.
    pub fn fresh(task: impl Into<Arc<str>>) -> Self {
        Self::new(task, fresh_id())
    }
}

impl fmt::Display for CastKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.task, self.id)
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CastRequest {
    /// What is handed over.
    pub payload: Bytes,
    /// Its form, if the caller named it.
    pub content_type: Option<String>,
    /// How often it is tried before it is a dead letter.
    pub max_attempts: u32,
}

/// A cast without its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CastHeader {
    /// When it was cast, in milliseconds of Unix time; for people.
    pub queued: u64,
    /// The attempts that were begun.
    pub attempts: u32,
    /// How many there may be.
    pub max_attempts: u32,
    /// How long it is left alone after it came to look like this, in milliseconds.
    #[serde(default)]
    pub wait: u64,
    /// The host that took it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How the last attempt that failed did so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The form of the payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The length of the payload.
    pub bytes: usize,
}

impl CastHeader {
    /// As it enters the queue.
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

    /// As `host` takes it.
    pub(crate) fn claimed_by(&self, host: &str) -> Self {
        let attempts = (self.attempts + 1).min(self.max_attempts);
        Self { attempts, wait: 0, by: Some(host.to_owned()), ..self.clone() }
    }

    /// As it goes back into the queue.
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

    /// As it becomes a dead letter.
    pub(crate) fn dead(&self, error: &str) -> Self {
        Self { error: Some(cut_error(error)), ..self.clone() }
    }

    /// As it comes back from the dead.
    pub(crate) fn replayed(&self) -> Self {
        Self { attempts: 0, wait: 0, ..self.clone() }
    }

    /// Whether nothing more is to be tried.
    #[must_use]
    pub const fn is_spent(&self) -> bool {
        self.attempts >= self.max_attempts
    }
}

/// A cast in the queue, as it was at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedCast {
    /// Which.
    pub key: CastKey,
    /// It changes with the head.
    pub version: i64,
    /// What it is.
    pub head: CastHeader,
}

/// A change of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CastChange {
    /// A cast came, or its head changed.
    Queued(QueuedCast),
    /// A cast left the queue.
    Left(CastKey),
    /// A cast was claimed, under this lease.
    Claimed(CastKey, LeaseId),
    /// A claim is gone.
    Free(CastKey),
}

/// Who claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CastClaimer {
    /// The lease of the host's session.
    pub lease: LeaseId,
    /// The host.
    pub host: Arc<str>,
    /// One number a claim, by which it is known again.
    pub ticket: u64,
}

/// A claim that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// On which cast.
    pub key: CastKey,
    /// What tells it from every other claim on it.
    pub version: i64,
    /// The cast, with this attempt counted.
    pub head: CastHeader,
}

/// How a cast goes back into the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CastRetry {
    /// How long it is to be left alone.
    pub wait: Duration,
    /// What went wrong, if anything did.
    pub error: Option<String>,
    /// Whether this was an attempt.
    pub counted: bool,
}

/// What came of a cast.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CastAnswer {
    /// The answer.
    pub payload: Bytes,
    /// Its form, if the task named it.
    pub content_type: Option<String>,
}

/// A cast that is in the queue no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedCast {
    /// The cast.
    #[serde(flatten)]
    pub head: CastHeader,
    /// When it ended, in milliseconds of Unix time; for people.
    pub at: u64,
}

/// How a cast stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CastState {
    /// It waits to be claimed.
    Queued(CastHeader),
    /// The host that took it is at it.
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
