//! Warnings about entries among soloist's keys that soloist did not write. They are ignored. Each
//! is reported once and then with a count, since every read of the store comes across it again.

use std::{fmt::Display, sync::LazyLock};

use soloist_telemetry::log_throttle::LogThrottle;

static TOLD: LazyLock<LogThrottle> = LazyLock::new(LogThrottle::default);

/// Warns that the entry `name` is not a valid `what`, for the reason `why`.
pub(super) fn warn_ignored(what: &str, name: &str, why: impl Display) {
    TOLD.report_text(name, |repeats| {
        tracing::warn!(
            event = "left-out",
            name,
            "{name} is not a {what} that soloist wrote, and is ignored ({why}): remove it{repeats}"
        );
    });
}
