//! Numbers of flags.

use std::ops::RangeInclusive;

use clap::builder::RangedU64ValueParser;

/// Reads a number of a flag, within `range`.
pub(super) fn count(range: RangeInclusive<u64>) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(range)
}
