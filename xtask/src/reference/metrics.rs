//! `docs/reference/metrics.md`, from the registrations of all metrics.

use anyhow::Result;

use super::bless;

pub(super) fn write() -> Result<()> {
    bless("soloist-telemetry", "the_page_of_metrics_is_what_is_registered")
}
