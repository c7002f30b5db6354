//! The metrics of a host, for Prometheus.
//!
//! Other modules call one function per measurement and need not know the names. Metrics on the path
//! of every request use handles that were looked up beforehand ([`RequestMetrics`],
//! [`GuestMemoryGauge`]). Gauges that show a current state (who leads, how many instances exist)
//! are set when the metrics are rendered.

mod handles;

use std::{sync::Arc, time::Duration};

use chrono::TimeDelta;
use metrics::{
    Gauge, Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

pub use handles::{GuestMemoryGauge, RequestMetrics};

const LEADER: &str = "soloist_leader";
const TOKEN: &str = "soloist_token";
const LEADERLESS: &str = "soloist_leaderless_seconds";
const INSTANCES: &str = "soloist_instances";
const REFUSED: &str = "soloist_refused_actions";
const TERMS: &str = "soloist_terms_total";
const STORE_ERRORS: &str = "soloist_store_errors_total";
const REFUSALS: &str = "soloist_gate_refusals_total";
const LOG_LINES_LOST: &str = "soloist_log_lines_lost_total";
const LINES_DROPPED: &str = "soloist_plugin_lines_dropped_total";
const TEARDOWN: &str = "soloist_teardown_seconds";
const MARGIN: &str = "soloist_lease_margin_seconds";
const FORWARDED: &str = "soloist_relay_forwarded_total";
const HELD: &str = "soloist_relay_held_total";
const REPEATED: &str = "soloist_relay_repeated_total";
const FAILED: &str = "soloist_relay_failed_total";
const LOAD: &str = "soloist_task_load";
const CALLS: &str = "soloist_task_calls_total";
const JOB_RUNS: &str = "soloist_job_runs_total";
const JOB_MISSED: &str = "soloist_job_missed_total";
const JOB_SECONDS: &str = "soloist_job_seconds";
const RENEWAL: &str = "soloist_renewal_seconds";
const TAKE_OVER: &str = "soloist_take_over_seconds";
const HTTP_REQUESTS: &str = "soloist_http_requests_total";
const HTTP_SECONDS: &str = "soloist_http_seconds";
const GUEST_MEMORY: &str = "soloist_guest_memory_bytes";
const CLOCK_AHEAD: &str = "soloist_clock_ahead_seconds";
const TIMED_OUT: &str = "soloist_timeouts_total";
const TRAPS: &str = "soloist_traps_total";
const RESTARTS: &str = "soloist_restarts_total";
const CASTS_QUEUED: &str = "soloist_casts_queued_total";
const CASTS: &str = "soloist_casts_total";
const HELD_BYTES: &str = "soloist_held_bytes";
const HELD_FOR_CLIENTS: &str = "soloist_held_for_clients_bytes";
const HELD_FOR_ALL: &str = "soloist_held_for_all_bytes";
const BLOCKING_THREADS: &str = "soloist_blocking_threads";

/// Around the stop budget, 500 ms by default.
const TEARDOWN_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0];
/// From the shortest TTL to the longest that people choose.
const MARGIN_BUCKETS: &[f64] = &[0.1, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 7.5, 10.0, 30.0];
const RENEWAL_BUCKETS: &[f64] =
    &[0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5];
/// From 10 ms to a day.
const JOB_BUCKETS: &[f64] =
    &[0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0, 86_400.0];
/// From a plugin that starts at once to one that takes 30 s.
const TAKE_OVER_BUCKETS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// From the time of a small instance to the time when clients give up.
const HTTP_BUCKETS: &[f64] = &[
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0, 30.0,
];
/// How often samples are sorted into their buckets; until then each sample takes memory.
const UPKEEP: Duration = Duration::from_secs(5);

/// The metrics of this process.
#[derive(Clone)]
pub struct Measurements(PrometheusHandle);

impl Measurements {
    /// Installs the recorder. What was measured before is lost.
    ///
    /// # Errors
    /// Another recorder is installed in this process.
    pub fn start() -> Result<Self, BuildError> {
        let full = |name: &str| Matcher::Full(name.to_owned());
        let handle = PrometheusBuilder::new()
            .set_buckets_for_metric(full(TEARDOWN), TEARDOWN_BUCKETS)?
            .set_buckets_for_metric(full(MARGIN), MARGIN_BUCKETS)?
            .set_buckets_for_metric(full(RENEWAL), RENEWAL_BUCKETS)?
            .set_buckets_for_metric(full(JOB_SECONDS), JOB_BUCKETS)?
            .set_buckets_for_metric(full(TAKE_OVER), TAKE_OVER_BUCKETS)?
            .set_buckets_for_metric(full(HTTP_SECONDS), HTTP_BUCKETS)?
            .install_recorder()?;
        describe();
        // A first value, so that the rate of the first error can be computed.
        counter!(STORE_ERRORS).increment(0);
        Ok(Self(handle))
    }

    /// Bounds the memory that samples take, until `stop`.
    pub async fn run_upkeep(self, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
            self.0.run_upkeep();
        }
    }

    /// All metrics in Prometheus' text format.
    #[must_use]
    pub fn render(&self) -> String {
        self.0.render()
    }
}

