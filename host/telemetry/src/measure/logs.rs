//! Log lines that were dropped or lost.

use std::sync::Arc;

use metrics::{counter, describe_counter};

const LINES_DROPPED: &str = "soloist_plugin_lines_dropped_total";
const LOG_LINES_LOST: &str = "soloist_log_lines_lost_total";

/// Describes each metric.
pub(super) fn describe() {
    describe_counter!(
        LINES_DROPPED,
        "Lines that plugins printed and the log did not take, since they were too many"
    );
    describe_counter!(LOG_LINES_LOST, "Lines of this host's log that nobody read in time");
}

/// The log of `action` has dropped this many lines beyond its rate limit.
pub fn lines_dropped(action: &Arc<str>, count: u64) {
    counter!(LINES_DROPPED, "action" => Arc::clone(action)).increment(count);
}

/// This many lines of the host's log were lost.
pub fn log_lines_lost(lines: u64) {
    counter!(LOG_LINES_LOST).increment(lines);
}
