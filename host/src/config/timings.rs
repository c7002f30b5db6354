//! Every duration, and the relations between them.
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
    /// How long a graceful stop waits for what is in flight.
    pub drain: Duration,
    /// How long a host does not stand again after its action failed, at first; it doubles.
    pub cool_down: Duration,
    /// The longest such pause.
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
            margin: stop_budget + ttl / Self::DRIFT_DIVISOR + Self::SLACK,
            stop_budget,
            drain,
            cool_down: Duration::from_secs(1),
            cool_down_max: Duration::from_secs(30),
        }
    }
}
