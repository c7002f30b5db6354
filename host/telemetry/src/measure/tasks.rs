//! Calls and casts of tasks.

use std::sync::Arc;

use metrics::{counter, describe_counter, describe_gauge, gauge};

const LOAD: &str = "soloist_task_load";
const CALLS: &str = "soloist_task_calls_total";
const CASTS_QUEUED: &str = "soloist_casts_queued_total";
const CASTS: &str = "soloist_casts_total";

/// Describes each metric.
pub(super) fn describe() {
    describe_gauge!(LOAD, "Calls of a task that this host does, or that wait for that");
    describe_counter!(CALLS, "Calls of tasks that came to this host, by what came of them");
    describe_counter!(CASTS_QUEUED, "Casts that this host was given, and that the store has");
    describe_counter!(
        CASTS,
        "What came of attempts at casts on this host: done, again (back into the queue) or dead"
    );
}

/// How many calls of `task` this host runs or has queued.
pub fn task_load(task: &Arc<str>, load: usize) {
    gauge!(LOAD, "task" => Arc::clone(task)).set(load as f64);
}

/// A call of `task` to this host has ended; `outcome` is one word.
pub fn task_called(task: &Arc<str>, outcome: &'static str) {
    counter!(CALLS, "task" => Arc::clone(task), "outcome" => outcome).increment(1);
}

/// A cast of `task` was put into the store.
pub fn cast_queued(task: &Arc<str>) {
    counter!(CASTS_QUEUED, "task" => Arc::clone(task)).increment(1);
}

/// An attempt at a cast of `task` has ended; `outcome` is one word.
pub fn cast_attempted(task: &Arc<str>, outcome: &'static str) {
    counter!(CASTS, "task" => Arc::clone(task), "outcome" => outcome).increment(1);
}
