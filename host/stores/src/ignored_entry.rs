//! What stands among soloist's keys and is not soloist's: left out, and told of once for each,
//! then with a count, since whoever reads the store meets it at every look.

use std::{fmt::Display, sync::LazyLock};

use soloist_telemetry::log_throttle::LogThrottle;

static TOLD: LazyLock<LogThrottle> = LazyLock::new(LogThrottle::default);

/// Says that what stands under `name` is not `what`, since it is as `why` says.
pub(super) fn warn_ignored(what: &str, name: &str, why: impl Display) {
    TOLD.report_text(name, |told| {
        tracing::warn!(
            event = "left-out",
            name,
            "{name} is no {what} that soloist wrote, and is left out ({why}): remove it{told}"
        );
    });
}
