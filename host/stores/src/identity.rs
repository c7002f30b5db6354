//! Which store this is, and how far its history has been seen.
//!
//! A store has an identity, assigned by the first host that uses it, and a revision, which only
//! grows. A process remembers both. On each new connection it reads them before it believes
//! anything else: another identity means another store; a revision behind the last one seen means
//! an older state of the store, which will give out the same fencing tokens again.
//!
//! Invariant: what is read is compared with what was known before the read began. What arrives
//! during the read may be newer than its result.

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;

/// In which way a store is not the same as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreMismatch {
    /// What was observed, and what to do about it.
    pub seen: String,
    /// Whether its history ends before what was seen of it. Then it gives out the same fencing
    /// tokens again.
    pub behind: bool,
}

/// The identity and revision of a store, as returned by its strongest read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObservedStore {
    /// `None` if the store has no identity.
    pub(super) identity: Option<String>,
    pub(super) revision: i64,
}

/// What a process knows of a store, across all connections to it.
#[derive(Default)]
pub(super) struct StoreHistory {
    known: Mutex<KnownStore>,
    mismatch: watch::Sender<Option<StoreMismatch>>,
}

#[derive(Default)]
struct KnownStore {
    identity: Option<String>,
    /// The highest revision seen.
    revision: i64,
}

/// The revision that was known when a read began.
#[derive(Clone, Copy)]
pub(super) struct RevisionBefore(i64);

impl StoreHistory {
    /// Records that the store has reached `revision`.
    pub(super) fn observe_revision(&self, revision: i64) {
        let mut known = self.lock();
        known.revision = known.revision.max(revision);
    }

    /// The known identity of the store.
    pub(super) fn identity(&self) -> Option<String> {
        self.lock().identity.clone()
    }

    /// The known revision; to be called before a read begins.
    pub(super) fn revision_before(&self) -> RevisionBefore {
        RevisionBefore(self.lock().revision)
    }

    /// Compares what was read with what was known before the read. A mismatch is reported once, to
    /// everyone who follows [`StoreHistory::mismatches`]; from then on the new state counts as
    /// known.
    pub(super) fn compare(
        &self,
        before: RevisionBefore,
        observed: &ObservedStore,
    ) -> Result<(), StoreMismatch> {
        let mut known = self.lock();
        // Another read may have found the same mismatch in the meantime; then it is already known.
        let seen = before.0.min(known.revision);
        let mismatch = mismatch(known.identity.as_deref(), seen, observed);
        let Some(mismatch) = mismatch else {
            known.revision = known.revision.max(observed.revision);
            known.identity = observed.identity.clone().or(known.identity.take());
            return Ok(());
        };
        *known = KnownStore { identity: observed.identity.clone(), revision: observed.revision };
        // Nobody may compare with the new state before this is reported.
        self.mismatch.send_replace(Some(mismatch.clone()));
        drop(known);
        Err(mismatch)
    }

    /// Compares an identity alone, which the store has reported without being asked.
    pub(super) fn compare_identity(&self, identity: &str) -> Result<(), StoreMismatch> {
        // Such a report may be older than what other connections have seen, which is no sign of an
        // older store.
        let revision = self.lock().revision;
        self.compare(
            RevisionBefore(0),
            &ObservedStore { identity: Some(identity.to_owned()), revision },
        )
    }

    /// The mismatches, as they are found.
    pub(super) fn mismatches(&self) -> watch::Receiver<Option<StoreMismatch>> {
        self.mismatch.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, KnownStore> {
        self.known.lock()
    }
}

fn mismatch(known: Option<&str>, seen: i64, observed: &ObservedStore) -> Option<StoreMismatch> {
    let ObservedStore { identity, revision } = observed;
    let another = known.zip(identity.as_deref()).filter(|(known, found)| known != found);
    let behind = *revision < seen;
    let seen = match (another, behind) {
        // A store without an identity that is not behind has merely had its key deleted.
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
        ": it was reset or restored, and gives out fencing tokens again; restart this host if that was meant"
    } else {
        ""
    };
    Some(StoreMismatch { seen: seen + and, behind })
}

/// A new random identity.
pub(super) fn new_identity() -> String {
    format!("{:032x}", fastrand::u128(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn observed(identity: &str, revision: i64) -> ObservedStore {
        let identity = Some(identity.to_owned()).filter(|it| !it.is_empty());
        ObservedStore { identity, revision }
    }

    fn memory() -> StoreHistory {
        let memory = StoreHistory::default();
        memory.compare(memory.revision_before(), &observed("x", 40)).unwrap();
        memory.observe_revision(52);
        memory
    }

    #[test]
    fn the_same_store_goes_on() {
        let memory = memory();
        memory.compare(memory.revision_before(), &observed("x", 52)).unwrap();
        // The key was deleted by hand: a host that knows the identity restores it.
        memory.compare(memory.revision_before(), &observed("", 60)).unwrap();
        assert_eq!(memory.identity().as_deref(), Some("x"));
        assert!(memory.mismatches().borrow().is_none());
    }

    #[test]
    fn an_older_one_is_told_once_and_known_from_then_on() {
        let memory = memory();
        let (before, too) = (memory.revision_before(), memory.revision_before());
        let mismatch = memory.compare(before, &observed("x", 51)).unwrap_err();
        assert!(
            mismatch.behind && mismatch.seen.contains("went back from 52 to 51"),
            "{mismatch:?}"
        );
        assert_eq!(*memory.mismatches().borrow(), Some(mismatch));
        // A read that was made at the same time has nothing new to report.
        memory.compare(too, &observed("x", 51)).unwrap();
        memory.compare(memory.revision_before(), &observed("x", 51)).unwrap();
    }

    #[test]
    fn another_one_is_told_be_it_older_or_not() {
        for (revision, behind) in [(51, true), (52, false), (900, false)] {
            let memory = memory();
            let mismatch =
                memory.compare(memory.revision_before(), &observed("y", revision)).unwrap_err();
            assert_eq!(mismatch.behind, behind, "{mismatch:?}");
            assert!(mismatch.seen.contains("y instead of x"), "{mismatch:?}");
            memory.compare(memory.revision_before(), &observed("y", revision)).unwrap();
        }
    }

    #[test]
    fn an_identity_that_is_told_says_nothing_of_revisions() {
        let memory = memory();
        memory.compare_identity("x").unwrap();
        let mismatch = memory.compare_identity("y").unwrap_err();
        assert!(!mismatch.behind && mismatch.seen.contains("y instead of x"), "{mismatch:?}");
        assert!(memory.compare(memory.revision_before(), &observed("y", 51)).unwrap_err().behind);
    }

    #[test]
    fn an_empty_one_is_an_older_one() {
        let memory = memory();
        assert!(memory.compare(memory.revision_before(), &observed("", 1)).unwrap_err().behind);
        // It must not be given the former store's identity.
        assert_eq!(memory.identity(), None);
    }

    #[test]
    fn what_comes_in_during_a_look_is_no_mismatch() {
        let memory = memory();
        let before = memory.revision_before();
        memory.observe_revision(70);
        memory.compare(before, &observed("x", 60)).unwrap();
        assert!(memory.compare(memory.revision_before(), &observed("x", 69)).unwrap_err().behind);
    }
}
