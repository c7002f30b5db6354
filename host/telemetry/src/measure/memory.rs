//! Memory that the host holds for others, and state that the store holds for actions.

use std::sync::Arc;

use metrics::{Gauge, Unit, gauge};

use super::metric::Metric;

const HELD_BYTES: &str = "soloist_held_bytes";
const STATE: &str = "soloist_state_bytes";
const HELD_FOR_CLIENTS: &str = "soloist_held_for_clients_bytes";
const HELD_FOR_ALL: &str = "soloist_held_for_all_bytes";

/// The metrics of this subject.
pub(super) const METRICS: &[Metric] = &[
    Metric::gauge(
        HELD_BYTES,
        &["action"],
        "Memory that this host holds for an action: calls of tasks and their results, state in transit, bodies, requests.",
    ).in_unit(Unit::Bytes),
    Metric::gauge(
        STATE,
        &["action"],
        "The state that an action keeps in the store, keys and values, as this host last counted it: the host that leads is right; `max_state_size` bounds it.",
    ).in_unit(Unit::Bytes),
    Metric::gauge(
        HELD_FOR_CLIENTS,
        &[],
        "Memory that this host holds for the clients of its control API: bodies of requests; 256 MiB at most, of which each client has a share.",
    ).in_unit(Unit::Bytes),
    Metric::gauge(
        HELD_FOR_ALL,
        &[],
        "Memory that this host holds for all actions and clients together: 1 GiB at most, plus 8 MiB that each action may always have.",
    ).in_unit(Unit::Bytes),
];

/// The size of the state that `action` keeps in the store, in bytes.
pub fn state_size(action: &str, bytes: i64) {
    gauge!(STATE, "action" => action.to_owned()).set(bytes as f64);
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
