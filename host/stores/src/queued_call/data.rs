//! The data types of queued calls.

use std::{fmt, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use soloist_heart::{LeaseId, clock};

use super::{id::fresh_id, limits::cut_error};

/// Identifies a queued call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueuedCallKey {
    /// The name of the task that the queued call calls.
    pub task: Arc<str>,
    /// Unique for each queued call. The ids of later queued calls sort after those of earlier ones.
    pub id: Arc<str>,
}

impl QueuedCallKey {
    /// The queued call of `task` with this id.
    pub fn new(task: impl Into<Arc<str>>, id: impl Into<Arc<str>>) -> Self {
        Self { task: task.into(), id: id.into() }
    }

    /// A new queued call, with an id that no host has used yet.
    pub fn fresh(task: impl Into<Arc<str>>) -> Self {
        Self::new(task, fresh_id())
    }
}

impl fmt::Display for QueuedCallKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.task, self.id)
    }
}

/// The request that a queued call carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedCallRequest {
    /// The payload for the task.
    pub payload: Bytes,
    /// The payload's content type, if the caller named one.
    pub content_type: Option<String>,
    /// How often the queued call is attempted before it becomes a dead letter.
    pub max_attempts: u32,
}

/// A queued call's state, without the payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedCallHeader {
    /// When the queued call was made, in milliseconds of Unix time; for people.
    pub queued: u64,
    /// How many attempts have begun.
    pub attempts: u32,
    /// How many attempts are allowed.
    pub max_attempts: u32,
    /// How long the queued call must not be claimed after this header was written, in milliseconds.
    #[serde(default)]
    pub wait: u64,
    /// The host that claimed the queued call last.
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

impl QueuedCallHeader {
    /// The header of a new queued call.
    pub(crate) fn of(order: &QueuedCallRequest) -> Self {
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

    /// The header after `host` has claimed the queued call.
    pub(crate) fn claimed_by(&self, host: &str) -> Self {
        let attempts = (self.attempts + 1).min(self.max_attempts);
        Self { attempts, wait: 0, by: Some(host.to_owned()), ..self.clone() }
    }

    /// The header after the queued call has returned to the queue.
    pub(crate) fn requeued(&self, again: &QueuedCallRetry) -> Self {
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

    /// The header after the queued call has become a dead letter.
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

/// A queued call in the queue, as it was at some moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingCall {
    /// The queued call.
    pub key: QueuedCallKey,
    /// The version of the header; it changes with every write.
    pub version: i64,
    /// The queued call's state.
    pub head: QueuedCallHeader,
}

/// A change of the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallQueueChange {
    /// A queued call was added, or its header changed.
    Queued(WaitingCall),
    /// A queued call left the queue.
    Left(QueuedCallKey),
    /// A queued call was claimed, under this lease.
    Claimed(QueuedCallKey, LeaseId),
    /// A claim has ended.
    Free(QueuedCallKey),
}

/// Who makes a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallClaimer {
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
    /// The claimed queued call.
    pub key: QueuedCallKey,
    /// Tells this claim apart from every other claim on the same queued call.
    pub version: i64,
    /// The queued call's header, with this attempt counted.
    pub head: QueuedCallHeader,
}

/// How a queued call returns to the queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueuedCallRetry {
    /// How long the queued call must not be claimed again.
    pub wait: Duration,
    /// What went wrong, if anything did.
    pub error: Option<String>,
    /// Whether this counts as an attempt.
    pub counted: bool,
}

/// The answer to a queued call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedCallResult {
    /// The answer's payload.
    pub payload: Bytes,
    /// The payload's content type, if the task named one.
    pub content_type: Option<String>,
}

/// A queued call that has left the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedQueuedCall {
    /// The queued call's last header.
    #[serde(flatten)]
    pub head: QueuedCallHeader,
    /// When it ended, in milliseconds of Unix time; for people.
    pub at: u64,
}

/// The state of a queued call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueuedCallState {
    /// It waits to be claimed.
    Queued(QueuedCallHeader),
    /// A host has claimed it and is working on it.
    Claimed(QueuedCallHeader),
    /// It is done.
    Done(EndedQueuedCall, QueuedCallResult),
    /// It is a dead letter.
    Dead(EndedQueuedCall),
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn fresh_ids_differ_and_sort_by_time() {
        let ids: BTreeSet<_> = (0..10_000).map(|_| QueuedCallKey::fresh("t").id).collect();
        assert_eq!(ids.len(), 10_000);
        let first = ids.first().unwrap();
        assert!(first.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'), "{first}");
        let later = format!("{:011x}-", clock::unix_ms() + 1);
        assert!(ids.iter().all(|id| **id < *later && id.len() == first.len()));
    }

    #[test]
    fn an_attempt_that_does_not_count_is_taken_back() {
        let order =
            QueuedCallRequest { payload: Bytes::new(), content_type: None, max_attempts: 2 };
        let fresh = QueuedCallHeader::of(&order);
        let taken = fresh.claimed_by("a");
        assert_eq!((taken.attempts, taken.is_spent()), (1, false));
        assert_eq!(taken.requeued(&QueuedCallRetry::default()).attempts, 0);
        let failed = QueuedCallRetry {
            counted: true,
            error: Some("no".into()),
            ..QueuedCallRetry::default()
        };
        let last = taken.requeued(&failed).claimed_by("b");
        assert_eq!((last.attempts, last.error.as_deref()), (2, Some("no")));
        assert!(last.is_spent() && last.claimed_by("c").attempts == 2);
        assert_eq!(last.replayed().attempts, 0);
    }
}
