//! One field of a cron pattern: what it may contain, and what is wrong with it.
//!
//! The cron crate accepts whatever its grammar allows, such as a step of 90 minutes or a weekday
//! called `JAN`, and its errors name no field. So fields are parsed here first, and passed on as
//! plain numbers.

use std::ops::RangeInclusive;

use super::{super::problem::Problem, misread::misread};

/// A field and the values that it allows.
pub(super) struct CronField {
    /// Its name in messages.
    pub(super) name: &'static str,
    range: RangeInclusive<u16>,
    /// Three-letter names for values, the first for the least value.
    names: &'static [&'static str],
    special: SpecialSyntax,
}

/// Syntax of a field besides values and ranges.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SpecialSyntax {
    None,
    /// `L`, `LW` and `15W`.
    OfMonth,
    /// `FRI#2` and `FRIL`.
    OfWeek,
}

const MONTHS: &[&str] =
    &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const SUNDAY: u16 = 7;

/// The fields of a full pattern in order. The range of years is the one that the time zone
/// database covers.
pub(super) const FIELDS: [CronField; 7] = [
    CronField::plain("second", 0..=59),
    CronField::plain("minute", 0..=59),
    CronField::plain("hour", 0..=23),
    CronField { special: SpecialSyntax::OfMonth, ..CronField::plain("day of month", 1..=31) },
    CronField { names: MONTHS, ..CronField::plain("month", 1..=12) },
    CronField {
        names: WEEKDAYS,
        special: SpecialSyntax::OfWeek,
        ..CronField::plain("weekday", 0..=SUNDAY)
    },
    CronField::plain("year", 1970..=2099),
];

impl CronField {
    const fn plain(name: &'static str, range: RangeInclusive<u16>) -> Self {
        Self { name, range, names: &[], special: SpecialSyntax::None }
    }

    /// Parses the field `text` of `pattern`; returns it in plain numbers.
    pub(super) fn read(&self, pattern: &str, text: &str) -> Result<String, Problem> {
        let reader = FieldReader { field: self, pattern };
        let items: Result<Vec<_>, _> = text.split(',').map(|item| reader.item(item)).collect();
        Ok(items?.join(","))
    }

    fn bounds(&self) -> String {
        format!("{} to {}", self.range.start(), self.range.end())
    }
}

/// Parses one field of one pattern.
struct FieldReader<'a> {
    field: &'a CronField,
    pattern: &'a str,
}

