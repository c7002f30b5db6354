//! Recent events: the transitions of this host and of the leaderships that it sees, for people who
//! investigate later.
//!
//! Invariants:
//! - The memory is bounded: only the latest [`KEPT`] transitions are kept, and only in memory.
//! - Ids count up by one, so a follower notices when it has missed some.
//! - A cause is what this host knows. Of another host's term it knows only what it has observed;
//!   such causes begin with `seen:`.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use soloist_heart::{LeaderKey, clock::unix_ms};
use soloist_text::rfc3339;

/// How many transitions are kept.
pub const KEPT: usize = 200;

/// An event in the life of a host or a leadership.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Its number: they count up from the start of the process.
    pub id: u64,
    /// When it happened, by the wall clock: RFC 3339 in UTC.
    pub at: String,
    /// What happened, as one stable word, which the log uses as well.
    pub event: String,
    /// The host that it concerns.
    pub host: String,
    /// The group that it concerns, if any.
    pub group: Option<String>,
    /// The fencing token of the term that it belongs to, if any.
    pub fencing_token: Option<i64>,
    /// Its cause, if it is known.
    pub cause: Option<String>,
}

impl Transition {
    /// A transition `event` of `host`.
    pub fn of(event: &str, host: &str) -> Self {
        Self { event: event.to_owned(), host: host.to_owned(), ..Self::default() }
    }

    /// Adds the group.
    pub fn in_group(self, group: impl ToString) -> Self {
        Self { group: Some(group.to_string()), ..self }
    }

    /// Adds the term of `key`, and its group.
    pub fn in_term(self, key: &LeaderKey) -> Self {
        Self { fencing_token: Some(key.fencing_token.0), ..self }.in_group(&key.group)
    }

    /// Adds the cause.
    pub fn because(self, cause: impl ToString) -> Self {
        Self { cause: Some(cause.to_string()), ..self }
    }
}

/// The journal of a host. Clones share it.
#[derive(Clone, Debug)]
pub struct Journal {
    transitions: Arc<Mutex<VecDeque<Arc<Transition>>>>,
    /// The id of the latest transition.
    latest: watch::Sender<u64>,
}

impl Default for Journal {
    fn default() -> Self {
        Self { transitions: Arc::default(), latest: watch::Sender::new(0) }
    }
}

impl Journal {
    /// Records a transition that has just happened; sets its id and time.
    pub fn record(&self, happened: Transition) {
        let mut transitions = self.lock();
        let id = *self.latest.borrow() + 1;
        if transitions.len() == KEPT {
            transitions.pop_front();
        }
        transitions.push_back(Transition { id, at: rfc3339(unix_ms()), ..happened }.into());
        self.latest.send_replace(id);
    }

    /// The kept transitions after `id`, the earliest first.
    #[must_use]
    pub fn after(&self, id: u64) -> Vec<Arc<Transition>> {
        self.lock().iter().filter(|transition| transition.id > id).cloned().collect()
    }

    /// The id of the latest transition, as a watch that changes with each transition.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Transition>>> {
        self.transitions.lock()
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
            journal.record(Transition::of("standby", "a").in_group("main"));
        }
        let (transitions, latest) = (journal.after(0), KEPT as u64 + 3);
        assert_eq!(
            (transitions.len(), transitions[0].id, transitions[KEPT - 1].id),
            (KEPT, 4, latest)
        );
        assert_eq!(*follow.borrow_and_update(), latest);
        assert!(journal.after(latest).is_empty());
        assert_eq!(journal.after(latest - 1), transitions[KEPT - 1..]);
    }
}
