//! What it takes to ask for something.

use soloist_config::ApiRole;

/// What it takes to ask for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Nothing: whoever watches over the process may ask.
    Nothing,
    /// This role.
    Role(ApiRole),
}

/// For those who look.
pub(super) const READ: Needs = Needs::Role(ApiRole::Read);

/// For those who change something.
pub(super) const OPERATE: Needs = Needs::Role(ApiRole::Operate);
