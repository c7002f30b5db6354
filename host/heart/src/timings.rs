//! The durations of leadership, and the relations between them.
//!
//! ```text
//!  renewal sent                       deadline             hard deadline   the store lets go
//!      │◄────── ttl − margin ────────────►│◄── stop timeout ──►│◄── drift, slack ──►│
//!      │  renew  renew  renew  renew      │  graceless stop   │   process aborts   │
//! ```

use std::time::Duration;

/// The durations that leadership depends on. They are fixed when a host starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timings {
    /// How long a session lives in the store after a renewal.
    pub ttl: Duration,
    /// The interval between two renewals.
    pub renew_every: Duration,
    /// How long to wait for the answer to a renewal, or to any other bounded call to the store.
    pub request_timeout: Duration,
    /// The pause between a failed call and the next attempt.
    pub retry: Duration,
    /// How long before the end of the store's TTL a term must have ended here.
    pub margin: Duration,
    /// How long an immediate stop may take; this is part of the margin.
    pub stop_timeout: Duration,
    /// How long a stop may take while the lease still holds. A slow stop then costs time, not
    /// safety.
    pub stop_limit: Duration,
    /// How long a graceful stop waits for work in flight.
    pub drain_timeout: Duration,
    /// How long a host waits before it stands again after its action failed. It doubles with each
    /// failure.
    pub cooldown: Duration,
    /// The longest such pause. It is also how long a host stands back for others that may do
    /// better.
    pub cooldown_max: Duration,
}

impl Timings {
    /// The inverse of the rate at which two clocks may drift apart: 2 %, far more than a quartz (50
    /// ppm) or NTP slewing (500 ppm) causes.
    pub const DRIFT_DIVISOR: u32 = 50;
    /// How long the scheduler may delay the beginning of a stop.
    const SLACK: Duration = Duration::from_millis(100);

    /// Derives all durations from a TTL, a stop timeout and a drain time.
    #[must_use]
    pub fn derive(ttl: Duration, stop_timeout: Duration, drain_timeout: Duration) -> Self {
        let renew_every = ttl / 5;
        Self {
            ttl,
            renew_every,
            request_timeout: renew_every,
            retry: renew_every / 2,
            margin: stop_timeout.saturating_add(ttl / Self::DRIFT_DIVISOR + Self::SLACK),
            stop_timeout,
            stop_limit: stop_timeout.saturating_mul(10),
            drain_timeout,
            cooldown: Duration::from_secs(1),
            cooldown_max: Duration::from_secs(30),
        }
    }

    /// The same durations with another longest pause.
    #[must_use]
    pub fn with_cooldown(self, longest: Duration) -> Self {
        let cooldown = self.cooldown.min(longest);
        Self { cooldown, cooldown_max: longest, ..self }
    }

    /// Whether a term survives one lost renewal: the next one, sent after the lost one has timed
    /// out and a pause has passed, must still arrive before the deadline.
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
