//! The keys of queued calls in etcd.
//!
//! ```text
//! /soloist/<cluster>/calls/queue/claims/<task>/<id>   the claim, under its host's lease
//! …                  calls/queue/heads/<task>/<id>    the header of a waiting call
//! …                  calls/answers/<task>/<id>        the answer, kept as long as its result
//! …                  calls/dead/<task>/<id>           a dead letter
//! …                  calls/payloads/<task>/<id>       the payload of a waiting call or dead letter
//! …                  calls/results/<task>/<id>        the record that it is done
//! ```
//!
//! The queue is one range without payloads, which every host watches. All of these keys sort before
//! the roster's range, so queued calls never wake hosts that watch the roster.

use crate::{
    QueuedCallKey,
    etcd::keys::{EtcdKeys, KeyRange},
};

/// The kinds of keys that a queued call can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::etcd) enum QueuedCallKeyKind {
    Answer,
    Claim,
    Dead,
    Head,
    Payload,
    Result,
}

impl QueuedCallKeyKind {
    const fn folder(self) -> &'static str {
        match self {
            Self::Answer => "answers",
            Self::Claim => "queue/claims",
            Self::Dead => "dead",
            Self::Head => "queue/heads",
            Self::Payload => "payloads",
            Self::Result => "results",
        }
    }
}

/// The keys of the queued calls of one cluster.
#[derive(Clone, Debug)]
pub(in crate::etcd) struct QueuedCallKeys {
    root: String,
}

impl QueuedCallKeys {
    pub(in crate::etcd) fn new(keys: &EtcdKeys) -> Self {
        Self { root: keys.call_queue_prefix() }
    }

    /// The key of this kind for a queued call.
    pub(in crate::etcd) fn key(&self, kind: QueuedCallKeyKind, key: &QueuedCallKey) -> String {
        format!("{}{}/{}/{}", self.root, kind.folder(), key.task, key.id)
    }

    /// The range of all keys of this kind for a task.
    pub(in crate::etcd) fn task_range(&self, kind: QueuedCallKeyKind, task: &str) -> KeyRange {
        let name = format!("{}{}/{task}", self.root, kind.folder());
        // `0` is the character right after the slash.
        KeyRange { first: format!("{name}/"), end: format!("{name}0") }
    }

    /// The range of all keys of this kind.
    pub(in crate::etcd) fn range(&self, kind: QueuedCallKeyKind) -> KeyRange {
        let name = format!("{}{}", self.root, kind.folder());
        KeyRange { first: format!("{name}/"), end: format!("{name}0") }
    }

    /// The range of keys that is watched.
    pub(in crate::etcd) fn queue_range(&self) -> KeyRange {
        KeyRange { first: format!("{}queue/", self.root), end: format!("{}queue0", self.root) }
    }

    /// The queued call that a key of this kind belongs to.
    pub(in crate::etcd) fn call_of(
        &self,
        kind: QueuedCallKeyKind,
        name: &[u8],
    ) -> Option<QueuedCallKey> {
        let name = std::str::from_utf8(name).ok()?.strip_prefix(&self.root)?;
        let (task, id) = name.strip_prefix(kind.folder())?.strip_prefix('/')?.split_once('/')?;
        Some(QueuedCallKey::new(task, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_what_they_are_of() {
        let names = QueuedCallKeys::new(&EtcdKeys::new("demo"));
        let key = QueuedCallKey::new("resize", "1-2");
        let head = names.key(QueuedCallKeyKind::Head, &key);
        assert_eq!(head, "/soloist/demo/calls/queue/heads/resize/1-2");
        assert_eq!(names.call_of(QueuedCallKeyKind::Head, head.as_bytes()), Some(key));
        assert_eq!(names.call_of(QueuedCallKeyKind::Claim, head.as_bytes()), None);
        assert_eq!(
            names.call_of(QueuedCallKeyKind::Head, b"/soloist/other/calls/queue/heads/a/1"),
            None
        );
    }

    #[test]
    fn the_queue_has_heads_and_claims_alone_and_the_roster_has_none_of_it() {
        let keys = EtcdKeys::new("demo");
        let (names, roster) = (QueuedCallKeys::new(&keys), keys.roster_range());
        let queue = names.queue_range();
        for task in ["0", "a", "\u{10ffff}"] {
            let key = QueuedCallKey::new(task, "1");
            for kind in [
                QueuedCallKeyKind::Answer,
                QueuedCallKeyKind::Claim,
                QueuedCallKeyKind::Dead,
                QueuedCallKeyKind::Head,
                QueuedCallKeyKind::Payload,
                QueuedCallKeyKind::Result,
            ] {
                let name = names.key(kind, &key);
                let watched = queue.first <= name && name < queue.end;
                assert_eq!(
                    watched,
                    matches!(kind, QueuedCallKeyKind::Head | QueuedCallKeyKind::Claim),
                    "{name}"
                );
                assert!(name < roster.first, "{name} would wake every host");
                let range = names.task_range(kind, task);
                assert!(range.first <= name && name < range.end);
                let other = names.key(kind, &QueuedCallKey::new(format!("{task}0"), "1"));
                assert!(other >= range.end || other < range.first, "{other}");
            }
        }
    }
}
