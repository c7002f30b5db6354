//! Simulations that break one rule, to prove that the checker detects it.
//!
//! The heart and the checker are unchanged; only what the simulation itself replaces (the store,
//! the term's gate, the driver) behaves wrongly.

use std::{ops::Range, time::Duration};

use soloist_heart::Timings;

use crate::{
    Simulation,
    promise::Promise,
    simulation::{CLEAR, FAULTS},
};

/// In how many simulations a mutant may stay undetected.
const SEEDS: u64 = 1000;

/// What a simulation does wrongly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// Nothing is wrong.
    Sound,
    /// A win counts as verified without checking its key.
    Unverified,
    /// A lease counts from the arrival of the store's answer rather than from the sending of the
    /// request.
    CountsFromReceipt,
    /// Answers are sent without asking the gate.
    UngatedAnswers,
    /// Writes are applied without checking the writer's leader key.
    Unfenced,
    /// A host resigns when its term begins to stop.
    ResignsEarly,
    /// The margin leaves no room for clocks that drift.
    NoRoomForDrift,
    /// A term that outlives its deadline is not ended by force.
    NoWatchdog,
    /// The clock stands still with its host.
    SleepyClock,
    /// A supervisor revokes the lease of a process that is only frozen.
    HastySupervisor,
    /// Every candidate wins, and its key is verified if it exists.
    NoQueue,
    /// Fencing tokens are lease numbers instead of create revisions.
    CountsLeases,
    /// The store does not publish its roster.
    Blind,
    /// Writes are applied whatever version the writer expects.
    Unconditional,
    /// A store that went back is taken for the same store.
    Oblivious,
    /// The store says that it has raised its fencing tokens, and has not.
    RaisesNothing,
    /// Hosts may lead as soon as the fencing tokens are raised.
    NoGrace,
    /// A host that stops is not told that its term has ended.
    Untold,
    /// A writer takes a write without an answer as done.
    Hopeful,
    /// A waiting campaign relies on being notified when it is won.
    NoSecondLook,
    /// A host that follows the store relies on being notified of changes.
    StaysDeaf,
    /// A call without an answer never times out.
    WaitsForEver,
    /// A host's status takes the head of a queue for the leader in any case.
    Rosy,
    /// A host's status does not say why it does not stand.
    Mute,
    /// A claim does not record which runs were claimed before, and neither do the ledger's
    /// records.
    ForgetsClaims,
    /// Everything before the latest run counts as claimed.
    HighWater,
    /// A host trusts its own wall clock, whatever other hosts say.
    TrustsItsClock,
    /// A comparison counts from its end rather than from its beginning.
    StampsLate,
    /// A host whose clock is wrong goes on leading.
    ClingsOn,
}

impl Mutant {
    /// The timings that this mutant's hosts use.
    pub(crate) fn timings(self, timings: Timings) -> Timings {
        let margin =
            if self == Self::NoRoomForDrift { timings.stop_timeout } else { timings.margin };
        Timings { margin, ..timings }
    }
}

/// Runs simulations until the checker stops one, and asserts which promise is broken.
#[track_caller]
fn catches(mutant: Mutant, promise: Promise) {
    catches_one(mutant, &[promise]);
}

/// The same, where one mechanism supports several promises.
#[track_caller]
fn catches_one(mutant: Mutant, promises: &[Promise]) {
    let caught =
        (0..SEEDS).find_map(|seed| Some((seed, Simulation::new(seed, mutant).run().err()?)));
    let Some((seed, broken)) = caught else {
        panic!("{mutant:?} went unseen through {SEEDS} worlds");
    };
    println!("{mutant:?}: seed {seed}: {broken}");
    assert!(promises.contains(&broken.promise), "{mutant:?} in seed {seed}: {broken}");
}

/// The same, only in simulations of one kind and during the difficult part.
#[track_caller]
fn catches_there(
    mutant: Mutant,
    promise: Promise,
    there: impl Fn(&Simulation) -> bool,
    then: Range<u64>,
) {
    let worlds = || (0..16 * SEEDS).map(|seed| Simulation::new(seed, mutant)).filter(&there);
    let caught = worlds().take(SEEDS as usize).find_map(|simulation| {
        let broken = simulation.run().err()?;
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
    // A host that wins out of turn overlaps with another, or leads under an earlier fencing token.
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
fn fencing_tokens_that_are_not_raised_are_caught() {
    catches(Mutant::RaisesNothing, Promise::TokensRise);
}

#[test]
fn a_grace_period_that_is_left_out_is_caught() {
    catches(Mutant::NoGrace, Promise::NoOverlap);
}

#[test]
fn a_key_that_nobody_clears_away_is_caught() {
    // Also, clocks are not compared with those of hosts that are not seen.
    catches_one(Mutant::Blind, &[Promise::SomebodyLeads, Promise::RunsContinue]);
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
    // It takes part in nothing.
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
        |simulation| simulation.loss >= 100 || simulation.latency >= 200,
        0..FAULTS,
    );
}

#[test]
fn a_status_that_says_that_all_is_well_is_caught_in_a_storm() {
    catches_there(
        Mutant::Rosy,
        Promise::HostsSayIt,
        |simulation| simulation.loss >= 100 || simulation.latency >= 200,
        0..FAULTS,
    );
}

#[test]
fn a_wake_up_that_never_comes_is_caught_where_the_store_goes_back() {
    catches_there(
        Mutant::NoSecondLook,
        Promise::SomebodyLeads,
        |simulation| simulation.goes_back,
        0..CLEAR,
    );
}

#[test]
fn a_status_that_says_that_all_is_well_is_caught_where_the_store_goes_back() {
    catches_there(Mutant::Rosy, Promise::HostsSayIt, |simulation| simulation.goes_back, 0..CLEAR);
}

#[test]
fn a_host_that_does_not_say_why_it_does_not_stand_is_caught() {
    catches(Mutant::Mute, Promise::HostsSayIt);
    catches_there(Mutant::Mute, Promise::HostsSayIt, |simulation| simulation.goes_back, 0..CLEAR);
}

#[test]
fn claims_that_are_forgotten_are_caught() {
    catches(Mutant::ForgetsClaims, Promise::FiredOnce);
}

#[test]
fn a_high_water_mark_of_time_is_caught() {
    catches(Mutant::HighWater, Promise::RunsContinue);
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
