//! Plugins and their instances.

use std::{fmt, sync::Arc};

use metrics::{Gauge, Unit, counter, describe_counter, describe_gauge, gauge};

const INSTANCES: &str = "soloist_instances";
const REFUSED: &str = "soloist_refused_actions";
const TRAPS: &str = "soloist_traps_total";
const TIMED_OUT: &str = "soloist_timeouts_total";
const RESTARTS: &str = "soloist_restarts_total";
const GUEST_MEMORY: &str = "soloist_guest_memory_bytes";
const BLOCKING_THREADS: &str = "soloist_blocking_threads";

/// Describes each metric.
pub(super) fn describe() {
    describe_gauge!(INSTANCES, "Instances of plugins that are alive");
    describe_gauge!(
        REFUSED,
        "Plugins and settings that this host does not take: its status says why"
    );
    describe_counter!(TRAPS, "Instances that have trapped");
    describe_counter!(TIMED_OUT, "Instances that were ended since they took too long");
    describe_counter!(RESTARTS, "How often a service was started again, since it had ended");
    describe_gauge!(
        GUEST_MEMORY,
        Unit::Bytes,
        "The linear memory of an action's instances that are alive"
    );
    describe_gauge!(
        BLOCKING_THREADS,
        "Threads on which calls of an action's guests block, on files or a name service"
    );
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
