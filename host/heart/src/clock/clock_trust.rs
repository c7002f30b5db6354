//! Whether schedules may rely on this host's wall clock.

use chrono::{DateTime, Utc};

use super::{BootTime, ClockComparison, ClockVerdict};

/// Whether work that depends on the wall clock, such as jobs, may continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClockTrust {
    /// The clock can be relied on.
    Trusted,
    /// The clocks have not been compared yet.
    Unknown,
    /// The clock is wrong, as this verdict says.
    Wrong(ClockVerdict),
}

impl ClockTrust {
    /// Derives the trust from the latest comparison, for a clock that shows `wall` at `boot`.
    #[must_use]
    pub fn of(comparison: Option<&ClockComparison>, wall: DateTime<Utc>, boot: BootTime) -> Self {
        match comparison.filter(|comparison| comparison.holds(wall, boot)) {
            None => Self::Unknown,
            Some(comparison) => match comparison.verdict() {
                wrong @ ClockVerdict::Wrong(_) => Self::Wrong(wrong.clone()),
                _ => Self::Trusted,
            },
        }
    }

    /// The verdict, if the clock is known to be wrong.
    #[must_use]
    pub fn wrong_clock(&self) -> Option<&ClockVerdict> {
        match self {
            Self::Wrong(verdict) => Some(verdict),
            Self::Trusted | Self::Unknown => None,
        }
    }
}
