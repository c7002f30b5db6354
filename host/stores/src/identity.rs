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
pub struct Mismatch {
    /// What was seen of it, and what to do.
    pub seen: String,
    /// Whether its history ends before what was seen of it: then tokens come again.
    pub behind: bool,
}

/// A store as a look finds it: by the strongest read that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Look {
    /// None: there is none.
    pub(super) identity: Option<String>,
    pub(super) revision: i64,
}

/// What a process knows of a store, whichever way it is reached by.
#[derive(Default)]
pub(super) struct Memory {
    known: Mutex<Known>,
    mismatch: watch::Sender<Option<Mismatch>>,
}

#[derive(Default)]
struct Known {
    identity: Option<String>,
    /// The highest that was seen.
    revision: i64,
}

/// What was known when a look was asked for.
#[derive(Clone, Copy)]
pub(super) struct Before(i64);

impl Memory {
    /// Takes note that the store has come to `revision`.
    pub(super) fn saw(&self, revision: i64) {
        let mut known = self.known();
        known.revision = known.revision.max(revision);
    }

    /// The identity that the store has.
    pub(super) fn identity(&self) -> Option<String> {
        self.known().identity.clone()
    }

    /// To be called before a look is asked for.
    pub(super) fn before(&self) -> Before {
        Before(self.known().revision)
    }

    /// Holds a look against what was known before it. A mismatch is told once, to all who
    /// follow [`Memory::mismatches`]; from then on the store is what it is now.
    pub(super) fn compare(&self, before: Before, look: &Look) -> Result<(), Mismatch> {
        let mut known = self.known();
        // Another look may have found the same meanwhile: then it is known.
        let seen = before.0.min(known.revision);
        let mismatch = mismatch(known.identity.as_deref(), seen, look);
        let Some(mismatch) = mismatch else {
            known.revision = known.revision.max(look.revision);
            known.identity = look.identity.clone().or(known.identity.take());
            return Ok(());
        };
        *known = Known { identity: look.identity.clone(), revision: look.revision };
        drop(known);
        self.mismatch.send_replace(Some(mismatch.clone()));
        Err(mismatch)
    }

    /// The same of an identity alone, which the store has told by itself.
    pub(super) fn told(&self, identity: &str) -> Result<(), Mismatch> {
        // Such news may be older than what was seen by other ways, and is not behind for that.
        let revision = self.known().revision;
        self.compare(Before(0), &Look { identity: Some(identity.to_owned()), revision })
    }

    /// Each mismatch that is seen.
    pub(super) fn mismatches(&self) -> watch::Receiver<Option<Mismatch>> {
        self.mismatch.subscribe()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock()
    }
}

fn mismatch(known: Option<&str>, seen: i64, look: &Look) -> Option<Mismatch> {
    let Look { identity, revision } = look;
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
    Some(Mismatch { seen: seen + and, behind })
}

/// A new identity.
pub(super) fn new_identity() -> String {
    format!("{:032x}", fastrand::u128(..))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(identity: &str, revision: i64) -> Look {
        let identity = Some(identity.to_owned()).filter(|it| !it.is_empty());
        Look { identity, revision }
    }

    fn memory() -> Memory {
        let memory = Memory::default();
        memory.compare(memory.before(), &look("x", 40)).unwrap();
        memory.saw(52);
        memory
    }

    #[test]
    fn the_same_store_goes_on() {
        let memory = memory();
        memory.compare(memory.before(), &look("x", 52)).unwrap();
        // Its key was deleted by hand: whoever knows it puts it back.
        memory.compare(memory.before(), &look("", 60)).unwrap();
        assert_eq!(memory.identity().as_deref(), Some("x"));
        assert!(memory.mismatches().borrow().is_none());
    }

    #[test]
    fn an_older_one_is_told_once_and_known_from_then_on() {
        let memory = memory();
        let (before, too) = (memory.before(), memory.before());
        let mismatch = memory.compare(before, &look("x", 51)).unwrap_err();
        assert!(
            mismatch.behind && mismatch.seen.contains("went back from 52 to 51"),
            "{mismatch:?}"
        );
        assert_eq!(*memory.mismatches().borrow(), Some(mismatch));
        // Who looked at the same time has nothing else to tell.
        memory.compare(too, &look("x", 51)).unwrap();
        memory.compare(memory.before(), &look("x", 51)).unwrap();
    }

    #[test]
    fn another_one_is_told_be_it_older_or_not() {
        for (revision, behind) in [(51, true), (52, false), (900, false)] {
            let memory = memory();
            let mismatch = memory.compare(memory.before(), &look("y", revision)).unwrap_err();
            assert_eq!(mismatch.behind, behind, "{mismatch:?}");
            assert!(mismatch.seen.contains("y instead of x"), "{mismatch:?}");
            memory.compare(memory.before(), &look("y", revision)).unwrap();
        }
    }

    #[test]
    fn an_identity_that_is_told_says_nothing_of_revisions() {
        let memory = memory();
        memory.told("x").unwrap();
        let mismatch = memory.told("y").unwrap_err();
        assert!(!mismatch.behind && mismatch.seen.contains("y instead of x"), "{mismatch:?}");
        assert!(memory.compare(memory.before(), &look("y", 51)).unwrap_err().behind);
    }

    #[test]
    fn an_empty_one_is_an_older_one() {
        let memory = memory();
        assert!(memory.compare(memory.before(), &look("", 1)).unwrap_err().behind);
        // Nobody gives it the identity that the former one had.
        assert_eq!(memory.identity(), None);
    }

    #[test]
    fn what_comes_in_during_a_look_is_no_mismatch() {
        let memory = memory();
        let before = memory.before();
        memory.saw(70);
        memory.compare(before, &look("x", 60)).unwrap();
        assert!(memory.compare(memory.before(), &look("x", 69)).unwrap_err().behind);
    }
}
