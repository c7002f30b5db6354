//! The role that a route requires.

use soloist_config::ApiRole;

/// The role that a route requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequiredRole {
    /// None: anything that monitors the process may ask.
    Nothing,
    /// At least this role.
    Role(ApiRole),
}

/// For routes that only read.
pub(super) const READ: RequiredRole = RequiredRole::Role(ApiRole::Read);

/// For routes that change something.
pub(super) const OPERATE: RequiredRole = RequiredRole::Role(ApiRole::Operate);
