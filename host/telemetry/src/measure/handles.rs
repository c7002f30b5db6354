//! What is measured so often that it must have been looked up before.

use std::{fmt, sync::Arc, time::Duration};

use http::StatusCode;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::{GUEST_MEMORY, HTTP_REQUESTS, HTTP_SECONDS};

/// The classes of answers; whatever is in none of them is the fault of a guest.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// The requests that an action answers.
pub struct RequestMetrics {
    classes: [Counter; CLASSES.len()],
    seconds: Histogram,
}

impl RequestMetrics {
    /// Those of `action`.
    pub fn of(action: &Arc<str>) -> Self {
        let class =
            |class| counter!(HTTP_REQUESTS, "action" => Arc::clone(action), "code" => class);
        let seconds = histogram!(HTTP_SECONDS, "action" => Arc::clone(action));
        Self { classes: CLASSES.map(class), seconds }
    }

    /// One was answered in this way.
    pub fn answered(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(2);
        let [.., errors] = &self.classes;
        self.classes.get(class).unwrap_or(errors).increment(1);
        self.seconds.record(took);
    }
}

/// The memory that the instances of an action have, all together.
#[derive(Clone)]
pub struct GuestMemoryGauge(Gauge);

impl GuestMemoryGauge {
    /// That of `action`.
    pub fn of(action: &Arc<str>) -> Self {
        Self(gauge!(GUEST_MEMORY, "action" => Arc::clone(action)))
    }

    /// An instance has so many bytes more.
    pub fn grow(&self, bytes: usize) {
        self.0.increment(bytes as f64);
    }

    /// One that had so many bytes has ended.
    pub fn shrink(&self, bytes: usize) {
        self.0.decrement(bytes as f64);
    }
}

impl fmt::Debug for GuestMemoryGauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuestMemory")
    }
}
