//! Requests: those that actions answer, and those that the relay forwards.

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http::StatusCode;
use metrics::{Counter, Histogram, counter, histogram};

use super::metric::Metric;

const HTTP_REQUESTS: &str = "soloist_http_requests_total";
const HTTP_SECONDS: &str = "soloist_http_request_duration_seconds";
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

/// The metrics of this subject.
pub(super) const METRICS: &[Metric] = &[
    Metric::counter(
        HTTP_REQUESTS,
        &["action", "code"],
        "Requests that this host's actions answered, by status code; `other` stands for codes from 600.",
    ),
    Metric::durations(
        HTTP_SECONDS,
        HTTP_BUCKETS,
        &["action"],
        "Time from a request to the head of its response, with the wait for an instance.",
    ),
    Metric::counter(
        REFUSALS,
        &["action", "reason"],
        "Requests that the gate refused on their way in, or with their response on its way out, because the term was `draining`, `closed` or `expired`.",
    ),
    Metric::counter(
        FORWARDED,
        &["action"],
        "Requests that this host sent to the leader, another host.",
    ),
    Metric::counter(HELD, &["action"], "Requests that waited for a leader."),
    Metric::counter(
        REPEATED,
        &["action"],
        "Requests that were sent to another leader because the one before was lost.",
    ),
    Metric::counter(FAILED, &["action"], "Requests for which the relay found no response."),
];

/// Makes the counters of `action`, so that they start at 0.
pub(super) fn start(action: &Arc<str>, refusals: &[&'static str]) {
    answered(action, "200").increment(0);
    for reason in refusals {
        counter!(REFUSALS, "action" => Arc::clone(action), "reason" => *reason).increment(0);
    }
    for name in [FORWARDED, HELD, REPEATED, FAILED] {
        counter!(name, "action" => Arc::clone(action)).increment(0);
    }
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

/// The status codes that have a counter of their own; a guest may make up any number.
const CODES: Range<u16> = 100..600;

/// The requests that an action answers.
pub struct RequestMetrics {
    action: Arc<str>,
    /// The counter of each code in [`CODES`] that was answered.
    codes: Box<[OnceLock<Counter>]>,
    seconds: Histogram,
}

impl RequestMetrics {
    /// The metrics of `action`.
    pub fn of(action: &Arc<str>) -> Self {
        let seconds = histogram!(HTTP_SECONDS, "action" => Arc::clone(action));
        let codes = CODES.map(|_| OnceLock::new()).collect();
        Self { action: Arc::clone(action), codes, seconds }
    }

    /// Records a response with this status.
    pub fn answered(&self, status: StatusCode, took: Duration) {
        let place = status.as_u16().checked_sub(CODES.start).map(usize::from);
        match place.and_then(|place| self.codes.get(place)) {
            Some(code) => code.get_or_init(|| answered(&self.action, status.as_str())).increment(1),
            None => answered(&self.action, "other").increment(1),
        }
        self.seconds.record(took);
    }
}

fn answered(action: &Arc<str>, code: &str) -> Counter {
    counter!(HTTP_REQUESTS, "action" => Arc::clone(action), "code" => code.to_owned())
}
