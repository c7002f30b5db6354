//! Which store this is, and how far its history was seen.
//!
//! A store keeps an identity, made by whoever comes first, and a revision, which only
//! rises. A process remembers both. Whatever reaches a store on a new way looks at it
//! before it believes anything else: with another identity it is another store; with
//! a revision behind one that was seen it is an older one, and gives out tokens that
//! were given out before.
//!
//! Invariant: each look is held against what was seen before it was asked for. What
//! comes in while it is under way may be newer than its answer.

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

/// How a store is not the one that it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreMismatch {
    /// What was seen of it, and what to do.
    pub seen: String,
    /// Whether its history ends before what was seen of it: then tokens come again.
    pub behind: bool,
}

/// A store as a look finds it: by the strongest read that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObservedStore {
    /// None: there is none.
    pub(super) identity: Option<String>,
    pub(super) revision: i64,
}

/// What a process knows of a store, whichever way it is reached by.
#[derive(Default)]
pub(super) struct StoreHistory {
    known: Mutex<KnownStore>,
    mismatch: watch::Sender<Option<StoreMismatch>>,
}

#[derive(Default)]
struct KnownStore {
    identity: Option<String>,
    /// The highest that was seen.
    revision: i64,
}

/// What was known when a look was asked for.
#[derive(Clone, Copy)]
pub(super) struct RevisionBefore(i64);

impl StoreHistory {
    /// Takes note that the store has come to `revision`.
    pub(super) fn observe_revision(&self, revision: i64) {
        let mut known = self.lock();
        known.revision = known.revision.max(revision);
    }

    /// The identity that the store has.
    pub(super) fn identity(&self) -> Option<String> {
        self.lock().identity.clone()
    }

    /// To be called before a look is asked for.
    pub(super) fn revision_before(&self) -> RevisionBefore {
        RevisionBefore(self.lock().revision)
    }

    /// Holds a look against what was known before it. A mismatch is told once, to all who
    /// follow [`Memory::mismatches`]; from then on the store is what it is now.
    pub(super) fn compare(
        &self,
        before: RevisionBefore,
        look: &ObservedStore,
    ) -> Result<(), StoreMismatch> {
        let mut known = self.lock();
        // Another look may have found the same meanwhile: then it is known.
        let seen = before.0.min(known.revision);
        let mismatch = mismatch(known.identity.as_deref(), seen, look);
        let Some(mismatch) = mismatch else {
            known.revision = known.revision.max(look.revision);
            known.identity = look.identity.clone().or(known.identity.take());
            return Ok(());
        };
        *known = KnownStore { identity: look.identity.clone(), revision: look.revision };
        drop(known);
        self.mismatch.send_replace(Some(mismatch.clone()));
        Err(mismatch)
    }

    /// The same of an identity alone, which the store has told by itself.
    pub(super) fn compare_identity(&self, identity: &str) -> Result<(), StoreMismatch> {
        // Such news may be older than what was seen by other ways, and is not behind for that.
        let revision = self.lock().revision;
        self.compare(
            RevisionBefore(0),
            &ObservedStore { identity: Some(identity.to_owned()), revision },
        )
    }

    /// Each mismatch that is seen.
    pub(super) fn mismatches(&self) -> watch::Receiver<Option<StoreMismatch>> {
        self.mismatch.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, KnownStore> {
        self.known.lock()
    }
}

fn mismatch(known: Option<&str>, seen: i64, look: &ObservedStore) -> Option<StoreMismatch> {
    let ObservedStore { identity, revision } = look;
    let another = known.zip(identity.as_deref()).filter(|(known, found)| known != found);
    let behind = *revision < seen;
    let seen = match (another, behind) {
        // A store that has no identity any more, and is not behind, had its key deleted.
        (None, false) => return None,
        (None, true) => format!("the store went back from {seen} to {revision}"),
        (Some((known, found)), true) => format!(
            "the store has another identity, {found} instead of {known}, and went back from \
             {seen} to {revision}"
        ),
        (Some((known, found)), false) => format!(
            "the store has another identity, {found} instead of {known}: it was replaced, or \
             what it kept was deleted"
        ),
    };
    let and = if behind {
        ": it was reset or restored, and gives out tokens again; restart this host if that was meant"
    } else {
        ""
    };
    Some(StoreMismatch { seen: seen + and, behind })
}

/// A new identity.
pub(super) fn new_identity() -> String {
    format!("{:032x}", fastrand::u128(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(identity: &str, revision: i64) -> ObservedStore {
        let identity = Some(identity.to_owned()).filter(|it| !it.is_empty());
        ObservedStore { identity, revision }
    }

    fn memory() -> StoreHistory {
        let memory = StoreHistory::default();
        memory.compare(memory.revision_before(), &look("x", 40)).unwrap();
        memory.observe_revision(52);
        memory
    }

    #[test]
    fn the_same_store_goes_on() {
        let memory = memory();
        memory.compare(memory.revision_before(), &look("x", 52)).unwrap();
        // Its key was deleted by hand: whoever knows it puts it back.
        memory.compare(memory.revision_before(), &look("", 60)).unwrap();
        assert_eq!(memory.identity().as_deref(), Some("x"));
        assert!(memory.mismatches().borrow().is_none());
    }

    #[test]
    fn an_older_one_is_told_once_and_known_from_then_on() {
        let memory = memory();
        let (before, too) = (memory.revision_before(), memory.revision_before());
        let mismatch = memory.compare(before, &look("x", 51)).unwrap_err();
        assert!(
            mismatch.behind && mismatch.seen.contains("went back from 52 to 51"),
            "{mismatch:?}"
        );
        assert_eq!(*memory.mismatches().borrow(), Some(mismatch));
        // Who looked at the same time has nothing else to tell.
        memory.compare(too, &look("x", 51)).unwrap();
        memory.compare(memory.revision_before(), &look("x", 51)).unwrap();
    }

    #[test]
    fn another_one_is_told_be_it_older_or_not() {
        for (revision, behind) in [(51, true), (52, false), (900, false)] {
            let memory = memory();
            let mismatch =
                memory.compare(memory.revision_before(), &look("y", revision)).unwrap_err();
            assert_eq!(mismatch.behind, behind, "{mismatch:?}");
            assert!(mismatch.seen.contains("y instead of x"), "{mismatch:?}");
            memory.compare(memory.revision_before(), &look("y", revision)).unwrap();
        }
    }

    #[test]
    fn an_identity_that_is_told_says_nothing_of_revisions() {
        let memory = memory();
        memory.compare_identity("x").unwrap();
        let mismatch = memory.compare_identity("y").unwrap_err();
        assert!(!mismatch.behind && mismatch.seen.contains("y instead of x"), "{mismatch:?}");
        assert!(memory.compare(memory.revision_before(), &look("y", 51)).unwrap_err().behind);
    }

    #[test]
    fn an_empty_one_is_an_older_one() {
        let memory = memory();
        assert!(memory.compare(memory.revision_before(), &look("", 1)).unwrap_err().behind);
        // Nobody gives it the identity that the former one had.
        assert_eq!(memory.identity(), None);
    }

    #[test]
    fn what_comes_in_during_a_look_is_no_mismatch() {
        let memory = memory();
        let before = memory.revision_before();
        memory.observe_revision(70);
        memory.compare(before, &look("x", 60)).unwrap();
        assert!(memory.compare(memory.revision_before(), &look("x", 69)).unwrap_err().behind);
    }
}
