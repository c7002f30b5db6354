//! The keys of a ledger in the store.

/// How many records are kept.
pub const RECORDS_MAX: u64 = 50;
/// The key of the mark.
pub(super) const MARK: &str = "mark";
/// The start of the keys of the records; their numbers follow.
pub(super) const RUN: &str = "run/";
