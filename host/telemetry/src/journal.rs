//! What has happened lately: the transitions of this host and of the leaderships that it
//! sees, for people who come to look afterwards.
//!
//! Invariants:
//! - It is bounded: the latest [`KEPT`] transitions are kept, in memory alone.
//! - Numbers go up by one, so whoever follows knows when it has missed something.
//! - Causes are those that are known here. Of another host's term it is told what was seen
//!   of its end, and no more; such causes begin with `seen:`.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use soloist_heart::{LeaderKey, clock::unix_ms};
use soloist_text::rfc3339;

/// How many transitions are kept.
pub const KEPT: usize = 200;

/// Something that has happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Its number: they go up by one from the start of the process.
    pub id: u64,
    /// When, by the wall clock: RFC 3339 in UTC.
    pub at: String,
    /// What, in one word that stays the same; the log calls it the same.
    pub event: String,
    /// The host that it happened to.
    pub host: String,
    /// The group, if it concerns one.
    pub group: Option<String>,
    /// The token of the term that it belongs to, if it does to one.
    pub token: Option<i64>,
    /// Why.
    pub cause: Option<String>,
}

impl Transition {
    /// `event` has happened to `host`.
    pub fn of(event: &str, host: &str) -> Self {
        Self { event: event.to_owned(), host: host.to_owned(), ..Self::default() }
    }

    /// The same, in a group.
    pub fn in_group(self, group: impl ToString) -> Self {
        Self { group: Some(group.to_string()), ..self }
    }

    /// The same, in a term.
    pub fn in_term(self, key: &LeaderKey) -> Self {
        Self { token: Some(key.token.0), ..self }.in_group(&key.group)
    }

    /// The same, with its cause.
    pub fn because(self, cause: impl ToString) -> Self {
        Self { cause: Some(cause.to_string()), ..self }
    }
}

/// The journal of a host. Clones are the same.
#[derive(Clone, Debug)]
pub struct Journal {
    kept: Arc<Mutex<VecDeque<Arc<Transition>>>>,
    /// The number of the latest one.
    latest: watch::Sender<u64>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { kept: Arc::default(), latest: watch::Sender::new(0) }
    }
}

impl Journal {
    /// Takes down what has happened just now.
    pub fn write(&self, happened: Transition) {
        let mut kept = self.lock();
        let id = *self.latest.borrow() + 1;
        if kept.len() == KEPT {
            kept.pop_front();
        }
        kept.push_back(Transition { id, at: rfc3339(unix_ms()), ..happened }.into());
        self.latest.send_replace(id);
    }

    /// What is kept of what came after number `id`, the earliest first.
    #[must_use]
    pub fn after(&self, id: u64) -> Vec<Arc<Transition>> {
        self.lock().iter().filter(|transition| transition.id > id).cloned().collect()
    }

    /// The number of the latest one, and when that changes.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Transition>>> {
        self.kept.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_are_kept() {
        let journal = Journal::default();
        let mut follow = journal.follow();
        for _ in 0..KEPT + 3 {
            journal.write(Transition::of("standby", "a").in_group("main"));
        }
        let (kept, latest) = (journal.after(0), KEPT as u64 + 3);
        assert_eq!((kept.len(), kept[0].id, kept[KEPT - 1].id), (KEPT, 4, latest));
        assert_eq!(*follow.borrow_and_update(), latest);
        assert!(journal.after(latest).is_empty());
        assert_eq!(journal.after(latest - 1), kept[KEPT - 1..]);
    }
}
