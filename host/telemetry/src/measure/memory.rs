//! Memory that the host holds for others.

use std::sync::Arc;

use metrics::{Gauge, Unit, describe_gauge, gauge};

const HELD_BYTES: &str = "soloist_held_bytes";
const HELD_FOR_CLIENTS: &str = "soloist_held_for_clients_bytes";
const HELD_FOR_ALL: &str = "soloist_held_for_all_bytes";

/// Describes each metric.
pub(super) fn describe() {
    describe_gauge!(
        HELD_BYTES,
        Unit::Bytes,
        "What this host holds in memory for an action: calls of tasks, state, bodies, requests"
    );
    describe_gauge!(
        HELD_FOR_CLIENTS,
        Unit::Bytes,
        "What this host holds in memory for the clients of its control API: bodies of requests"
    );
    describe_gauge!(
        HELD_FOR_ALL,
        Unit::Bytes,
        "What this host holds in memory for all actions and clients together"
    );
}

/// The memory held for `action`, in bytes.
pub fn held(action: &Arc<str>) -> Gauge {
    gauge!(HELD_BYTES, "action" => Arc::clone(action))
}

/// The memory held for the clients of the control API, in bytes.
pub fn held_for_clients() -> Gauge {
    gauge!(HELD_FOR_CLIENTS)
}

/// The memory held for all actions and clients together, in bytes.
pub fn held_for_all() -> Gauge {
    gauge!(HELD_FOR_ALL)
}
