//! Whether schedules may go by a wall clock.

use chrono::{DateTime, Utc};

use super::{BootTime, Comparison, Verdict};

/// Whether what goes by a clock, which jobs do, may go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leave {
    /// Go on.
    Given,
    /// Until clocks are compared, nobody knows.
    Unknown,
    /// The clock is wrong, as this says.
    Refused(Verdict),
}

impl Leave {
    /// What follows from the latest comparison of a clock that shows `wall` at `boot`.
    #[must_use]
    pub fn by(comparison: Option<&Comparison>, wall: DateTime<Utc>, boot: BootTime) -> Self {
        match comparison.filter(|comparison| comparison.holds(wall, boot)) {
            None => Self::Unknown,
            Some(comparison) => match comparison.verdict() {
                wrong @ Verdict::Wrong(_) => Self::Refused(wrong.clone()),
                _ => Self::Given,
            },
        }
    }

    /// What is wrong, if that is known.
    #[must_use]
    pub fn refusal(&self) -> Option<&Verdict> {
        match self {
            Self::Refused(verdict) => Some(verdict),
            Self::Given | Self::Unknown => None,
        }
    }
}
