//! How much there is of what instances take.

/// The most instances at one time, of all plugins together. An action has 1,000
/// at most, so that one cannot starve the others.
pub(super) const INSTANCES: u32 = 2000;
