//! Clusters that break one promise, to know that the checker sees it.
//!
//! A [`World`] is an invented cluster: it writes the histories that a run of the bench would
//! leave, in which every promise is kept. A [`Mutant`] does one thing wrongly.

mod world;

use std::collections::BTreeSet;
use std::time::Duration;

use self::world::World;
use super::{Promise, Violation, check};

/// How many seeds a sound world runs through, and a mutant may live in unseen.
const SEEDS: u64 = 100;

const TTL: Duration = Duration::from_secs(2);

/// What a world does wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mutant {
    /// Nothing.
    Sound,
    /// A former leader goes on answering while the next one performs.
    AnswersAfterItsTerm,
    /// A former leader answers one last request, after an answer of the next one.
    AnswersLate,
    /// A host answers after it reported that the store went back.
    AnswersAfterRestore,
    /// A host goes on answering until all were restarted.
    AnswersUntilRestart,
    /// A host does not report a fault.
    IsSilent,
    /// Answers have no fencing token.
    HidesItsToken,
    /// Answers do not name their host.
    HidesItsName,
    /// A new leader begins with an older value.
    ForgetsWrites,
    /// The last value is older than one that was acknowledged.
    ForgetsAtTheEnd,
    /// A restored store lacks what was acknowledged before its snapshot.
    ForgetsTheSnapshot,
    /// A write counts twice.
    CountsTwice,
    /// Two writes are acknowledged with the same value.
    RepeatsValues,
    /// A restored store has more than was written before its snapshot.
    InventsWrites,
    /// A former leader still writes.
    IsUnfenced,
    /// A former leader writes into a store that was emptied.
    WritesAfterDeletion,
    /// The register answers something that is not a fencing token and a value.
    Babbles,
    /// The register answers another fencing token than its host.
    ConfusesTokens,
    /// Nobody takes over in time after a crash.
    TakesOverLate,
    /// The same, after a deletion, of which hosts are notified.
    NoticesLate,
    /// A host panics.
    Panics,
    /// Two hosts lead under the same fencing token.
    SharesItsToken,
    /// A host leads twice under the same fencing token.
    ReusesItsToken,
}

/// Each mutant with the promise that it breaks.
const BREAKS: [(Mutant, Promise); 22] = [
    (Mutant::AnswersAfterItsTerm, Promise::OneLeaderAtATime),
    (Mutant::AnswersLate, Promise::NoStaleAnswer),
    (Mutant::AnswersAfterRestore, Promise::NoAnswerAfterRestore),
    (Mutant::AnswersUntilRestart, Promise::NoAnswerAfterRestore),
    (Mutant::IsSilent, Promise::FaultsAreReported),
    (Mutant::HidesItsToken, Promise::AnswersAreSigned),
    (Mutant::HidesItsName, Promise::AnswersAreSigned),
    (Mutant::ForgetsWrites, Promise::NoWriteLost),
    (Mutant::ForgetsAtTheEnd, Promise::NoWriteLost),
    (Mutant::ForgetsTheSnapshot, Promise::NoWriteLost),
    (Mutant::CountsTwice, Promise::NoWriteDoubled),
    (Mutant::RepeatsValues, Promise::NoWriteDoubled),
    (Mutant::InventsWrites, Promise::NoWriteDoubled),
    (Mutant::IsUnfenced, Promise::NoStaleWrite),
    (Mutant::WritesAfterDeletion, Promise::NoWriteLost),
    (Mutant::Babbles, Promise::RegisterIsReadable),
    (Mutant::ConfusesTokens, Promise::RegisterIsReadable),
    (Mutant::TakesOverLate, Promise::TakeOverInTime),
    (Mutant::NoticesLate, Promise::TakeOverInTime),
    (Mutant::Panics, Promise::NoPanic),
    (Mutant::SharesItsToken, Promise::OneTermPerToken),
    (Mutant::ReusesItsToken, Promise::OneTermPerToken),
];

/// All promises but [`Promise::Recovers`], which is the run's to say: it has no history.
const CHECKED: [Promise; 12] = [
    Promise::OneLeaderAtATime,
    Promise::NoStaleAnswer,
    Promise::NoAnswerAfterRestore,
    Promise::FaultsAreReported,
    Promise::AnswersAreSigned,
    Promise::NoWriteLost,
    Promise::NoWriteDoubled,
    Promise::NoStaleWrite,
    Promise::RegisterIsReadable,
    Promise::TakeOverInTime,
    Promise::NoPanic,
    Promise::OneTermPerToken,
];

fn violations(seed: u64, mutant: Mutant) -> Vec<Violation> {
    check(World::run(seed, mutant), TTL).violations
}

#[test]
fn a_sound_world_keeps_every_promise() {
    for seed in 0..SEEDS {
        assert_eq!(violations(seed, Mutant::Sound), [], "seed {seed}");
    }
}

/// In every single world: what a mutant does, it does in each.
#[test]
fn each_mutant_is_seen_to_break_its_promise() {
    for (mutant, promise) in BREAKS {
        for seed in 0..SEEDS {
            let found = violations(seed, mutant);
            assert!(
                found.iter().any(|violation| violation.promise == promise),
                "{mutant:?} in seed {seed} does not break {promise:?}: {found:?}"
            );
        }
    }
}

/// What concerns one promise alone breaks no other, or the verdict would name a wrong cause.
#[test]
fn no_other_promise_is_blamed() {
    for (mutant, promise) in BREAKS {
        let may_break_others = matches!(
            promise,
            Promise::OneLeaderAtATime
                | Promise::NoStaleAnswer
                | Promise::NoStaleWrite
                | Promise::NoWriteLost
                | Promise::NoWriteDoubled
                | Promise::NoAnswerAfterRestore
                // An answer that says nothing is no write that explains the register's value.
                | Promise::RegisterIsReadable
        );
        if may_break_others {
            continue;
        }
        for seed in 0..SEEDS {
            for violation in violations(seed, mutant) {
                assert_eq!(violation.promise, promise, "{mutant:?}, seed {seed}: {violation}");
            }
        }
    }
}

#[test]
fn each_promise_has_a_mutant() {
    let broken: BTreeSet<_> = BREAKS.iter().map(|(_, promise)| *promise).collect();
    assert_eq!(broken, BTreeSet::from(CHECKED));
    let next = Promise::OneTermPerToken as usize + 1;
    assert_eq!(next, CHECKED.len(), "a promise is missing in the list");
    assert_eq!(next, Promise::Recovers as usize);
}
