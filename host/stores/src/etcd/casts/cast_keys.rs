//! The keys of casts in etcd.
//!
//! ```text
//! /soloist/<cluster>/casts/queue/claims/<task>/<id>   the claim, under its host's lease
//! …                  casts/queue/heads/<task>/<id>    the header of a queued cast
//! …                  casts/answers/<task>/<id>        the answer, kept as long as its result
//! …                  casts/dead/<task>/<id>           a dead letter
//! …                  casts/payloads/<task>/<id>       the payload of a queued cast or dead letter
//! …                  casts/results/<task>/<id>        the record that it is done
//! ```
//!
//! The queue is one range without payloads, which every host watches. All of these keys sort before
//! the roster's range, so casts never wake hosts that watch the roster.

use crate::{
    CastKey,
    etcd::keys::{EtcdKeys, KeyRange},
};

/// The kinds of keys that a cast can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CastKeyKind {
    Answer,
    Claim,
    Dead,
    Head,
    Payload,
    Result,
}

impl CastKeyKind {
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

/// The keys of the casts of one cluster.
#[derive(Clone, Debug)]
pub(super) struct CastKeys {
    root: String,
}

impl CastKeys {
    pub(super) fn new(keys: &EtcdKeys) -> Self {
        Self { root: keys.cast_prefix() }
    }

    /// The key of this kind for a cast.
    pub(super) fn key(&self, kind: CastKeyKind, key: &CastKey) -> String {
        format!("{}{}/{}/{}", self.root, kind.folder(), key.task, key.id)
    }

    /// The range of all keys of this kind for a task.
    pub(super) fn task_range(&self, kind: CastKeyKind, task: &str) -> KeyRange {
        let name = format!("{}{}/{task}", self.root, kind.folder());
        // `0` is the character right after the slash.
        KeyRange { first: format!("{name}/"), end: format!("{name}0") }
    }

    /// The range of keys that is watched.
    pub(super) fn queue_range(&self) -> KeyRange {
        KeyRange { first: format!("{}queue/", self.root), end: format!("{}queue0", self.root) }
    }

    /// The cast that a key of this kind belongs to.
    pub(super) fn cast_of(&self, kind: CastKeyKind, name: &[u8]) -> Option<CastKey> {
        let name = std::str::from_utf8(name).ok()?.strip_prefix(&self.root)?;
        let (task, id) = name.strip_prefix(kind.folder())?.strip_prefix('/')?.split_once('/')?;
        Some(CastKey::new(task, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_what_they_are_of() {
        let names = CastKeys::new(&EtcdKeys::new("demo"));
        let key = CastKey::new("resize", "1-2");
        let head = names.key(CastKeyKind::Head, &key);
        assert_eq!(head, "/soloist/demo/casts/queue/heads/resize/1-2");
        assert_eq!(names.cast_of(CastKeyKind::Head, head.as_bytes()), Some(key));
        assert_eq!(names.cast_of(CastKeyKind::Claim, head.as_bytes()), None);
        assert_eq!(names.cast_of(CastKeyKind::Head, b"/soloist/other/casts/queue/heads/a/1"), None);
    }

    #[test]
    fn the_queue_has_heads_and_claims_alone_and_the_roster_has_none_of_it() {
        let keys = EtcdKeys::new("demo");
        let (names, roster) = (CastKeys::new(&keys), keys.roster_range());
        let queue = names.queue_range();
        for task in ["0", "a", "\u{10ffff}"] {
            let key = CastKey::new(task, "1");
            for kind in [
                CastKeyKind::Answer,
                CastKeyKind::Claim,
                CastKeyKind::Dead,
                CastKeyKind::Head,
                CastKeyKind::Payload,
                CastKeyKind::Result,
            ] {
                let name = names.key(kind, &key);
                let watched = queue.first <= name && name < queue.end;
                assert_eq!(
                    watched,
                    matches!(kind, CastKeyKind::Head | CastKeyKind::Claim),
                    "{name}"
                );
                assert!(name < roster.first, "{name} would wake every host");
                let range = names.task_range(kind, task);
                assert!(range.first <= name && name < range.end);
                let other = names.key(kind, &CastKey::new(format!("{task}0"), "1"));
                assert!(other >= range.end || other < range.first, "{other}");
            }
        }
    }
}
