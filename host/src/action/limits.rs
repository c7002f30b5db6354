//! The durations and numbers that actions are held to and that are not settings.

use std::time::Duration;

/// How long a request waits for its turn before it is refused.
pub(super) const TURN_TIMEOUT: Duration = Duration::from_secs(1);
/// How many requests an instance of WASI 0.3 answers at once. For guests that wait for something, a
/// higher number shares the cost of an instance; in guests that compute, each request waits for all
/// others.
pub(super) const REQUESTS_AT_ONCE: usize = 16;

/// How long a new version of a plugin may take to start before it is refused.
pub(super) const START_TIMEOUT: Duration = Duration::from_secs(5);

/// How many headers a response may have. Some clients accept fewer: many stop at a hundred.
pub(super) const RESPONSE_HEADERS: usize = 200;

/// How long something that has failed for good is left alone: an action that is parked, or a new
/// version without a predecessor.
pub(crate) const FAILED_AGAIN: Duration = Duration::from_secs(300);

/// The pause before a service is restarted for the first time; it doubles with each restart.
pub(super) const RESTART_PAUSE: Duration = Duration::from_secs(1);
/// A version on trial that has run for this long counts as stable.
pub(super) const STABLE_RUN: Duration = Duration::from_secs(10);
