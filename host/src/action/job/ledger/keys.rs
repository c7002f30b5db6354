//! Under which keys a ledger is kept.

/// How many records are kept.
pub const RECORDS_MAX: u64 = 50;
/// The key of the mark.
pub(super) const MARK: &str = "mark";
/// What the keys of the records begin with; their numbers follow.
pub(super) const RUN: &str = "run/";
