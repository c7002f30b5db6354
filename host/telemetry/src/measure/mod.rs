//! The metrics of a host, for Prometheus.
//!
//! Other modules call one function per measurement and need not know the names. Metrics on the path
//! of every request use handles that were looked up beforehand ([`RequestMetrics`],
//! [`GuestMemoryGauge`]). Gauges that show a current state (who leads, how many instances exist)
//! are set when the metrics are rendered.

mod guests;
mod jobs;
mod leadership;
mod logs;
mod memory;
mod requests;
mod tasks;

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

pub use self::{
    guests::{
        GuestMemoryGauge, blocking_threads, instances, refused_actions, restarted, timed_out,
        trapped,
    },
    jobs::{job_ended, job_missed},
    leadership::{
        clock_ahead, group, leaderless, renewed, store_error, taken_over, teardown, term_ended,
    },
    logs::{lines_dropped, log_lines_lost},
    memory::{held, held_for_all, held_for_clients},
    requests::{
        RequestMetrics, gate_refused, relay_failed, relay_forwarded, relay_held, relay_repeated,
    },
    tasks::{call_enqueued, queued_call_attempted, task_called, task_load},
};

/// The buckets of all histograms, by subject.
const BUCKETS: [&[(&str, &[f64])]; 3] = [leadership::BUCKETS, requests::BUCKETS, jobs::BUCKETS];
/// Describe all metrics, by subject.
const DESCRIPTIONS: [fn(); 7] = [
    guests::describe,
    jobs::describe,
    leadership::describe,
    logs::describe,
    memory::describe,
    requests::describe,
    tasks::describe,
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
        let mut builder = PrometheusBuilder::new();
        for (name, buckets) in BUCKETS.into_iter().flatten() {
            builder = builder.set_buckets_for_metric(Matcher::Full((*name).to_owned()), buckets)?;
        }
        let handle = builder.install_recorder()?;
        DESCRIPTIONS.into_iter().for_each(|describe| describe());
        leadership::start();
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    const OPERATIONS: &str = include_str!("../../../../docs/operations.md");

    /// All files of this module that define metrics.
    const SOURCES: [&str; 7] = [
        include_str!("guests.rs"),
        include_str!("jobs.rs"),
        include_str!("leadership.rs"),
        include_str!("logs.rs"),
        include_str!("memory.rs"),
        include_str!("requests.rs"),
        include_str!("tasks.rs"),
    ];

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
        for name in SOURCES.into_iter().flat_map(named) {
            assert!(documented.contains(name), "docs/operations.md does not name {name}");
        }
    }

    #[test]
    fn what_monitoring_asks_for_is_measured() {
        for (file, text) in [
            ("alerts.yml", include_str!("../../../../examples/monitoring/alerts.yml")),
            ("alerts-test.yml", include_str!("../../../../examples/monitoring/alerts-test.yml")),
            ("dashboard.json", include_str!("../../../../examples/monitoring/dashboard.json")),
            ("operations.md", OPERATIONS),
        ] {
            let named = named(text);
            assert!(named.len() > 5, "{file} names {named:?}");
            for name in named {
                let definition = format!("= \"{name}\";");
                let is_measured = SOURCES.iter().any(|source| source.contains(&definition));
                assert!(is_measured, "{file}: nothing measures {name}");
            }
        }
    }
}
