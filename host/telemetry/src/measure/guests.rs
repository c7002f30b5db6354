//! Plugins and their instances.

use std::{fmt, sync::Arc};

use metrics::{Gauge, Unit, counter, gauge};

use super::metric::Metric;

const INSTANCES: &str = "soloist_instances";
const REFUSED: &str = "soloist_refused_actions";
const TRAPS: &str = "soloist_traps_total";
const TIMED_OUT: &str = "soloist_timeouts_total";
const RESTARTS: &str = "soloist_restarts_total";
const GUEST_MEMORY: &str = "soloist_guest_memory_bytes";
const BLOCKING_THREADS: &str = "soloist_blocking_threads";

/// The metrics of this subject.
pub(super) const METRICS: &[Metric] = &[
    Metric::gauge(INSTANCES, &[], "Live instances of plugins."),
    Metric::gauge(
        REFUSED,
        &[],
        "Plugins and settings that this host refuses; its status says why.",
    ),
    Metric::counter(TRAPS, &["action"], "Instances that ended by a trap."),
    Metric::counter(
        TIMED_OUT,
        &["action"],
        "Instances that the host ended because they took too long: for a request, or to yield.",
    ),
    Metric::counter(RESTARTS, &["action"], "Restarts of a service that had ended."),
    Metric::gauge(GUEST_MEMORY, &["action"], "Linear memory of the action's live instances.")
        .in_unit(Unit::Bytes),
    Metric::gauge(
        BLOCKING_THREADS,
        &["action"],
        "Threads on which calls of the action's guests wait for files or a name service; 32 at most. If they stay, files hang, and the log says `files-hang`.",
    ),
];

/// Makes the counters of `action`, so that they start at 0.
pub(super) fn start(action: &Arc<str>, is_service: bool) {
    counter!(TRAPS, "action" => Arc::clone(action)).increment(0);
    counter!(TIMED_OUT, "action" => Arc::clone(action)).increment(0);
    if is_service {
        counter!(RESTARTS, "action" => Arc::clone(action)).increment(0);
    }
}

/// How many plugins and settings this host refuses.
pub fn refused_actions(count: usize) {
    gauge!(REFUSED).set(count as f64);
}

/// How many instances exist.
pub fn instances(count: usize) {
    gauge!(INSTANCES).set(count as f64);
}

/// An instance of `action` has trapped.
pub fn trapped(action: &Arc<str>) {
    counter!(TRAPS, "action" => Arc::clone(action)).increment(1);
}

/// An instance of `action` has exceeded its timeout.
pub fn timed_out(action: &Arc<str>) {
    counter!(TIMED_OUT, "action" => Arc::clone(action)).increment(1);
}

/// The service of `action` has ended and is started again.
pub fn restarted(action: &Arc<str>) {
    counter!(RESTARTS, "action" => Arc::clone(action)).increment(1);
}

/// The threads on which calls of `action` block.
pub fn blocking_threads(action: &Arc<str>) -> Gauge {
    gauge!(BLOCKING_THREADS, "action" => Arc::clone(action))
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
