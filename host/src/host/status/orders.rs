//! What people have ordered, as a status shows it.

use crate::api::OrderEntry;
use soloist_stores::OperatorOrder;
use soloist_text::rfc3339;

/// The entry of an order that is in force.
pub(super) fn order_entry(order: &OperatorOrder) -> OrderEntry {
    let OperatorOrder { by, reason, since } = order.clone();
    OrderEntry { by, reason, since: rfc3339(since) }
}