fn describe() {
    describe_gauge!(LEADER, "Whether this host leads the group: 1 or 0");
    describe_gauge!(
        TOKEN,
        "The fencing token of the group's term, as this host sees it; 0 while nobody leads"
    );
    describe_gauge!(
        LEADERLESS,
        Unit::Seconds,
        "For how long nobody has performed in the group, as far as this host knows; 0 while somebody does"
    );
    describe_gauge!(INSTANCES, "Instances of plugins that are alive");
    describe_gauge!(
        REFUSED,
        "Plugins and settings that this host does not take: its status says why"
    );
    describe_counter!(TERMS, "Terms of this host that have ended, by what ended them");
    describe_counter!(STORE_ERRORS, "Calls to the store that failed");
    describe_counter!(
        REFUSALS,
        "Requests that the gate refused, on their way in or with their answer on its way out"
    );
    describe_counter!(
        LINES_DROPPED,
        "Lines that plugins printed and the log did not take, since they were too many"
    );
    describe_counter!(LOG_LINES_LOST, "Lines of this host's log that nobody read in time");
    describe_counter!(FORWARDED, "Requests that were sent to the leader, another host");
    describe_counter!(HELD, "Requests that had to wait for a leader");
    describe_counter!(
        REPEATED,
        "Requests that were given to another leader, since the one before was lost"
    );
    describe_counter!(FAILED, "Requests for which the relay found no answer");
    describe_gauge!(LOAD, "Calls of a task that this host does, or that wait for that");
    describe_counter!(CALLS, "Calls of tasks that came to this host, by what came of them");
    describe_counter!(JOB_RUNS, "Firings of jobs that have ended on this host, by how");
    describe_counter!(JOB_MISSED, "Firings of jobs that were missed, and dropped by this host");
    describe_histogram!(
        JOB_SECONDS,
        Unit::Seconds,
        "From the beginning of a firing to its end, all attempts and the pauses between them"
    );
    describe_histogram!(
        TEARDOWN,
        Unit::Seconds,
        "From the close of a term's gate until nothing of the term runs"
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
    describe_histogram!(
        TAKE_OVER,
        Unit::Seconds,
        "From winning a term until an action that begins with it is up, its hooks included"
    );
    describe_counter!(HTTP_REQUESTS, "Requests that this host's actions have answered, by class");
    describe_histogram!(
        HTTP_SECONDS,
        Unit::Seconds,
        "From a request to the head of its answer, with the wait for its turn"
    );
    describe_gauge!(
        GUEST_MEMORY,
        Unit::Bytes,
        "The linear memory of an action's instances that are alive"
    );
    describe_gauge!(
        HELD_BYTES,
        Unit::Bytes,
        "What this host holds in memory for an action: calls of tasks, state, bodies, requests"
    );
    describe_gauge!(
        HELD_FOR_CLIENTS,
        Unit::Bytes,
        "What this host holds in memory for the clients of its control API: bodies of requests"
    );
    describe_gauge!(
        HELD_FOR_ALL,
        Unit::Bytes,
        "What this host holds in memory for all actions and clients together"
    );
    describe_gauge!(
        BLOCKING_THREADS,
        "Threads on which calls of an action's guests block, on files or a name service"
    );
    describe_gauge!(
        CLOCK_AHEAD,
        Unit::Seconds,
        "By how much this host's wall clock is ahead of those of most hosts, or behind if below 0"
    );
    describe_counter!(TRAPS, "Instances that have trapped");
    describe_counter!(TIMED_OUT, "Instances that were ended since they took too long");
    describe_counter!(RESTARTS, "How often a service was started again, since it had ended");
    describe_counter!(CASTS_QUEUED, "Casts that this host was given, and that the store has");
    describe_counter!(
        CASTS,
        "What came of attempts at casts on this host: done, again (back into the queue) or dead"
    );
}

/// Whether this host leads a group, and the token of the group's leader.
pub fn group(group: &str, leads: bool, token: Option<i64>) {
    gauge!(LEADER, "group" => group.to_owned()).set(f64::from(u8::from(leads)));
    // Exact up to 2^53, which no create revision reaches.
    gauge!(TOKEN, "group" => group.to_owned()).set(token.unwrap_or(0) as f64);
}

/// For how long a group has had no leader that runs its actions.
pub fn leaderless(group: &str, lasts: Duration) {
    gauge!(LEADERLESS, "group" => group.to_owned()).set(lasts.as_secs_f64());
}

/// How many plugins and settings this host refuses.
pub fn refused_actions(count: usize) {
    gauge!(REFUSED).set(count as f64);
}

/// How many instances exist.
pub fn instances(count: usize) {
    gauge!(INSTANCES).set(count as f64);
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

/// An instance of `action` has trapped.
pub fn trapped(action: &Arc<str>) {
    counter!(TRAPS, "action" => Arc::clone(action)).increment(1);
}

/// An instance of `action` has exceeded its timeout.
pub fn timed_out(action: &Arc<str>) {
    counter!(TIMED_OUT, "action" => Arc::clone(action)).increment(1);
}

/// By how much this host's clock is ahead of those of the others.
pub fn clock_ahead(ahead: TimeDelta) {
    gauge!(CLOCK_AHEAD).set(ahead.as_seconds_f64());
}

/// The service of `action` has ended and is started again.
pub fn restarted(action: &Arc<str>) {
    counter!(RESTARTS, "action" => Arc::clone(action)).increment(1);
}

/// A cast of `task` was put into the store.
pub fn cast_queued(task: &Arc<str>) {
    counter!(CASTS_QUEUED, "task" => Arc::clone(task)).increment(1);
}

/// An attempt at a cast of `task` has ended; `outcome` is one word.
pub fn cast_attempted(task: &Arc<str>, outcome: &'static str) {
    counter!(CASTS, "task" => Arc::clone(task), "outcome" => outcome).increment(1);
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

/// The log of `action` has dropped this many lines beyond its rate limit.
pub fn lines_dropped(action: &Arc<str>, count: u64) {
    counter!(LINES_DROPPED, "action" => Arc::clone(action)).increment(count);
}

/// The gate refused a request of `action`, or its response; `reason` is one word.
pub fn refused(action: &Arc<str>, reason: &'static str) {
    counter!(REFUSALS, "action" => Arc::clone(action), "reason" => reason).increment(1);
}

/// A firing of the job `action` has ended; `outcome` is one word.
pub fn job_ended(action: &Arc<str>, outcome: &'static str, took: Duration) {
    counter!(JOB_RUNS, "action" => Arc::clone(action), "outcome" => outcome).increment(1);
    histogram!(JOB_SECONDS, "action" => Arc::clone(action)).record(took);
}

/// This many firings of the job `action` were missed and dropped.
pub fn job_missed(action: &Arc<str>, count: u64) {
    counter!(JOB_MISSED, "action" => Arc::clone(action)).increment(count);
}

/// A request for `action` was forwarded to the leading host.
pub fn relay_forwarded(action: &Arc<str>) {
    counter!(FORWARDED, "action" => Arc::clone(action)).increment(1);
}

/// This many lines of the host's log were lost.
pub fn log_lines_lost(lines: u64) {
    counter!(LOG_LINES_LOST).increment(lines);
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

/// How many calls of `task` this host runs or has queued.
pub fn task_load(task: &Arc<str>, load: usize) {
    gauge!(LOAD, "task" => Arc::clone(task)).set(load as f64);
}

/// The memory held for `action`, in bytes.
pub fn held(action: &Arc<str>) -> Gauge {
    gauge!(HELD_BYTES, "action" => Arc::clone(action))
}

/// The memory held for the clients of the control API, in bytes.
pub fn held_for_clients() -> Gauge {
    gauge!(HELD_FOR_CLIENTS)
}

/// The memory held for all actions and clients together, in bytes.
pub fn held_for_all() -> Gauge {
    gauge!(HELD_FOR_ALL)
}

/// The threads on which calls of `action` block.
pub fn blocking_threads(action: &Arc<str>) -> Gauge {
    gauge!(BLOCKING_THREADS, "action" => Arc::clone(action))
}

/// A call of `task` to this host has ended; `outcome` is one word.
pub fn task_called(task: &Arc<str>, outcome: &'static str) {
    counter!(CALLS, "task" => Arc::clone(task), "outcome" => outcome).increment(1);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    const OPERATIONS: &str = include_str!("../../../docs/operations.md");

    /// The metrics that a text names, without the suffixes that Prometheus adds for histograms.
    fn named(text: &str) -> BTreeSet<&str> {
        let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
        let words = text.match_indices("soloist_").map(|(at, _)| {
            let word = &text[at..];
            &word[..word.find(|c| !is_part(c)).unwrap_or(word.len())]
        });
        words
            .map(|word| {
                let ends = ["_bucket", "_sum", "_count"];
                ends.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word)
            })
            .collect()
    }

    #[test]
    fn what_is_measured_is_documented() {
        let documented = named(OPERATIONS);
        let (names, _) = include_str!("measure.rs").split_once("#[cfg(test)]").unwrap();
        for name in named(names) {
            assert!(documented.contains(name), "docs/operations.md does not name {name}");
        }
    }

    #[test]
    fn what_monitoring_asks_for_is_measured() {
        let known = include_str!("measure.rs");
        for (file, text) in [
            ("alerts.yml", include_str!("../../../examples/monitoring/alerts.yml")),
            ("alerts-test.yml", include_str!("../../../examples/monitoring/alerts-test.yml")),
            ("dashboard.json", include_str!("../../../examples/monitoring/dashboard.json")),
            ("operations.md", OPERATIONS),
        ] {
            let named = named(text);
            assert!(named.len() > 5, "{file} names {named:?}");
            for name in named {
                assert!(
                    known.contains(&format!("= \"{name}\";")),
                    "{file}: nothing measures {name}"
                );
            }
        }
    }
}
