//! Runs of jobs.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use metrics::{Unit, counter, gauge, histogram};

use super::metric::Metric;

const JOB_RUNS: &str = "soloist_job_runs_total";
const JOB_MISSED: &str = "soloist_job_missed_runs_total";
const JOB_SECONDS: &str = "soloist_job_run_duration_seconds";
const LAST_SUCCESS: &str = "soloist_job_last_success_timestamp_seconds";

/// From 10 ms to a day.
const JOB_BUCKETS: &[f64] =
    &[0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0, 86_400.0];

/// The metrics of this subject.
pub(super) const METRICS: &[Metric] = &[
    Metric::counter(
        JOB_RUNS,
        &["action", "outcome"],
        "Runs of a job that ended on this host, by their outcome: `done`, `failed`, `replaced`, or `interrupted` under an earlier leader.",
    ),
    Metric::counter(
        JOB_MISSED,
        &["action"],
        "Runs of a job that were missed, and that this host dropped.",
    ),
    Metric::durations(
        JOB_SECONDS,
        JOB_BUCKETS,
        &["action"],
        "Time from the start of a run to its end, with all its attempts and the pauses between them.",
    ),
    Metric::gauge(
        LAST_SUCCESS,
        &["action"],
        "When the last successful run of a job ended, as Unix time. The leader of its group knows it from the store, whichever host ran it; a host that led before may show an older one, so take the greatest. There is none until a run has succeeded.",
    ).in_unit(Unit::Seconds),
];

/// A run of the job `action` has ended; `outcome` is one word.
pub fn job_ended(action: &Arc<str>, outcome: &'static str, took: Duration) {
    counter!(JOB_RUNS, "action" => Arc::clone(action), "outcome" => outcome).increment(1);
    histogram!(JOB_SECONDS, "action" => Arc::clone(action)).record(took);
}

/// This many runs of the job `action` were interrupted, under a leader before this one.
pub fn job_interrupted(action: &Arc<str>, count: u64) {
    counter!(JOB_RUNS, "action" => Arc::clone(action), "outcome" => "interrupted").increment(count);
}

/// The last successful run of the job `action` ended at this moment.
pub fn job_succeeded(action: &Arc<str>, at: DateTime<Utc>) {
    // Milliseconds of Unix time are exact for the next 285,000 years.
    let seconds = at.timestamp_millis() as f64 / 1000.0;
    gauge!(LAST_SUCCESS, "action" => Arc::clone(action)).set(seconds);
}

/// Makes the counters of the job `action`, so that they start at 0.
pub(super) fn start(action: &Arc<str>, outcomes: &[&'static str]) {
    for outcome in outcomes {
        counter!(JOB_RUNS, "action" => Arc::clone(action), "outcome" => *outcome).increment(0);
    }
    counter!(JOB_MISSED, "action" => Arc::clone(action)).increment(0);
}

/// This many runs of the job `action` were missed and dropped.
pub fn job_missed(action: &Arc<str>, count: u64) {
    counter!(JOB_MISSED, "action" => Arc::clone(action)).increment(count);
}
