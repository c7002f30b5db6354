//! What is shown.

use std::{collections::BTreeMap, fmt::Write};

use kit::{
    clock::wall_ms,
    html::{self, Text, span},
    state::{State, StateError},
};
use serde::Serialize;

use crate::{
    checks::{self, Check, Names},
    history::{History, Sample},
};

/// How many of the last samples are drawn.
const BARS: usize = 60;

#[derive(Debug, Serialize)]
pub(crate) struct Overview {
    checks: BTreeMap<String, Row>,
}

#[derive(Debug, Serialize)]
struct Row {
    #[serde(flatten)]
    check: Check,
    /// None before the first check.
    up: Option<bool>,
    uptime_percent: Option<f64>,
    median_ms: Option<u64>,
    samples: Vec<Sample>,
}

impl Overview {
    pub(crate) fn read(state: &State) -> Result<Self, StateError> {
        let names = Names::read(state)?;
        let keys: Vec<_> = names.checks.iter().map(|name| checks::history(name)).collect();
        let mut histories: BTreeMap<String, History> = BTreeMap::new();
        // A few at a time: the store bounds the bytes of one answer.
        for keys in keys.chunks(4) {
            histories.extend(state.read_all(keys)?);
        }
        let rows = names.checks(state)?.into_iter().map(|(name, check)| {
            let history = histories.remove(&checks::history(&name)).unwrap_or_default();
            (name, Row::of(check, history))
        });
        Ok(Self { checks: rows.collect() })
    }

    pub(crate) fn page(&self, prefix: &str) -> String {
        let prefix = Text(prefix);
        if self.checks.is_empty() {
            let body = format!(
                "<p>Nothing is checked yet. Add a URL: <code>curl -X PUT -d https://example.com \
                 http://…{prefix}/checks/example</code></p>\n"
            );
            return html::page("uptime", &body);
        }
        let mut body = String::from(
            "<table><tr><th>Check<th>Status<th>Uptime<th>Median<th>Last checks<th>Last answer\n",
        );
        let now = wall_ms();
        for (name, row) in &self.checks {
            row.draw(name, now, &mut body);
        }
        let _ = writeln!(body, "</table>\n<p><a href=\"{prefix}/api\">as JSON</a></p>");
        html::page("uptime", &body)
    }
}

impl Row {
    fn of(check: Check, history: History) -> Self {
        let history = history.of(&check.url);
        Self {
            check,
            up: history.last().map(Sample::is_up),
            uptime_percent: history.up().map(|part| part as f64 / 100.0),
            median_ms: history.median(),
            samples: history.samples.into(),
        }
    }

    fn draw(&self, name: &str, now: u64, page: &mut String) {
        let (class, word) = match self.up {
            Some(true) => ("good", "up"),
            Some(false) => ("bad", "down"),
            None => ("", "not checked yet"),
        };
        let percent = self.uptime_percent.map(|it| format!("{it:.2} %")).unwrap_or_default();
        let median = self.median_ms.map(|ms| format!("{ms} ms")).unwrap_or_default();
        let (name, url) = (Text(name), Text(&self.check.url));
        // Writing into a string does not fail.
        let _ = write!(
            page,
            "<tr><td><b>{name}</b><br><small><code>{url}</code></small>\
             <td class=\"{class}\">{word}<td>{percent}<td>{median}<td>"
        );
        self.draw_bars(page);
        let last = self.samples.last().map(|sample| last(sample, now)).unwrap_or_default();
        let _ = writeln!(page, "<td><small>{}</small>", Text(last));
    }

    /// A bar for each sample, as high as it took long.
    fn draw_bars(&self, page: &mut String) {
        let shown = &self.samples[self.samples.len().saturating_sub(BARS)..];
        let most = shown.iter().map(|sample| sample.took).max().unwrap_or_default().max(1);
        page.push_str("<div class=\"bars\">");
        for sample in shown {
            let _ = if sample.is_up() {
                let height = sample.took * 100 / most;
                write!(page, "<i style=\"height:{height}%\" title=\"{} ms\"></i>", sample.took)
            } else {
                write!(page, "<i class=\"bad\" title=\"{}\"></i>", Text(outcome(sample)))
            };
        }
        page.push_str("</div>");
    }
}

fn outcome(sample: &Sample) -> String {
    match (sample.status, &sample.error) {
        (Some(status), _) => status.to_string(),
        (None, Some(error)) => error.clone(),
        (None, None) => "no answer".to_owned(),
    }
}

fn last(sample: &Sample, now: u64) -> String {
    let ago = span(now.saturating_sub(sample.at));
    format!("{} after {} ms, {ago} ago", outcome(sample), sample.took)
}
