//! How moments, spans and unknown values are shown.

use std::time::{Duration, SystemTime};

use owo_colors::Style;

use crate::cli::text_table::TableCell;

const UNKNOWN: &str = "–";

pub(super) fn or_unknown(text: Option<String>) -> TableCell {
    text.map_or_else(|| TableCell::new(UNKNOWN, Style::new().dimmed()), TableCell::from)
}

/// How long ago `since`, in RFC 3339, was; in its two greatest units.
pub(super) fn age(since: &str, now: SystemTime) -> Option<String> {
    let since = humantime::parse_rfc3339(since).ok()?;
    let span = now.duration_since(since).unwrap_or_default().as_secs();
    let whole = humantime::format_duration(Duration::from_secs(span)).to_string();
    Some(whole.split(' ').take(2).collect::<Vec<_>>().join(" "))
}

pub(super) fn seconds(millis: u64) -> String {
    format!("{}.{}s", millis / 1000, millis % 1000 / 100)
}

pub(super) fn good() -> Style {
    Style::new().green()
}

pub(super) fn bad() -> Style {
    Style::new().red()
}
