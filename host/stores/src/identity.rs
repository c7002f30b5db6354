//! Which store this is, and how far its history has been seen.
//!
//! A store has an identity, assigned by the first host that uses it, and a revision, which only
//! grows. A process remembers both. On each new connection it reads them before it believes
//! anything else: another identity means another store; a revision behind the last one seen means
//! an older state of the store, which will give out the same fencing tokens again.
//!
//! Whoever notices that has the store raise its fencing tokens
//! ([`Store::raise_tokens`](crate::Store::raise_tokens)). That may take the revision past what
//! others have seen, so the store also counts how often it was done, and a count that has changed
//! tells them as well.
//!
//! Invariant: what is read is compared with what was known before the read began. What arrives
//! during the read may be newer than its result.

use parking_lot::{Mutex, MutexGuard};
use soloist_heart::FencingToken;
use tokio::sync::watch;

/// In which way a store is not the same as before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreMismatch {
    /// What was observed, and what follows from it.
    pub seen: String,
    /// The highest fencing token that the store may have given out before, as far as this process
    /// knows. Later ones must exceed it.
    pub above: FencingToken,
}

/// The identity and history of a store, as returned by its strongest read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ObservedStore {
    /// `None` if the store has no identity.
    pub(super) identity: Option<String>,
    pub(super) revision: i64,
    /// What has to be added to a create revision for the fencing token.
    pub(super) floor: i64,
    /// Changes whenever the fencing tokens are raised.
    pub(super) raises: i64,
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
    floor: i64,
    /// `None` before the first look.
    raises: Option<i64>,
    /// Whether a mismatch was reported, and the fencing tokens may be raised because of it: by this
    /// host, or by another one that has noticed the same.
    expects_raise: bool,
}

/// What was known when a read began.
#[derive(Clone, Copy)]
pub(super) struct KnownBefore {
    revision: i64,
    raises: Option<i64>,
}

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

    /// What is known; to be called before a read begins.
    pub(super) fn known_before(&self) -> KnownBefore {
        let known = self.lock();
        KnownBefore { revision: known.revision, raises: known.raises }
    }

    /// Compares what was read with what was known before the read. A mismatch is reported once, to
    /// everyone who follows [`StoreHistory::mismatches`]; from then on the new state counts as
    /// known.
    pub(super) fn compare(
        &self,
        before: KnownBefore,
        observed: &ObservedStore,
    ) -> Result<(), StoreMismatch> {
        let mut known = self.lock();
        // Another read may have found the same mismatch in the meantime; then it is already known.
        let seen = before.revision.min(known.revision);
        // A read that began before the latest raise was known says nothing about it.
        let raised = before.raises == known.raises
            && !known.expects_raise
            && known.raises.is_some_and(|raises| raises != observed.raises);
        let Some(seen) = mismatch(known.identity.as_deref(), seen, raised, observed) else {
            known.revision = known.revision.max(observed.revision);
            known.identity = observed.identity.clone().or(known.identity.take());
            if before.raises == known.raises {
                (known.floor, known.raises) = (observed.floor, Some(observed.raises));
            }
            return Ok(());
        };
        let above = FencingToken(known.floor.saturating_add(known.revision));
        *known = KnownStore {
            identity: observed.identity.clone(),
            revision: observed.revision,
            floor: observed.floor,
            raises: Some(observed.raises),
            expects_raise: true,
        };
        let mismatch = StoreMismatch { seen, above };
        // Nobody may compare with the new state before this is reported.
        self.mismatch.send_replace(Some(mismatch.clone()));
        drop(known);
        Err(mismatch)
    }

    /// Compares an identity alone, which the store has reported without being asked.
    pub(super) fn compare_identity(&self, identity: &str) -> Result<(), StoreMismatch> {
        let before = self.known_before();
        let identity = Some(identity.to_owned());
        self.compare_report(before, ObservedStore { identity, ..self.known() })
    }

    /// Compares the floor alone, as a watch or a read that began at `before` reports it. In such a
    /// store each raise changes the floor.
    pub(super) fn compare_floor(
        &self,
        before: KnownBefore,
        floor: i64,
    ) -> Result<(), StoreMismatch> {
        let known = self.known();
        // It only rises, so a lower one is an older report; a missing one was deleted.
        if floor > 0 && floor < known.floor {
            return Ok(());
        }
        self.compare_report(before, ObservedStore { floor, raises: floor, ..known })
    }

    /// Compares a part of what identifies the store. Such a report may be older than what other
    /// connections have seen, which is no sign of an older store.
    fn compare_report(
        &self,
        before: KnownBefore,
        report: ObservedStore,
    ) -> Result<(), StoreMismatch> {
        self.compare(KnownBefore { revision: 0, ..before }, &report)
    }

    fn known(&self) -> ObservedStore {
        let known = self.lock();
        ObservedStore {
            identity: known.identity.clone(),
            revision: known.revision,
            floor: known.floor,
            raises: known.raises.unwrap_or_default(),
        }
    }

    /// Records that this process has had the fencing tokens raised, or that they were high enough.
    pub(super) fn observe_raise(&self, floor: i64, raises: i64) {
        let mut known = self.lock();
        (known.floor, known.raises, known.expects_raise) = (floor, Some(raises), false);
    }

    /// The mismatches, as they are found.
    pub(super) fn mismatches(&self) -> watch::Receiver<Option<StoreMismatch>> {
        self.mismatch.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, KnownStore> {
        self.known.lock()
    }
}

