//! Worlds that break one rule, to know that the checker can see it.
//!
//! The heart and the checker are the same; only what the simulation itself
//! stands for (the store, the term's gate, the driver) does its part wrongly.

use std::{ops::Range, time::Duration};

use soloist_heart::Timings;

use crate::{
    World,
    promise::Promise,
    simulation::{CLEAR, FAULTS},
};

/// How many worlds a mutant may live in unseen.
const SEEDS: u64 = 1000;

/// What a world does wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// Nothing.
    Sound,
    /// A win counts as verified without a look at its key.
    Unverified,
    /// A lease counts from the arrival of the store's answer, not from the sending.
    CountsFromReceipt,
    /// Answers leave without asking the gate.
    UngatedAnswers,
    /// Writes are applied without a look at the writer's leader key.
    Unfenced,
    /// A host resigns when its term begins to stop.
    ResignsEarly,
    /// The margin leaves no room for clocks that drift.
    NoRoomForDrift,
    /// What outlives its term's deadline is not ended by force.
    NoWatchdog,
    /// The clock stands still with its host.
    SleepyClock,
    /// A supervisor revokes the lease of a process that only stands still.
    HastySupervisor,
    /// Whoever stands wins, and its key is verified if it is there.
    NoQueue,
    /// Tokens are the numbers of leases instead of create revisions.
    CountsLeases,
    /// The store does not show whose keys stand.
    Blind,
    /// Writes are applied whatever version the writer expects.
    Unconditional,
    /// A store that went back is taken for the one that it was.
    Oblivious,
    /// A host that stops does not hear that its term has ended.
    Untold,
    /// A writer takes a write without an answer for done.
    Hopeful,
    /// A campaign that waits believes that it will be told when it is won.
    NoSecondLook,
    /// So does who follows the store, of whatever changes there.
    StaysDeaf,
    /// A call without an answer is waited for, however long that takes.
    WaitsForEver,
    /// A host's status takes whoever heads a queue for its leader.
    Rosy,
    /// A host's status does not say why it does not stand.
    Mute,
    /// A claim does not say which firings were claimed before, nor do records.
    ForgetsClaims,
    /// Whatever is before the latest firing counts as claimed.
    HighWater,
    /// A host takes its wall clock for right, whatever others say.
    TrustsItsClock,
    /// Clocks count as compared from the end of a comparison, not from its beginning.
    StampsLate,
    /// A host whose clock is wrong goes on leading.
    ClingsOn,
}

impl Mutant {
    /// The timings as this world's hosts keep them.
    pub(crate) fn timings(self, timings: Timings) -> Timings {
        let margin =
            if self == Self::NoRoomForDrift { timings.stop_budget } else { timings.margin };
        Timings { margin, ..timings }
    }
}

/// Runs worlds until the checker stops one, and says which promise it saw broken.
#[track_caller]
fn catches(mutant: Mutant, promise: Promise) {
    catches_one(mutant, &[promise]);
}

/// The same, where one mechanism keeps several promises.
#[track_caller]
fn catches_one(mutant: Mutant, promises: &[Promise]) {
    let caught = (0..SEEDS).find_map(|seed| Some((seed, World::new(seed, mutant).run().err()?)));
    let Some((seed, broken)) = caught else {
        panic!("{mutant:?} went unseen through {SEEDS} worlds");
    };
    println!("{mutant:?}: seed {seed}: {broken}");
    assert!(promises.contains(&broken.promise), "{mutant:?} in seed {seed}: {broken}");
}

/// The same, in worlds of one kind alone, in the midst of what is hard about them.
#[track_caller]
fn catches_there(
    mutant: Mutant,
    promise: Promise,
    there: impl Fn(&World) -> bool,
    then: Range<u64>,
) {
    let worlds = || (0..16 * SEEDS).map(|seed| World::new(seed, mutant)).filter(&there);
    let caught = worlds().take(SEEDS as usize).find_map(|world| {
        let broken = world.run().err()?;
        (broken.promise == promise && then.contains(&broken.at)).then_some(broken)
    });
    let Some(broken) = caught else { panic!("{mutant:?} does not break {promise:?} there") };
    println!("{mutant:?}: {broken}");
}

#[test]
fn a_win_that_is_not_verified_is_caught() {
    catches(Mutant::Unverified, Promise::WinIsVerified);
}

#[test]
fn a_lease_counted_from_the_answers_arrival_is_caught() {
    catches(Mutant::CountsFromReceipt, Promise::EndsBeforeLease);
}

#[test]
fn answers_that_pass_no_gate_are_caught() {
    catches(Mutant::UngatedAnswers, Promise::FreshAnswers);
}

#[test]
fn writes_without_a_fence_are_caught() {
    catches(Mutant::Unfenced, Promise::FencedWrites);
}

#[test]
fn resigning_before_the_end_of_teardown_is_caught() {
    catches(Mutant::ResignsEarly, Promise::ResignIsLast);
}

