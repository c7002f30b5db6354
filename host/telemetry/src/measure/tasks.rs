//! Calls and queued calls of tasks.

use std::sync::Arc;

use metrics::{counter, gauge};

use super::metric::Metric;

const IN_FLIGHT: &str = "soloist_task_calls_in_flight";
const CALLS: &str = "soloist_task_calls_total";
const ENQUEUED: &str = "soloist_task_enqueued_total";
const QUEUED_CALLS: &str = "soloist_queued_call_attempts_total";

/// The metrics of this subject.
pub(super) const METRICS: &[Metric] = &[
    Metric::gauge(
        IN_FLIGHT,
        &["task"],
        "Calls of the task that this host runs or that wait for their turn on it.",
    ),
    Metric::counter(
        CALLS,
        &["task", "outcome"],
        "Calls of the task that were made at this host, by outcome: `done`, `unknown`, `refused`, `failed`, `late`, `busy`, `nobody` or `lost`.",
    ),
    Metric::counter(
        ENQUEUED,
        &["task"],
        "Queued calls that were made at this host and that the store has.",
    ),
    Metric::counter(
        QUEUED_CALLS,
        &["task", "outcome"],
        "Attempts at queued calls on this host, by outcome: `done`, `again` (back in the queue) or `dead`.",
    ),
];

/// Makes the counters of `task`, so that they start at 0.
pub(super) fn start(task: &Arc<str>, calls: &[&'static str], attempts: &[&'static str]) {
    for outcome in calls {
        counter!(CALLS, "task" => Arc::clone(task), "outcome" => *outcome).increment(0);
    }
    for outcome in attempts {
        counter!(QUEUED_CALLS, "task" => Arc::clone(task), "outcome" => *outcome).increment(0);
    }
    counter!(ENQUEUED, "task" => Arc::clone(task)).increment(0);
}

/// How many calls of `task` this host runs or has queued.
pub fn task_calls_in_flight(task: &Arc<str>, calls: usize) {
    gauge!(IN_FLIGHT, "task" => Arc::clone(task)).set(calls as f64);
}

/// A call of `task` to this host has ended; `outcome` is one word.
pub fn task_called(task: &Arc<str>, outcome: &'static str) {
    counter!(CALLS, "task" => Arc::clone(task), "outcome" => outcome).increment(1);
}

/// A queued call of `task` was put into the store.
pub fn call_enqueued(task: &Arc<str>) {
    counter!(ENQUEUED, "task" => Arc::clone(task)).increment(1);
}

/// An attempt at a queued call of `task` has ended; `outcome` is one word.
pub fn queued_call_attempted(task: &Arc<str>, outcome: &'static str) {
    counter!(QUEUED_CALLS, "task" => Arc::clone(task), "outcome" => outcome).increment(1);
}