/// What is different, and what follows from it.
fn mismatch(
    known: Option<&str>,
    seen: i64,
    raised: bool,
    observed: &ObservedStore,
) -> Option<String> {
    let ObservedStore { identity, revision, .. } = observed;
    let another = known.zip(identity.as_deref()).filter(|(known, found)| known != found);
    let behind = *revision < seen;
    let and = "it was reset or restored, and fencing tokens go on above those of before";
    Some(match (another, behind) {
        (None, true) => format!("the store went back from {seen} to {revision}: {and}"),
        (Some((known, found)), true) => format!(
            "the store has another identity, {found} instead of {known}, and went back from \
             {seen} to {revision}: {and}"
        ),
        (Some((known, found)), false) => format!(
            "the store has another identity, {found} instead of {known}: it was replaced, or \
             what it kept was deleted"
        ),
        (None, false) if raised => "the fencing tokens were raised: another host has seen that \
             the store went back, or an operator has raised them"
            .to_owned(),
        // A store without an identity that is not behind has merely had its key deleted.
        (None, false) => return None,
    })
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
        ObservedStore { identity, revision, ..ObservedStore::default() }
    }

    fn memory() -> StoreHistory {
        let memory = StoreHistory::default();
        memory.compare(memory.known_before(), &observed("x", 40)).unwrap();
        memory.observe_revision(52);
        memory
    }

    #[test]
    fn the_same_store_goes_on() {
        let memory = memory();
        memory.compare(memory.known_before(), &observed("x", 52)).unwrap();
        // The key was deleted by hand: a host that knows the identity restores it.
        memory.compare(memory.known_before(), &observed("", 60)).unwrap();
        assert_eq!(memory.identity().as_deref(), Some("x"));
        assert!(memory.mismatches().borrow().is_none());
    }

    #[test]
    fn an_older_one_is_reported_once_and_known_from_then_on() {
        let memory = memory();
        let (before, too) = (memory.known_before(), memory.known_before());
        let mismatch = memory.compare(before, &observed("x", 51)).unwrap_err();
        assert!(mismatch.seen.contains("went back from 52 to 51"), "{mismatch:?}");
        assert_eq!(mismatch.above, FencingToken(52));
        assert_eq!(*memory.mismatches().borrow(), Some(mismatch));
        // A read that was made at the same time has nothing new to report.
        memory.compare(too, &observed("x", 51)).unwrap();
        memory.compare(memory.known_before(), &observed("x", 51)).unwrap();
    }

    #[test]
    fn another_one_is_reported_be_it_older_or_not() {
        for (revision, back) in [(51, true), (52, false), (900, false)] {
            let memory = memory();
            let mismatch =
                memory.compare(memory.known_before(), &observed("y", revision)).unwrap_err();
            assert_eq!(mismatch.seen.contains("went back"), back, "{mismatch:?}");
            assert!(mismatch.seen.contains("y instead of x"), "{mismatch:?}");
            assert_eq!(mismatch.above, FencingToken(52));
            memory.compare(memory.known_before(), &observed("y", revision)).unwrap();
        }
    }

    #[test]
    fn an_identity_that_is_reported_says_nothing_of_revisions() {
        let memory = memory();
        memory.compare_identity("x").unwrap();
        let mismatch = memory.compare_identity("y").unwrap_err();
        assert!(!mismatch.seen.contains("went back"), "{mismatch:?}");
        assert!(mismatch.seen.contains("y instead of x"), "{mismatch:?}");
        let back = memory.compare(memory.known_before(), &observed("y", 51)).unwrap_err();
        assert!(back.seen.contains("went back"), "{back:?}");
    }

    #[test]
    fn an_empty_one_is_an_older_one() {
        let memory = memory();
        let back = memory.compare(memory.known_before(), &observed("", 1)).unwrap_err();
        assert!(back.seen.contains("went back"), "{back:?}");
        // It must not be given the former store's identity.
        assert_eq!(memory.identity(), None);
    }

    #[test]
    fn what_comes_in_during_a_look_is_no_mismatch() {
        let memory = memory();
        let before = memory.known_before();
        memory.observe_revision(70);
        memory.compare(before, &observed("x", 60)).unwrap();
        let back = memory.compare(memory.known_before(), &observed("x", 69)).unwrap_err();
        assert!(back.seen.contains("went back"), "{back:?}");
    }

    /// Without the count, a raise would take the revision past all that this host has seen, and
    /// hide from it that the store went back.
    #[test]
    fn a_raise_by_another_host_is_noticed() {
        let memory = memory();
        let raised = ObservedStore { floor: 30, raises: 1, ..observed("x", 90) };
        let mismatch = memory.compare(memory.known_before(), &raised).unwrap_err();
        assert!(mismatch.seen.contains("fencing tokens were raised"), "{mismatch:?}");
        assert_eq!(mismatch.above, FencingToken(52));
        memory.compare(memory.known_before(), &raised).unwrap();
    }

    #[test]
    fn a_raise_that_follows_from_what_was_noticed_is_expected() {
        let memory = memory();
        memory.compare(memory.known_before(), &observed("x", 10)).unwrap_err();
        let during = memory.known_before();
        let raised = ObservedStore { floor: 42, raises: 42, ..observed("x", 12) };
        memory.compare(memory.known_before(), &raised).unwrap();
        memory.observe_raise(42, 42);
        // A read that began before it may still show the old count.
        memory.compare(during, &observed("x", 12)).unwrap();
        memory.compare_floor(memory.known_before(), 42).unwrap();
        memory.compare_floor(memory.known_before(), 41).unwrap();
        memory.compare_floor(during, 0).unwrap();
        memory.compare_floor(memory.known_before(), 50).unwrap_err();
    }

    #[test]
    fn the_highest_fencing_token_counts_from_the_floor() {
        let memory = StoreHistory::default();
        let above = |floor, revision| ObservedStore { floor, raises: 1, ..observed("x", revision) };
        memory.compare(memory.known_before(), &above(100, 20)).unwrap();
        memory.observe_revision(25);
        let mismatch = memory.compare(memory.known_before(), &above(100, 3)).unwrap_err();
        assert_eq!(mismatch.above, FencingToken(125));
    }
}
