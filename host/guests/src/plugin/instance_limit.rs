//! How many instances the engine allows.

/// The most instances at one time, of all plugins together. A single action has at most 1,000, so
/// that it cannot starve the others.
pub(super) const INSTANCES: u32 = 2000;
