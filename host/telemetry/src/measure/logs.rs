//! Log lines that were dropped or lost.

use std::sync::Arc;

use metrics::counter;

use super::metric::Metric;

const LINES_DROPPED: &str = "soloist_plugin_lines_dropped_total";
const LOG_LINES_LOST: &str = "soloist_log_lines_lost_total";

/// The metrics of this subject.
pub(super) const METRICS: &[Metric] = &[
    Metric::counter(
        LINES_DROPPED,
        &["action"],
        "Lines that the plugin printed and the log dropped because they exceeded `max_log_rate`.",
    ),
    Metric::counter(
        LOG_LINES_LOST,
        &[],
        "Lines of this host's log that were lost because nobody read them in time; 16 MiB wait at most.",
    ),
];

/// Makes the counter of the host, so that it starts at 0.
pub(super) fn start() {
    counter!(LOG_LINES_LOST).increment(0);
}

/// Makes the counter of `action`, so that it starts at 0.
pub(super) fn start_action(action: &Arc<str>) {
    counter!(LINES_DROPPED, "action" => Arc::clone(action)).increment(0);
}

/// The log of `action` has dropped this many lines beyond its rate limit.
pub fn lines_dropped(action: &Arc<str>, count: u64) {
    counter!(LINES_DROPPED, "action" => Arc::clone(action)).increment(count);
}

/// This many lines of the host's log were lost.
pub fn log_lines_lost(lines: u64) {
    counter!(LOG_LINES_LOST).increment(lines);
}