impl FieldReader<'_> {
    fn item(&self, item: &str) -> Result<String, Problem> {
        if item.is_empty() {
            let name = self.field.name;
            return Err(self.wrong(
                &format!("{name} has a comma without a value next to it"),
                "drop it, or write what is missing",
            ));
        }
        match item.split_once('/') {
            Some((range, step)) => {
                Ok(format!("{}/{}", self.stepped(item, range)?, self.step(item, step)?))
            }
            None => self.unstepped(item),
        }
    }

    fn unstepped(&self, item: &str) -> Result<String, Problem> {
        if item == "*" || (item == "?" && self.field.special != SpecialSyntax::None) {
            return Ok("*".to_owned());
        }
        if let Some(special) = self.special(item) {
            return special;
        }
        match item.split_once('-') {
            Some((from, to)) => self.range(item, from, to),
            None => Ok(self.value(item, item)?.to_string()),
        }
    }

    /// The range that a step goes through.
    fn stepped(&self, item: &str, range: &str) -> Result<String, Problem> {
        if range == "*" {
            return Ok("*".to_owned());
        }
        match range.split_once('-') {
            Some((from, to)) => self.range(item, from, to),
            None => {
                let (name, most) = (self.field.name, self.field.range.end());
                Err(self.wrong(
                    &format!("{name} `{item}` has a step, and no range that it goes through"),
                    &format!("write `*/STEP`, or a range as in `{range}-{most}/STEP`"),
                ))
            }
        }
    }

    /// Parses a step. One that leaves the range at once is rejected: only the first value would
    /// match.
    fn step(&self, item: &str, step: &str) -> Result<u16, Problem> {
        let (name, most) = (self.field.name, *self.field.range.end());
        let found = number(step).filter(|step| (1..=most).contains(step));
        found.ok_or_else(|| {
            let help = match name {
                "second" | "minute" | "hour" => {
                    "an even span that is longer is written as in `every 90m`"
                }
                _ => "write a lesser step, or the values themselves",
            };
            self.wrong(&format!("{name} `{item}` has no step from 1 to {most}"), help)
        })
    }

    fn range(&self, item: &str, from: &str, to: &str) -> Result<String, Problem> {
        let first = self.value(item, from)?;
        // Sunday may be the first day of a week (0) as well as the last (7).
        let sunday = self.field.special == SpecialSyntax::OfWeek && to.eq_ignore_ascii_case("SUN");
        let last = if sunday { SUNDAY } else { self.value(item, to)? };
        if first <= last {
            return Ok(format!("{first}-{last}"));
        }
        let (name, range) = (self.field.name, &self.field.range);
        Err(self.wrong(
            &format!("the range `{item}` of {name} ends before it begins"),
            &format!("write `{first}-{},{}-{last}`", range.end(), range.start()),
        ))
    }

    /// Parses days that depend on the month, if the item is of that form.
    fn special(&self, item: &str) -> Option<Result<String, Problem>> {
        let upper = item.to_ascii_uppercase();
        match self.field.special {
            SpecialSyntax::None => None,
            SpecialSyntax::OfMonth if upper == "L" || upper == "LW" => Some(Ok(upper)),
            SpecialSyntax::OfMonth => {
                let day = upper.strip_suffix('W')?;
                Some(self.value(item, day).map(|day| format!("{day}W")))
            }
            SpecialSyntax::OfWeek => {
                if let Some((day, nth)) = upper.split_once('#') {
                    return Some(self.nth(item, day, nth));
                }
                let day = upper.strip_suffix('L').filter(|day| !day.is_empty())?;
                Some(self.value(item, day).map(|day| format!("{day}#L")))
            }
        }
    }

    /// Parses `FRI#2`, the second Friday of a month.
    fn nth(&self, item: &str, day: &str, nth: &str) -> Result<String, Problem> {
        let day = self.value(item, day)?;
        if nth == "L" || number(nth).is_some_and(|nth| (1..=5).contains(&nth)) {
            return Ok(format!("{day}#{nth}"));
        }
        let what = format!("weekday `{item}` is none of the five that a month may have");
        Err(self.wrong(&what, "write `#1` to `#5`, or `#L` for the last one"))
    }

    fn value(&self, item: &str, text: &str) -> Result<u16, Problem> {
        let CronField { name, range, names, .. } = self.field;
        let named = names.iter().position(|name| text.eq_ignore_ascii_case(name));
        let named = named.and_then(|at| u16::try_from(at).ok()).map(|at| at + range.start());
        if let Some(value) = named.or_else(|| number(text)) {
            if range.contains(&value) {
                return Ok(value);
            }
            let bounds = self.field.bounds();
            return Err(
                self.wrong(&format!("{name} `{item}` is out of range"), &format!("it is {bounds}"))
            );
        }
        let bounds = self.field.bounds();
        let help = match names.first().zip(names.last()) {
            Some((first, last)) => format!("write {bounds}, or {first} to {last}"),
            None => format!("write {bounds}, `*`, a range as in `2-5`, or a step as in `*/2`"),
        };
        Err(self.wrong(&format!("{name} `{item}` cannot be read"), &help))
    }

    fn wrong(&self, why: &str, help: &str) -> Problem {
        misread(self.pattern, why, help)
    }
}

/// Parses decimal digits and nothing else.
fn number(text: &str) -> Option<u16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
