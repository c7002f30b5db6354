//! What was reported of the queue so far, for stores that read it anew to find what has changed.
//!
//! Each change of a queued call gets a new version, so a look only reads the queued calls that are
//! newer. Claims are few, as many as there are queued calls under way, so all of them are read. If
//! a queued call left the queue and was deleted from the store between two looks, the number of
//! remaining queued calls gives it away; then the whole queue is read again.

use std::collections::{BTreeMap, BTreeSet};

use super::data::{CallQueueChange, QueuedCallKey, WaitingCall};
use crate::ignored_entry::warn_ignored;
use soloist_heart::LeaseId;

/// What was reported of the queue so far.
#[derive(Debug)]
pub(crate) struct QueueView {
    /// The last version that was read.
    version: i64,
    queued: BTreeMap<QueuedCallKey, i64>,
    /// The claims, each with its lease and version.
    claims: BTreeMap<QueuedCallKey, (LeaseId, i64)>,
}

impl Default for QueueView {
    /// Nothing was read yet.
    fn default() -> Self {
        Self { version: -1, queued: BTreeMap::new(), claims: BTreeMap::new() }
    }
}

/// What one look at the queue has read, all at one moment.
#[derive(Debug, Default)]
pub(crate) struct QueueSnapshot {
    /// The greatest version that was read.
    pub(crate) version: i64,
    /// The queued calls that have changed, each with its state if it waits.
    pub(crate) changed: BTreeMap<QueuedCallKey, Option<WaitingCall>>,
    /// All waiting calls, if they were read.
    pub(crate) all: Option<BTreeSet<QueuedCallKey>>,
    pub(crate) claims: BTreeMap<QueuedCallKey, (LeaseId, i64)>,
}

impl QueueView {
    /// The version after which to read.
    pub(crate) const fn version(&self) -> i64 {
        self.version
    }

    /// How many calls wait if only those have changed.
    pub(crate) fn expected(&self, changed: &BTreeMap<QueuedCallKey, Option<WaitingCall>>) -> usize {
        let known = |key| self.queued.contains_key(key);
        let came = changed.iter().filter(|(key, call)| call.is_some() && !known(*key)).count();
        let left = changed.iter().filter(|(key, call)| call.is_none() && known(*key)).count();
        self.queued.len() + came - left
    }

    /// Takes a snapshot in, and returns what is new in it.
    pub(crate) fn apply(&mut self, seen: QueueSnapshot) -> Vec<CallQueueChange> {
        let QueueSnapshot { version, changed, all, claims } = seen;
        let mut changes = Vec::new();
        self.version = version;
        for (key, call) in changed {
            match call {
                Some(call) => {
                    self.queued.insert(key, call.version);
                    changes.push(CallQueueChange::Queued(call));
                }
                None if self.queued.remove(&key).is_some() => {
                    changes.push(CallQueueChange::Left(key));
                }
                None => {}
            }
        }
        if let Some(all) = all {
            let left = self.queued.extract_if(.., |key, _| !all.contains(key));
            changes.extend(left.map(|(key, _)| CallQueueChange::Left(key)));
        }
        for (key, (lease, version)) in &claims {
            if self.claims.get(key).is_none_or(|(_, before)| before != version) {
                changes.push(CallQueueChange::Claimed(key.clone(), *lease));
            }
        }
        let free = self.claims.keys().filter(|key| !claims.contains_key(key));
        changes.extend(free.map(|key| CallQueueChange::Free(key.clone())));
        self.claims = claims;
        changes
    }
}

/// The waiting call of a row. A header that does not parse was not written by soloist and is
/// ignored.
pub(crate) fn waiting_call(key: &QueuedCallKey, version: i64, head: &str) -> Option<WaitingCall> {
    match serde_json::from_str(head) {
        Ok(head) => Some(WaitingCall { key: key.clone(), version, head }),
        Err(error) => {
            warn_ignored("enqueue", &key.to_string(), error);
            None
        }
    }
}
