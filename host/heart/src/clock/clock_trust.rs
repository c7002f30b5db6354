//! Whether schedules may go by a wall clock.

use chrono::{DateTime, Utc};

use super::{BootTime, ClockComparison, ClockVerdict};

/// Whether what goes by a clock, which jobs do, may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClockTrust {
    /// Go on.
    Trusted,
    /// Until clocks are compared, nobody knows.
    Unknown,
    /// The clock is wrong, as this says.
    Wrong(ClockVerdict),
}

impl ClockTrust {
    /// What follows from the latest comparison of a clock that shows `wall` at `boot`.
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

    /// What is wrong, if that is known.
    #[must_use]
    pub fn wrong_clock(&self) -> Option<&ClockVerdict> {
        match self {
            Self::Wrong(verdict) => Some(verdict),
            Self::Trusted | Self::Unknown => None,
        }
    }
}
