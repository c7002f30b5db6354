//! What it takes to ask for something.

use soloist_config::ApiRole;

/// What it takes to ask for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequiredRole {
    /// Nothing: whoever watches over the process may ask.
    Nothing,
    /// This role.
    Role(ApiRole),
}

/// For those who look.
pub(super) const READ: RequiredRole = RequiredRole::Role(ApiRole::Read);

/// For those who change something.
pub(super) const OPERATE: RequiredRole = RequiredRole::Role(ApiRole::Operate);
