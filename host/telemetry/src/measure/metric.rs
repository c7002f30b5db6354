//! A metric: what is known of it beforehand.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

/// A metric of a host, as the documentation and Prometheus see it.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: MetricKind,
    /// What its values are measured in; `None` for numbers of things.
    pub unit: Option<Unit>,
    /// The labels of each of its series.
    pub labels: &'static [&'static str],
    /// What it measures, in one sentence.
    pub help: &'static str,
}

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MetricKind {
    /// A number that only grows, from the start of the process.
    Counter,
    /// A number that grows and shrinks.
    Gauge,
    /// Values in buckets with these upper bounds.
    Histogram(&'static [f64]),
}

impl Metric {
    pub(super) const fn counter(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, kind: MetricKind::Counter, unit: None, labels, help }
    }

    pub(super) const fn gauge(
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self { name, kind: MetricKind::Gauge, unit: None, labels, help }
    }

    /// A histogram of durations in seconds.
    pub(super) const fn durations(
        name: &'static str,
        buckets: &'static [f64],
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        let kind = MetricKind::Histogram(buckets);
        Self { name, kind, unit: Some(Unit::Seconds), labels, help }
    }

    pub(super) const fn in_unit(self, unit: Unit) -> Self {
        Self { unit: Some(unit), ..self }
    }

    /// Tells the installed recorder about this metric.
    pub(super) fn describe(&self) {
        let Self { name, unit, help, .. } = *self;
        let unit = unit.unwrap_or(Unit::Count);
        match self.kind {
            MetricKind::Counter => describe_counter!(name, unit, help),
            MetricKind::Gauge => describe_gauge!(name, unit, help),
            MetricKind::Histogram(_) => describe_histogram!(name, unit, help),
        }
    }
}
