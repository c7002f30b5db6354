//! Leadership: terms, leases, the store, and the clock.

use std::time::Duration;

use chrono::TimeDelta;
use metrics::{Unit, counter, gauge, histogram};

use super::metric::Metric;

const LEADER: &str = "soloist_is_leader";
const FENCING_TOKEN: &str = "soloist_fencing_token";
const LEADERLESS: &str = "soloist_leaderless_seconds";
const TERMS: &str = "soloist_terms_total";
const STOP: &str = "soloist_term_stop_duration_seconds";
const START: &str = "soloist_term_start_duration_seconds";
const MARGIN: &str = "soloist_lease_margin_seconds";
const RENEWAL: &str = "soloist_lease_renewal_duration_seconds";
const STORE_CALLS: &str = "soloist_store_calls_total";
const STORE_ERRORS: &str = "soloist_store_errors_total";
const STORE_CHANGES: &str = "soloist_store_changes_total";
const CLOCK_AHEAD: &str = "soloist_clock_ahead_seconds";

/// Around the stop timeout, 500 ms by default.
const STOP_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0];
/// From a plugin that starts at once to one that takes 30 s.
const START_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// From the shortest TTL to the longest that people choose.
const MARGIN_BUCKETS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 30.0];
/// From a store on this machine to the TTL.
const RENEWAL_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// The metrics of this subject.
pub(super) const METRICS: &[Metric] = &[
    Metric::gauge(
        LEADER,
        &["group"],
        "1 if this host leads the group, or 0.",
    ),
    Metric::gauge(
        FENCING_TOKEN,
        &["group"],
        "Fencing token of the group's current term, as this host sees it; 0 while no host leads.",
    ),
    Metric::gauge(
        LEADERLESS,
        &["group"],
        "How long no host has performed in the group, as far as this host knows; 0 while one does. It grows on a host that has lost its store as well.",
    ).in_unit(Unit::Seconds),
    Metric::counter(
        TERMS,
        &["group", "cause"],
        "Terms of this host that ended, by cause: `shutdown`, `commanded`, `asked`, `preferred`, `action_failed`, `deadline_passed`, `lease_gone`, `key_gone` or `store_changed`.",
    ),
    Metric::durations(
        STOP,
        STOP_BUCKETS,
        &["group"],
        "Time from the close of a term's gate until nothing of the term runs.",
    ),
    Metric::durations(
        START,
        START_BUCKETS,
        &["group"],
        "Time from winning a term until an action that starts with it is up, with its hooks.",
    ),
    Metric::durations(
        MARGIN,
        MARGIN_BUCKETS,
        &[],
        "Time that was left to the deadline when a renewal of the lease was acknowledged.",
    ),
    Metric::durations(
        RENEWAL,
        RENEWAL_BUCKETS,
        &[],
        "Time from sending a renewal of the session's lease to its acknowledgement.",
    ),
    Metric::counter(
        STORE_CALLS,
        &[],
        "Calls to the store.",
    ),
    Metric::counter(
        STORE_ERRORS,
        &[],
        "Calls to the store that failed: of the session, of elections and rehearsals, of state, jobs and queued calls.",
    ),
    Metric::counter(
        STORE_CHANGES,
        &[],
        "How often this host has noticed that the store was reset, restored or replaced. Each time, all of its terms ended, and fencing tokens go on above those of before.",
    ),
    Metric::gauge(
        CLOCK_AHEAD,
        &[],
        "How far this host's wall clock is ahead of those of most hosts (of two hosts: of the other one); negative if it is behind.",
    ).in_unit(Unit::Seconds),
];

/// Sets first values, so that the rate of the first error can be computed.
pub(super) fn start() {
    counter!(STORE_CALLS).increment(0);
    counter!(STORE_ERRORS).increment(0);
    counter!(STORE_CHANGES).increment(0);
}

/// Makes the counters of a group, so that they start at 0.
pub(super) fn start_group(group: &str, causes: &[&'static str]) {
    for cause in causes {
        counter!(TERMS, "group" => group.to_owned(), "cause" => *cause).increment(0);
    }
}

/// Whether this host leads a group, and the fencing token of the group's leader.
pub fn group(group: &str, leads: bool, fencing_token: Option<i64>) {
    gauge!(LEADER, "group" => group.to_owned()).set(f64::from(u8::from(leads)));
    // Exact up to 2^53, which no create revision reaches.
    gauge!(FENCING_TOKEN, "group" => group.to_owned()).set(fencing_token.unwrap_or(0) as f64);
}

/// For how long a group has had no leader that runs its actions.
pub fn leaderless(group: &str, lasts: Duration) {
    gauge!(LEADERLESS, "group" => group.to_owned()).set(lasts.as_secs_f64());
}

/// A term has ended; `cause` is one word.
pub fn term_ended(group: &str, cause: &'static str) {
    counter!(TERMS, "group" => group.to_owned(), "cause" => cause).increment(1);
}

/// The store turned out to be another one, or an older state of it.
pub fn store_changed() {
    counter!(STORE_CHANGES).increment(1);
}

/// Nothing of a term runs any more, this long after its gate closed.
pub fn term_stopped(group: &str, took: Duration) {
    histogram!(STOP, "group" => group.to_owned()).record(took);
}

/// An action that starts with its term is up, this long after the term was won.
pub fn term_started(group: &str, took: Duration) {
    histogram!(START, "group" => group.to_owned()).record(took);
}

/// A lease renewal was acknowledged after `took`, with `margin` left to the old deadline.
pub fn renewed(took: Duration, margin: Duration) {
    histogram!(RENEWAL).record(took);
    histogram!(MARGIN).record(margin);
}

/// The store is called.
pub fn store_call() {
    counter!(STORE_CALLS).increment(1);
}

/// A call to the store has failed.
pub fn store_error() {
    counter!(STORE_ERRORS).increment(1);
}

/// By how much this host's clock is ahead of those of the others.
pub fn clock_ahead(ahead: TimeDelta) {
    gauge!(CLOCK_AHEAD).set(ahead.as_seconds_f64());
}
