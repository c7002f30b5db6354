//! Where an action answers of whose path no settings speak.

use std::sync::Arc;

/// The path of an action of whose path no settings speak.
pub(super) fn own_path(name: &str) -> Arc<str> {
    format!("/{name}").into()
}
