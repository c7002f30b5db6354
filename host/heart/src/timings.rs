//! The durations of leadership, and the relations between them.
//!
//! ```text
//!  renewal sent                       deadline             hard deadline   the store lets go
//!      │◄────── ttl − margin ────────────►│◄── stop budget ──►│◄── drift, slack ──►│
//!      │  renew  renew  renew  renew      │  graceless stop   │   process aborts   │
//! ```

use std::time::Duration;

/// The durations that leadership is made of. They are fixed when a host starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// How long a session lives in the store after a renewal.
    pub ttl: Duration,
    /// From one renewal to the next.
    pub renew_every: Duration,
    /// A renewal, or another bounded call to the store, without an answer is given up after this long.
    pub request_timeout: Duration,
    /// From a failed call to the next try.
    pub retry: Duration,
    /// How long before the store's TTL ends a term must end here.
    pub margin: Duration,
    /// How long a graceless stop may take; part of the margin.
    pub stop_budget: Duration,
    /// How long a stop may take while the lease holds: it costs time, not safety.
    pub stop_limit: Duration,
    /// How long a graceful stop waits for what is in flight.
    pub drain: Duration,
    /// How long a host does not stand again after its action failed, at first; it doubles.
    pub cool_down: Duration,
    /// The longest such pause, and how long it stands back for others who can do better.
    pub cool_down_max: Duration,
}

impl Timings {
    /// The rate by which two clocks may drift apart: 2 %, far more than a
    /// quartz (50 ppm) or NTP's slewing (500 ppm) make.
    const DRIFT_DIVISOR: u32 = 50;
    /// What the scheduler may take before the stop begins.
    const SLACK: Duration = Duration::from_millis(100);

    /// The timings that follow from a TTL and a stop budget.
    #[must_use]
    pub fn derive(ttl: Duration, stop_budget: Duration, drain: Duration) -> Self {
        let renew_every = ttl / 5;
        Self {
            ttl,
            renew_every,
            request_timeout: renew_every,
            retry: renew_every / 2,
            margin: stop_budget.saturating_add(ttl / Self::DRIFT_DIVISOR + Self::SLACK),
            stop_budget,
            stop_limit: stop_budget.saturating_mul(10),
            drain,
            cool_down: Duration::from_secs(1),
            cool_down_max: Duration::from_secs(30),
        }
    }

    /// The same with another longest pause.
    #[must_use]
    pub fn with_cool_down(self, longest: Duration) -> Self {
        let cool_down = self.cool_down.min(longest);
        Self { cool_down, cool_down_max: longest, ..self }
    }

    /// Whether a term survives one lost renewal: the next one, sent when the
    /// lost one was given up and a pause is over, still comes before the deadline.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        let before_the_next = self.renew_every + self.request_timeout + self.retry;
        self.ttl > self.margin.saturating_add(before_the_next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn derive(ttl_ms: u64, stop_ms: u64) -> Timings {
        let drain = Duration::from_secs(10);
        Timings::derive(Duration::from_millis(ttl_ms), Duration::from_millis(stop_ms), drain)
    }

    #[test]
    fn the_defaults_are_possible() {
        assert!(derive(5000, 500).is_possible());
    }

    #[test]
    fn a_term_survives_one_lost_renewal_or_is_refused() {
        assert!(derive(2000, 500).is_possible());
        assert!(!derive(1000, 500).is_possible());
        assert!(!derive(1000, 450).is_possible());
        assert!(derive(1000, 350).is_possible());
    }
}
