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
mod metric;
#[cfg(test)]
mod reference;
mod requests;
mod tasks;

use std::{sync::Arc, time::Duration};

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;

pub use self::{
    guests::{
        GuestMemoryGauge, blocking_threads, instances, refused_actions, restarted, timed_out,
        trapped,
    },
    jobs::{job_ended, job_interrupted, job_missed, job_succeeded},
    leadership::{
        clock_ahead, group, leaderless, renewed, store_call, store_changed, store_error,
        term_ended, term_started, term_stopped,
    },
    logs::{lines_dropped, log_lines_lost},
    memory::{held, held_for_all, held_for_clients, state_size},
    metric::{Metric, MetricKind},
    requests::{
        RequestMetrics, gate_refused, relay_failed, relay_forwarded, relay_held, relay_repeated,
    },
    tasks::{call_enqueued, queued_call_attempted, task_called, task_calls_in_flight},
};

/// All metrics of a host, by subject.
pub const SUBJECTS: [(&str, &[Metric]); 7] = [
    ("Leadership, lease and store", leadership::METRICS),
    ("Plugins", guests::METRICS),
    ("Requests", requests::METRICS),
    ("Jobs", jobs::METRICS),
    ("Tasks", tasks::METRICS),
    ("Memory", memory::METRICS),
    ("Logs", logs::METRICS),
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
        let handle = builder()?.install_recorder()?;
        all().for_each(Metric::describe);
        leadership::start();
        logs::start();
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

fn all() -> impl Iterator<Item = &'static Metric> {
    SUBJECTS.iter().flat_map(|(_, metrics)| *metrics)
}

fn builder() -> Result<PrometheusBuilder, BuildError> {
    let mut builder = PrometheusBuilder::new();
    for metric in all() {
        if let MetricKind::Histogram(buckets) = metric.kind {
            let name = Matcher::Full(metric.name.to_owned());
            builder = builder.set_buckets_for_metric(name, buckets)?;
        }
    }
    Ok(builder)
}

/// Makes the counters of a group, so that they start at 0; `causes` are all that can end a term.
pub fn start_group(group: &str, causes: &[&'static str]) {
    leadership::start_group(group, causes);
}

/// Makes the counters that every action has, so that they start at 0.
pub fn start_action(action: &Arc<str>, is_service: bool) {
    guests::start(action, is_service);
    logs::start_action(action);
}

/// Makes the counters of an action that answers requests; `refusals` are the reasons of the gate.
pub fn start_http(action: &Arc<str>, refusals: &[&'static str]) {
    requests::start(action, refusals);
}

/// Makes the counters of a job; `outcomes` are those of its runs.
pub fn start_job(action: &Arc<str>, outcomes: &[&'static str]) {
    jobs::start(action, outcomes);
}

/// Makes the counters of a task, with the outcomes of its calls and of attempts at queued ones.
pub fn start_task(task: &Arc<str>, calls: &[&'static str], attempts: &[&'static str]) {
    tasks::start(task, calls, attempts);
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use chrono::TimeDelta;
    use http::StatusCode;

    use super::*;

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

    /// Measures everything once.
    fn measure_everything() {
        let (it, second) = (&Arc::from("it"), Duration::from_secs(1));
        leadership::start();
        logs::start();
        start_group("main", &["asked"]);
        start_action(it, true);
        start_http(it, &["closed"]);
        start_job(it, &["done"]);
        start_task(it, &["done"], &["again"]);
        group("main", true, Some(7));
        leaderless("main", second);
        term_started("main", second);
        term_stopped("main", second);
        renewed(second, second);
        clock_ahead(TimeDelta::seconds(1));
        instances(1);
        refused_actions(1);
        GuestMemoryGauge::of(it).grow(1);
        blocking_threads(it).set(1);
        state_size(it, 1);
        for account in [held(it), held_for_all(), held_for_clients()] {
            account.set(1);
        }
        let requests = RequestMetrics::of(it);
        for code in [204, 404, 999] {
            requests.answered(StatusCode::from_u16(code).unwrap(), second);
        }
        job_ended(it, "done", second);
        job_succeeded(it, chrono::DateTime::UNIX_EPOCH + second);
        task_calls_in_flight(it, 1);
    }

    /// The labels of each metric in Prometheus' text format.
    fn labels(text: &str) -> BTreeMap<String, BTreeSet<String>> {
        let mut found = BTreeMap::<_, BTreeSet<_>>::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
            let stem = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
            let labels = found.entry(stem.unwrap_or(name).to_owned()).or_default();
            let pairs = rest.split(['{', ',']).filter_map(|part| part.split_once('='));
            labels.extend(pairs.map(|(label, _)| label.to_owned()).filter(|label| label != "le"));
        }
        found
    }

    #[test]
    fn what_is_registered_is_measured_with_its_labels() {
        let recorder = builder().unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            all().for_each(Metric::describe);
            measure_everything();
        });
        let text = handle.render();
        let registered = all().map(|metric| {
            let labels = metric.labels.iter().map(|label| (*label).to_owned()).collect();
            (metric.name.to_owned(), labels)
        });
        assert_eq!(labels(&text), registered.collect(), "{text}");
        for line in [
            "soloist_http_requests_total{action=\"it\",code=\"200\"} 0",
            "soloist_http_requests_total{action=\"it\",code=\"404\"} 1",
            "soloist_http_requests_total{action=\"it\",code=\"other\"} 1",
            "soloist_job_last_success_timestamp_seconds{action=\"it\"} 1",
        ] {
            assert!(text.contains(&format!("{line}\n")), "no {line} in {text}");
        }
    }

    #[test]
    fn each_alert_has_its_section_in_the_runbook() {
        let alerts = include_str!("../../../../examples/monitoring/alerts.yml");
        let runbook = include_str!("../../../../docs/runbook.md");
        let names: Vec<_> =
            alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
        assert!(names.len() > 10, "{names:?}");
        for name in &names {
            assert!(runbook.contains(&format!("\n## {name}\n")), "no section for {name}");
            let link = format!("runbook_url: docs/runbook.md#{}\n", name.to_lowercase());
            assert!(alerts.contains(&link), "{name} has no runbook_url");
        }
        assert_eq!(runbook.matches("\n## Soloist").count(), names.len(), "of alerts that are gone");
    }

    #[test]
    fn what_monitoring_asks_for_is_measured() {
        let measured: BTreeSet<_> = all().map(|metric| metric.name).collect();
        for (file, text, least) in [
            ("alerts.yml", include_str!("../../../../examples/monitoring/alerts.yml"), 5),
            ("alerts-test.yml", include_str!("../../../../examples/monitoring/alerts-test.yml"), 5),
            ("dashboard.json", include_str!("../../../../examples/monitoring/dashboard.json"), 5),
            ("operations.md", include_str!("../../../../docs/operations.md"), 1),
            ("runbook.md", include_str!("../../../../docs/runbook.md"), 3),
        ] {
            let named = named(text);
            assert!(named.len() >= least, "{file} names {named:?}");
            for name in named {
                assert!(measured.contains(name), "{file}: nothing measures {name}");
            }
        }
    }
}
