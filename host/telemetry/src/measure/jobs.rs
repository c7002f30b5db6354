//! Runs of jobs.

use std::{sync::Arc, time::Duration};

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

const JOB_RUNS: &str = "soloist_job_runs_total";
const JOB_MISSED: &str = "soloist_job_missed_total";
const JOB_SECONDS: &str = "soloist_job_seconds";

/// From 10 ms to a day.
const JOB_BUCKETS: &[f64] =
    &[0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0, 86_400.0];

/// The buckets of each histogram.
pub(super) const BUCKETS: &[(&str, &[f64])] = &[(JOB_SECONDS, JOB_BUCKETS)];

/// Describes each metric.
pub(super) fn describe() {
    describe_counter!(JOB_RUNS, "Runs of jobs that have ended on this host, by how");
    describe_counter!(JOB_MISSED, "Runs of jobs that were missed, and dropped by this host");
    describe_histogram!(
        JOB_SECONDS,
        Unit::Seconds,
        "From the beginning of a run to its end, all attempts and the pauses between them"
    );
}

/// A run of the job `action` has ended; `outcome` is one word.
pub fn job_ended(action: &Arc<str>, outcome: &'static str, took: Duration) {
    counter!(JOB_RUNS, "action" => Arc::clone(action), "outcome" => outcome).increment(1);
    histogram!(JOB_SECONDS, "action" => Arc::clone(action)).record(took);
}

/// This many runs of the job `action` were missed and dropped.
pub fn job_missed(action: &Arc<str>, count: u64) {
    counter!(JOB_MISSED, "action" => Arc::clone(action)).increment(count);
}
