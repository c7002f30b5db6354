//! Calls and queued calls of tasks.

use std::sync::Arc;

use metrics::{counter, describe_counter, describe_gauge, gauge};

const LOAD: &str = "soloist_task_load";
const CALLS: &str = "soloist_task_calls_total";
const ENQUEUED: &str = "soloist_task_enqueued_total";
const QUEUED_CALLS: &str = "soloist_queued_call_attempts_total";

/// Describes each metric.
pub(super) fn describe() {
    describe_gauge!(LOAD, "Calls of a task that this host does, or that wait for that");
    describe_counter!(CALLS, "Calls of tasks that came to this host, by what came of them");
    describe_counter!(ENQUEUED, "Queued calls that this host was given, and that the store has");
    describe_counter!(
        QUEUED_CALLS,
        "What came of attempts at queued calls on this host: done, again (back into the queue) or dead"
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

/// A queued call of `task` was put into the store.
pub fn call_enqueued(task: &Arc<str>) {
    counter!(ENQUEUED, "task" => Arc::clone(task)).increment(1);
}

/// An attempt at a queued call of `task` has ended; `outcome` is one word.
pub fn queued_call_attempted(task: &Arc<str>, outcome: &'static str) {
    counter!(QUEUED_CALLS, "task" => Arc::clone(task), "outcome" => outcome).increment(1);
}
