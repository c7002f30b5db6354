//! The default path of an `http` action.

use std::sync::Arc;

/// The path of the action `name` where its settings name none.
pub(super) fn own_path(name: &str) -> Arc<str> {
    format!("/{name}").into()
}
