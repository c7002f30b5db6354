//! Texts about what people have ordered.

use soloist_stores::OperatorOrder;
use soloist_text::with_reason;

/// What people have ordered, as in `drained by ada: new disks`.
pub(super) fn by_whom(what: &str, order: &OperatorOrder) -> String {
    with_reason(&format!("{what} by {}", order.by), &order.reason)
}
