//! Checking names that become part of a key.

use crate::error::StoreError;

/// Refuses a name that would point outside its place in a key.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), StoreError> {
    if !name.is_empty() && !name.contains(['/', '\0']) {
        return Ok(());
    }
    Err(StoreError::refused(format!("{what} is {name:?}: give it a name without a slash")))
}
