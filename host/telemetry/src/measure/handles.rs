//! Metrics that are recorded so often that their handles are looked up beforehand.

use std::{fmt, sync::Arc, time::Duration};

use http::StatusCode;
use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

use super::{GUEST_MEMORY, HTTP_REQUESTS, HTTP_SECONDS};

/// The classes of status codes. A status outside of all of them is a fault of a guest.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// The requests that an action answers.
pub struct RequestMetrics {
    classes: [Counter; CLASSES.len()],
    seconds: Histogram,
}

impl RequestMetrics {
    /// The metrics of `action`.
    pub fn of(action: &Arc<str>) -> Self {
        let class =
            |class| counter!(HTTP_REQUESTS, "action" => Arc::clone(action), "code" => class);
        let seconds = histogram!(HTTP_SECONDS, "action" => Arc::clone(action));
        Self { classes: CLASSES.map(class), seconds }
    }

    /// Records a response with this status.
    pub fn answered(&self, status: StatusCode, took: Duration) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(2);
        let [.., errors] = &self.classes;
        self.classes.get(class).unwrap_or(errors).increment(1);
        self.seconds.record(took);
    }
}

/// The linear memory of all instances of an action.
#[derive(Clone)]
pub struct GuestMemoryGauge(Gauge);

impl GuestMemoryGauge {
    /// The gauge of `action`.
    pub fn of(action: &Arc<str>) -> Self {
        Self(gauge!(GUEST_MEMORY, "action" => Arc::clone(action)))
    }

    /// An instance has got this many bytes more.
    pub fn grow(&self, bytes: usize) {
        self.0.increment(bytes as f64);
    }

    /// An instance with this many bytes has ended.
    pub fn shrink(&self, bytes: usize) {
        self.0.decrement(bytes as f64);
    }
}

impl fmt::Debug for GuestMemoryGauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GuestMemory")
    }
}
