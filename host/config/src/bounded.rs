//! Time spans, sizes and numbers that cannot be read without checking their bounds.
//!
//! The type of a key in the settings file (`settings_file.rs`) carries the least and the greatest
//! allowed value, and its value can only be obtained through that check. The JSON Schema is
//! generated from the same type, so it states the same bounds. Flags and query parameters use
//! [`span`]. Nothing else in the host parses a time span or a size: clippy.toml
//! forbids it for spans. So every accepted span is small enough to be added to any point in time,
//! multiplied and waited for.

use std::{borrow::Cow, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use super::{
    problem::{Location, Problem},
    source_file::{Located, SourceFile},
    value,
};

/// One millisecond, the unit in which bounds of spans are written.
pub const MS: u64 = 1;
/// One second, in milliseconds.
pub const SECOND: u64 = 1000 * MS;
/// One minute, in milliseconds.
pub const MINUTE: u64 = 60 * SECOND;
/// One hour, in milliseconds.
pub(crate) const HOUR: u64 = 60 * MINUTE;
/// One day, in milliseconds.
pub const DAY: u64 = 24 * HOUR;

/// Units for bounds of sizes, in bytes.
pub(crate) const KIB: u64 = 1 << 10;
pub(crate) const MIB: u64 = 1 << 20;
pub(crate) const GIB: u64 = 1 << 30;
pub(crate) const TIB: u64 = 1 << 40;

/// A setting with bounds.
pub(super) trait BoundedSetting {
    /// The type of its value.
    type Value;

    /// The value, or the problem if it cannot be parsed or is out of bounds.
    fn value(&self) -> Result<Self::Value, Problem>;

    /// Where it is written.
    fn place(&self, source: &SourceFile) -> Location;
}

/// A time span in the settings file, from `LEAST` to `MOST` milliseconds.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct BoundedSpan<const LEAST: u64, const MOST: u64>(Located<String>);

/// A number of bytes in the settings file, from `LEAST` to `MOST`.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct BoundedSize<const LEAST: u64, const MOST: u64>(Located<String>);

/// A number of bytes per second in the settings file, from `LEAST` to `MOST`: a size and `/s`.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct BoundedRate<const LEAST: u64, const MOST: u64>(Located<String>);

/// A count in the settings file, from `LEAST` to `MOST`.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct BoundedCount<const LEAST: usize, const MOST: usize>(Located<i64>);

/// A share in the settings file, from 0 to 1.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct BoundedRatio(Located<f64>);

/// A signed number in the settings file, from `-MOST` to `MOST`.
#[derive(Clone, Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct BoundedNumber<const MOST: i64>(Located<i64>);

impl<const LEAST: u64, const MOST: u64> BoundedSetting for BoundedSpan<LEAST, MOST> {
    type Value = Duration;

    fn value(&self) -> Result<Duration, Problem> {
        span_within::<LEAST, MOST>(self.0.get_ref())
    }

    fn place(&self, source: &SourceFile) -> Location {
        source.place(&self.0)
    }
}

impl<const LEAST: u64, const MOST: u64> BoundedSetting for BoundedSize<LEAST, MOST> {
    type Value = u64;

    fn value(&self) -> Result<u64, Problem> {
        let text = self.0.get_ref();
        let size = value::size(text)?;
        let [least, most] = [LEAST, MOST].map(value::show_size);
        within(size, LEAST, MOST)
            .ok_or_else(|| out_of_range(text, &format!("write a size from {least} to {most}")))
    }

    fn place(&self, source: &SourceFile) -> Location {
        source.place(&self.0)
    }
}

impl<const LEAST: u64, const MOST: u64> BoundedSetting for BoundedRate<LEAST, MOST> {
    type Value = u64;

    fn value(&self) -> Result<u64, Problem> {
        let text = self.0.get_ref();
        let Some(size) = text.trim_end().strip_suffix("/s") else {
            let rate = value::size(text).map_or_else(|_| "64KiB".to_owned(), value::show_size);
            return Err(Problem::new(
                format!("`{text}` is not a rate"),
                format!("write a size per second, as in `{rate}/s`"),
            ));
        };
        let size = value::size(size)?;
        let [least, most] = [LEAST, MOST].map(value::show_size);
        within(size, LEAST, MOST)
            .ok_or_else(|| out_of_range(text, &format!("write a rate from {least}/s to {most}/s")))
    }

    fn place(&self, source: &SourceFile) -> Location {
        source.place(&self.0)
    }
}

impl<const LEAST: usize, const MOST: usize> BoundedSetting for BoundedCount<LEAST, MOST> {
    type Value = usize;

    fn value(&self) -> Result<usize, Problem> {
        let written = *self.0.get_ref();
        let count = usize::try_from(written).ok().and_then(|count| within(count, LEAST, MOST));
        count.ok_or_else(|| {
            out_of_range(&written.to_string(), &format!("write a number from {LEAST} to {MOST}"))
        })
    }

    fn place(&self, source: &SourceFile) -> Location {
        source.place(&self.0)
    }
}

impl<const MOST: i64> BoundedSetting for BoundedNumber<MOST> {
    type Value = i64;

    fn value(&self) -> Result<i64, Problem> {
        let written = *self.0.get_ref();
        within(written, -MOST, MOST).ok_or_else(|| {
            out_of_range(&written.to_string(), &format!("write a number from -{MOST} to {MOST}"))
        })
    }

    fn place(&self, source: &SourceFile) -> Location {
        source.place(&self.0)
    }
}

impl BoundedSetting for BoundedRatio {
    type Value = f64;

    fn value(&self) -> Result<f64, Problem> {
        let written = *self.0.get_ref();
        within(written, 0.0, 1.0).ok_or_else(|| {
            let help = "write a number from 0.0 (none) to 1.0 (all), as in 0.1 for every tenth";
            Problem::new(format!("`ratio` is {written}, and must be between 0.0 and 1.0"), help)
        })
    }

    fn place(&self, source: &SourceFile) -> Location {
        source.place(&self.0)
    }
}

fn within<T: PartialOrd>(value: T, least: T, most: T) -> Option<T> {
    (least <= value && value <= most).then_some(value)
}

fn out_of_range(text: &str, help: &str) -> Problem {
    Problem::new(format!("{text} is out of range"), help)
}

/// Parses a time span from `LEAST` to `MOST` milliseconds, for flags and query parameters.
///
/// # Errors
/// Says what is wrong and which bounds hold.
pub fn span<const LEAST: u64, const MOST: u64>(text: &str) -> Result<Duration, String> {
    span_within::<LEAST, MOST>(text).map_err(|problem| problem.one_line())
}

pub(super) fn span_within<const LEAST: u64, const MOST: u64>(
    text: &str,
) -> Result<Duration, Problem> {
    let span = duration(text)?;
    let [least, most] = [LEAST, MOST].map(show);
    within(span, Duration::from_millis(LEAST), Duration::from_millis(MOST))
        .ok_or_else(|| out_of_range(text, &format!("write a duration from {least} to {most}")))
}

/// Parses a time span of any length; the caller checks its bounds.
#[expect(clippy::disallowed_methods, reason = "the one place; its callers have the bounds")]
fn duration(text: &str) -> Result<Duration, Problem> {
    humantime::parse_duration(text).map_err(|error| {
        let help = match (text.trim().parse::<f64>(), error) {
            (Ok(_), _) => format!("add the unit, as in `{0}s` or `{0}ms`", text.trim()),
            (Err(_), humantime::DurationError::NumberOverflow) => "write a shorter one".to_owned(),
            (Err(_), _) => "write a number with its unit, as in `5s`, `500ms` or `1m 30s`".into(),
        };
        Problem::new(format!("`{text}` is not a duration"), help)
    })
}

/// Formats a bound as people write it: in the largest unit that divides it, except that one day
/// is written in hours.
fn show(ms: u64) -> String {
    let unit = [("days", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", MS)]
        .into_iter()
        .find(|&(name, unit)| ms >= unit && ms.is_multiple_of(unit) && (name, ms) != ("days", DAY));
    unit.map_or_else(|| "0s".to_owned(), |(name, unit)| format!("{}{name}", ms / unit))
}

/// The schema keyword that states the bounds of a text. JSON Schema itself has none for spans.
const BOUNDS: &str = "x-bounds";

macro_rules! in_the_schema {
    ($name:literal, $($kind:ident: $number:ident),* => $type:ty, $schema:expr) => {
        impl<$(const $kind: $number),*> JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}

in_the_schema!("Span", LEAST: u64, MOST: u64 => BoundedSpan<LEAST, MOST>, json_schema!({
    "type": "string",
    BOUNDS: format!("{} to {}", show(LEAST), show(MOST)),
}));
in_the_schema!("Size", LEAST: u64, MOST: u64 => BoundedSize<LEAST, MOST>, json_schema!({
    "type": "string",
    BOUNDS: format!("{} to {}", value::show_size(LEAST), value::show_size(MOST)),
}));
in_the_schema!("Rate", LEAST: u64, MOST: u64 => BoundedRate<LEAST, MOST>, json_schema!({
    "type": "string",
    BOUNDS: format!("{}/s to {}/s", value::show_size(LEAST), value::show_size(MOST)),
}));
in_the_schema!("Count", LEAST: usize, MOST: usize => BoundedCount<LEAST, MOST>, json_schema!({
    "type": "integer",
    "minimum": LEAST,
    "maximum": MOST,
}));
in_the_schema!("Rank", MOST: i64 => BoundedNumber<MOST>, json_schema!({
    "type": "integer",
    "minimum": -MOST,
    "maximum": MOST,
}));
in_the_schema!("Ratio", => BoundedRatio, json_schema!({
    "type": "number",
    "minimum": 0.0,
    "maximum": 1.0,
}));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_taken_and_what_is_beyond_them_is_not() {
        let read = span::<{ 100 * MS }, DAY>;
        assert_eq!(read("100ms"), Ok(Duration::from_millis(100)));
        assert_eq!(read("24h"), Ok(Duration::from_secs(24 * 3600)));
        for beyond in ["99ms", "0s", "24h 1ns", "18446744073709551615s"] {
            let error = read(beyond).unwrap_err();
            assert!(error.ends_with("out of range: write a duration from 100ms to 24h"), "{error}");
        }
        for none in ["5", "soon", "", "-1s", "99999999999999999999s"] {
            assert!(read(none).unwrap_err().contains("is not a duration: "), "{none}");
        }
    }

    #[test]
    fn bounds_are_shown_as_people_write_them() {
        let shown = [0, 1, 1500, SECOND, 90 * SECOND, MINUTE, 10 * MINUTE, HOUR, DAY, 30 * DAY];
        let shown = shown.map(show);
        assert_eq!(shown, ["0s", "1ms", "1500ms", "1s", "90s", "1m", "10m", "1h", "24h", "30days"]);
    }
}
