//! The page that lists all metrics, `docs/reference/metrics.md`.

use std::{fmt::Write, fs, path::Path};

use super::{Metric, MetricKind, SUBJECTS};

const START: &str = "\
# Metrics

<!-- Written by `cargo xtask reference`; the source is `host/telemetry/src/measure`. -->

Every host serves its metrics at `GET /metrics` of its control API, in Prometheus' text format. \
`examples/monitoring` has alerts and a dashboard for them.

A counter starts at 0 when its host starts. A series whose labels are known beforehand is there \
from the start; a status code has a series once it has been answered. A histogram `NAME` has the \
series `NAME_bucket`, `NAME_sum` and `NAME_count`.
";

/// The page, from the registrations.
fn page() -> String {
    let mut page = START.to_owned();
    for (subject, metrics) in SUBJECTS {
        let _ = write!(
            page,
            "\n## {subject}\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n"
        );
        metrics.iter().for_each(|metric| page += &row(metric));
    }
    page
}

fn row(metric: &Metric) -> String {
    let kind = match metric.kind {
        MetricKind::Counter => "counter".to_owned(),
        MetricKind::Gauge => "gauge".to_owned(),
        MetricKind::Histogram(_) => "histogram".to_owned(),
    };
    let unit = metric.unit.map_or_else(String::new, |unit| format!(", {}", unit.as_str()));
    let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
    let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
    format!("| `{}` | {kind}{unit} | {labels} | {} |\n", metric.name, metric.help)
}

/// `cargo xtask reference` runs this with `BLESS=1`, which writes the page.
#[test]
fn the_page_of_metrics_is_what_is_registered() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/metrics.md");
    let page = page();
    if std::env::var_os("BLESS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &page).unwrap();
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        written == page,
        "docs/reference/metrics.md is out of date: run `cargo xtask reference`"
    );
}
