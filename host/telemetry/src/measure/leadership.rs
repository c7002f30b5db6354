//! Leadership: terms, leases, the store, and the clock.

use std::time::Duration;

use chrono::TimeDelta;
use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

const LEADER: &str = "soloist_leader";
const FENCING_TOKEN: &str = "soloist_fencing_token";
const LEADERLESS: &str = "soloist_leaderless_seconds";
const TERMS: &str = "soloist_terms_total";
const TEARDOWN: &str = "soloist_teardown_seconds";
const TAKE_OVER: &str = "soloist_take_over_seconds";
const MARGIN: &str = "soloist_lease_margin_seconds";
const RENEWAL: &str = "soloist_renewal_seconds";
const STORE_ERRORS: &str = "soloist_store_errors_total";
const CLOCK_AHEAD: &str = "soloist_clock_ahead_seconds";

/// Around the stop timeout, 500 ms by default.
const TEARDOWN_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0];
/// From a plugin that starts at once to one that takes 30 s.
const TAKE_OVER_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// From the shortest TTL to the longest that people choose.
const MARGIN_BUCKETS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 30.0];
/// From a store on this machine to the TTL.
const RENEWAL_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];

/// The buckets of each histogram.
pub(super) const BUCKETS: &[(&str, &[f64])] = &[
    (TEARDOWN, TEARDOWN_BUCKETS),
    (TAKE_OVER, TAKE_OVER_BUCKETS),
    (MARGIN, MARGIN_BUCKETS),
    (RENEWAL, RENEWAL_BUCKETS),
];

/// Describes each metric.
pub(super) fn describe() {
    describe_gauge!(LEADER, "Whether this host leads the group: 1 or 0");
    describe_gauge!(
        FENCING_TOKEN,
        "The fencing token of the group's term, as this host sees it; 0 while nobody leads"
    );
    describe_gauge!(
        LEADERLESS,
        Unit::Seconds,
        "For how long nobody has performed in the group, as far as this host knows; 0 while somebody does"
    );
    describe_counter!(TERMS, "Terms of this host that have ended, by what ended them");
    describe_histogram!(
        TEARDOWN,
        Unit::Seconds,
        "From the close of a term's gate until nothing of the term runs"
    );
    describe_histogram!(
        TAKE_OVER,
        Unit::Seconds,
        "From winning a term until an action that begins with it is up, its hooks included"
    );
    describe_histogram!(
        MARGIN,
        Unit::Seconds,
        "How much time was left to the deadline when a renewal was acknowledged"
    );
    describe_histogram!(
        RENEWAL,
        Unit::Seconds,
        "From sending a renewal of the session's lease to its acknowledgement"
    );
    describe_counter!(STORE_ERRORS, "Calls to the store that failed");
    describe_gauge!(
        CLOCK_AHEAD,
        Unit::Seconds,
        "By how much this host's wall clock is ahead of those of most hosts, or behind if below 0"
    );
}

/// Sets first values, so that the rate of the first store error can be computed.
pub(super) fn start() {
    counter!(STORE_ERRORS).increment(0);
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

/// A term was torn down.
pub fn teardown(group: &str, took: Duration) {
    histogram!(TEARDOWN, "group" => group.to_owned()).record(took);
}

/// An action that starts with its term is up, this long after the term was won.
pub fn taken_over(group: &str, took: Duration) {
    histogram!(TAKE_OVER, "group" => group.to_owned()).record(took);
}

/// A lease renewal was acknowledged after `took`, with `margin` left to the old deadline.
pub fn renewed(took: Duration, margin: Duration) {
    histogram!(RENEWAL).record(took);
    histogram!(MARGIN).record(margin);
}

/// A call to the store has failed.
pub fn store_error() {
    counter!(STORE_ERRORS).increment(1);
}

/// By how much this host's clock is ahead of those of the others.
pub fn clock_ahead(ahead: TimeDelta) {
    gauge!(CLOCK_AHEAD).set(ahead.as_seconds_f64());
}
