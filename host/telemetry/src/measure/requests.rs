//! Requests: those that actions answer, and those that the relay forwards.

use std::{sync::Arc, time::Duration};

use http::StatusCode;
use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};

const HTTP_REQUESTS: &str = "soloist_http_requests_total";
const HTTP_SECONDS: &str = "soloist_http_seconds";
const REFUSALS: &str = "soloist_gate_refusals_total";
const FORWARDED: &str = "soloist_relay_forwarded_total";
const HELD: &str = "soloist_relay_held_total";
const REPEATED: &str = "soloist_relay_repeated_total";
const FAILED: &str = "soloist_relay_failed_total";

/// From the time of a small instance to the time when clients give up.
const HTTP_BUCKETS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];

/// The buckets of each histogram.
pub(super) const BUCKETS: &[(&str, &[f64])] = &[(HTTP_SECONDS, HTTP_BUCKETS)];

/// Describes each metric.
pub(super) fn describe() {
    describe_counter!(HTTP_REQUESTS, "Requests that this host's actions have answered, by class");
    describe_histogram!(
        HTTP_SECONDS,
        Unit::Seconds,
        "From a request to the head of its answer, with the wait for its turn"
    );
    describe_counter!(
        REFUSALS,
        "Requests that the gate refused, on their way in or with their answer on its way out"
    );
    describe_counter!(FORWARDED, "Requests that were sent to the leader, another host");
    describe_counter!(HELD, "Requests that had to wait for a leader");
    describe_counter!(
        REPEATED,
        "Requests that were given to another leader, since the one before was lost"
    );
    describe_counter!(FAILED, "Requests for which the relay found no answer");
}

/// The gate refused a request of `action`, or its response; `reason` is one word.
pub fn gate_refused(action: &Arc<str>, reason: &'static str) {
    counter!(REFUSALS, "action" => Arc::clone(action), "reason" => reason).increment(1);
}

/// A request for `action` was forwarded to the leading host.
pub fn relay_forwarded(action: &Arc<str>) {
    counter!(FORWARDED, "action" => Arc::clone(action)).increment(1);
}

/// A request for `action` has to wait for a leader.
pub fn relay_held(action: &Arc<str>) {
    counter!(HELD, "action" => Arc::clone(action)).increment(1);
}

/// A request for `action` may be sent again to the next leader, since the previous one was lost.
pub fn relay_repeated(action: &Arc<str>) {
    counter!(REPEATED, "action" => Arc::clone(action)).increment(1);
}

/// The relay could not get a response to a request for `action`.
pub fn relay_failed(action: &Arc<str>) {
    counter!(FAILED, "action" => Arc::clone(action)).increment(1);
}

/// The classes of status codes. A status outside of all of them is a fault of a guest.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// The requests that an action answers.
pub struct RequestMetrics {
    classes: [Counter; CLASSES.len()],
    seconds: Histogram,
}

impl RequestMetrics {
    /// The metrics of `action`.
    pub fn of(action: &Arc<str>) -> Self {
        let class =
            |class| counter!(HTTP_REQUESTS, "action" => Arc::clone(action), "code" => class);
        let seconds = histogram!(HTTP_SECONDS, "action" => Arc::clone(action));
        Self { classes: CLASSES.map(class), seconds }
    }

    /// Records a response with this status.
    pub fn answered(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(2);
        let [.., errors] = &self.classes;
        self.classes.get(class).unwrap_or(errors).increment(1);
        self.seconds.record(took);
    }
}
