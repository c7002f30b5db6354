//! The names of casts' keys.
//!
//! ```text
//! /soloist/<cluster>/casts/queue/claims/<task>/<id>   who is at it, under the lease of its session
//! …                  casts/queue/heads/<task>/<id>    what is in the queue
//! …                  casts/answers/<task>/<id>        the answer, as long as its result
//! …                  casts/dead/<task>/<id>           a dead letter
//! …                  casts/payloads/<task>/<id>       the payload of what is queued or dead
//! …                  casts/results/<task>/<id>        that it is done
//! ```
//!
//! The queue is one range without payloads, which every host watches. All of it
//! comes before the roster's range, so no cast wakes whoever watches that.

use crate::{
    CastKey,
    etcd::keys::{Keys, Range},
};

/// What is kept of a cast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Answer,
    Claim,
    Dead,
    Head,
    Payload,
    Result,
}

impl Place {
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

/// The casts of one cluster.
#[derive(Clone, Debug)]
pub(super) struct Names {
    root: String,
}

impl Names {
    pub(super) fn new(keys: &Keys) -> Self {
        Self { root: keys.casts() }
    }

    /// A key of a cast.
    pub(super) fn of(&self, place: Place, key: &CastKey) -> String {
        format!("{}{}/{}/{}", self.root, place.folder(), key.task, key.id)
    }

    /// All keys of a task in a place.
    pub(super) fn of_task(&self, place: Place, task: &str) -> Range {
        let name = format!("{}{}/{task}", self.root, place.folder());
        // `0` comes right after the slash.
        Range { first: format!("{name}/"), end: format!("{name}0") }
    }

    /// All that is watched.
    pub(super) fn queue(&self) -> Range {
        Range { first: format!("{}queue/", self.root), end: format!("{}queue0", self.root) }
    }

    /// Which cast a key of that place is of.
    pub(super) fn key(&self, place: Place, name: &[u8]) -> Option<CastKey> {
        let name = std::str::from_utf8(name).ok()?.strip_prefix(&self.root)?;
        let (task, id) = name.strip_prefix(place.folder())?.strip_prefix('/')?.split_once('/')?;
        Some(CastKey::new(task, id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_what_they_are_of() {
        let names = Names::new(&Keys::new("demo"));
        let key = CastKey::new("resize", "1-2");
        let head = names.of(Place::Head, &key);
        assert_eq!(head, "/soloist/demo/casts/queue/heads/resize/1-2");
        assert_eq!(names.key(Place::Head, head.as_bytes()), Some(key));
        assert_eq!(names.key(Place::Claim, head.as_bytes()), None);
        assert_eq!(names.key(Place::Head, b"/soloist/other/casts/queue/heads/a/1"), None);
    }

    #[test]
    fn the_queue_has_heads_and_claims_alone_and_the_roster_has_none_of_it() {
        let keys = Keys::new("demo");
        let (names, roster) = (Names::new(&keys), keys.roster());
        let queue = names.queue();
        for task in ["0", "a", "\u{10ffff}"] {
            let key = CastKey::new(task, "1");
            for place in [
                Place::Answer,
                Place::Claim,
                Place::Dead,
                Place::Head,
                Place::Payload,
                Place::Result,
            ] {
                let name = names.of(place, &key);
                let watched = queue.first <= name && name < queue.end;
                assert_eq!(watched, matches!(place, Place::Head | Place::Claim), "{name}");
                assert!(name < roster.first, "{name} would wake every host");
                let range = names.of_task(place, task);
                assert!(range.first <= name && name < range.end);
                let other = names.of(place, &CastKey::new(format!("{task}0"), "1"));
                assert!(other >= range.end || other < range.first, "{other}");
            }
        }
    }
}