#[test]
fn a_margin_without_room_for_drift_is_caught() {
    catches(Mutant::NoRoomForDrift, Promise::EndsBeforeLease);
}

#[test]
fn a_teardown_without_end_is_caught() {
    catches(Mutant::NoWatchdog, Promise::EndsBeforeLease);
}

#[test]
fn a_clock_that_sleeps_is_caught() {
    catches(Mutant::SleepyClock, Promise::EndsBeforeLease);
}

#[test]
fn revoking_under_a_process_that_lives_is_caught() {
    catches(Mutant::HastySupervisor, Promise::ResignIsLast);
}

#[test]
fn two_winners_are_caught() {
    // Whoever wins out of turn overlaps with another, or leads under an earlier token.
    catches_one(Mutant::NoQueue, &[Promise::NoOverlap, Promise::TokensRise]);
}

#[test]
fn tokens_that_fall_are_caught() {
    catches(Mutant::CountsLeases, Promise::TokensRise);
}

#[test]
fn a_store_that_went_back_unseen_is_caught() {
    catches(Mutant::Oblivious, Promise::TokensRise);
}

#[test]
fn a_key_that_nobody_clears_away_is_caught() {
    // Nor are clocks compared with those of hosts that are not seen.
    catches_one(Mutant::Blind, &[Promise::SomebodyLeads, Promise::FiringsGoOn]);
}

#[test]
fn writes_that_expect_no_version_are_caught() {
    catches(Mutant::Unconditional, Promise::NothingDoubled);
}

#[test]
fn writes_that_were_only_hoped_for_are_caught() {
    catches(Mutant::Hopeful, Promise::NothingLost);
}

#[test]
fn a_host_that_never_stops_is_caught() {
    // Until then its key is in the way.
    let promises = [Promise::StopsInTime, Promise::SomebodyLeads, Promise::HostsSayIt];
    catches_one(Mutant::Untold, &promises);
}

#[test]
fn a_wake_up_that_never_comes_is_caught() {
    catches(Mutant::NoSecondLook, Promise::SomebodyLeads);
}

#[test]
fn a_host_that_stays_deaf_is_caught() {
    // It does its part in nothing.
    let promises = [Promise::SomebodyLeads, Promise::HostsSayIt, Promise::EvenlySpread];
    catches_one(Mutant::StaysDeaf, &promises);
}

#[test]
fn a_status_that_says_that_all_is_well_is_caught() {
    catches(Mutant::Rosy, Promise::HostsSayIt);
}

#[test]
fn a_call_that_is_waited_for_is_caught_in_a_storm() {
    catches_there(
        Mutant::WaitsForEver,
        Promise::SomebodyLeads,
        |world| world.loss >= 100 || world.latency >= 200,
        0..FAULTS,
    );
}

#[test]
fn a_status_that_says_that_all_is_well_is_caught_in_a_storm() {
    catches_there(
        Mutant::Rosy,
        Promise::HostsSayIt,
        |world| world.loss >= 100 || world.latency >= 200,
        0..FAULTS,
    );
}

#[test]
fn a_wake_up_that_never_comes_is_caught_where_the_store_goes_back() {
    catches_there(Mutant::NoSecondLook, Promise::SomebodyLeads, |world| world.goes_back, 0..CLEAR);
}

#[test]
fn a_status_that_says_that_all_is_well_is_caught_where_the_store_goes_back() {
    catches_there(Mutant::Rosy, Promise::HostsSayIt, |world| world.goes_back, 0..CLEAR);
}

#[test]
fn a_host_that_does_not_say_why_it_does_not_stand_is_caught() {
    catches(Mutant::Mute, Promise::HostsSayIt);
    catches_there(Mutant::Mute, Promise::HostsSayIt, |world| world.goes_back, 0..CLEAR);
}

#[test]
fn claims_that_are_forgotten_are_caught() {
    catches(Mutant::ForgetsClaims, Promise::FiredOnce);
}

#[test]
fn a_high_water_mark_of_time_is_caught() {
    catches(Mutant::HighWater, Promise::FiringsGoOn);
}

#[test]
fn a_clock_that_is_trusted_whatever_others_say_is_caught() {
    catches(Mutant::TrustsItsClock, Promise::WrongClocksRest);
}

#[test]
fn a_comparison_of_a_clock_that_was_set_meanwhile_is_caught() {
    catches(Mutant::StampsLate, Promise::WrongClocksRest);
}

#[test]
fn a_leader_that_clings_to_its_wrong_clock_is_caught() {
    catches(Mutant::ClingsOn, Promise::WrongClocksRest);
}

#[test]
fn a_mutant_changes_nothing_else() {
    let sound = Timings::derive(Duration::from_secs(5), Duration::from_millis(500), Duration::ZERO);
    assert_eq!(Mutant::Unverified.timings(sound), sound);
    let tight = Mutant::NoRoomForDrift.timings(sound);
    assert!(tight.margin < sound.margin);
    assert_eq!(Timings { margin: sound.margin, ..tight }, sound);
}
