//! Numbers in flags.

use std::ops::RangeInclusive;

use clap::builder::RangedU64ValueParser;

/// Parses a number within `range`.
pub(super) fn count(range: RangeInclusive<u64>) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(range)
}
