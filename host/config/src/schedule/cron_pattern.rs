//! A cron pattern, and the local times that match it, in whatever zone.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};
use croner::{Cron, CronComponent, Weekday, parser::CronParser};

use super::{
    super::problem::{ConfigError, Problem},
    cron_field::{CronField, FIELDS},
    misread::misread,
};

/// Nicknames such as `@daily`, and what they stand for, as in crontab(5) of Vixie cron.
const NICKNAMES: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// A pattern of cron.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CronPattern {
    /// The text as it was written.
    text: String,
    cron: Cron,
}

impl CronPattern {
    /// Parses a pattern.
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let fields = fields(&text, &unfolded(&text)?)?;
        let [.., days, _, weekdays, _] = &fields;
        // As in Vixie cron: a day matches if either field does, unless one of them begins with a
        // star. `+` requires both.
        let (both, weekdays) = match weekdays.strip_prefix('+') {
            Some(weekdays) => (true, weekdays),
            None => (days.starts_with('*') || weekdays.starts_with('*'), &**weekdays),
        };
        let mut plain: Vec<&str> = fields.iter().map(String::as_str).collect();
        plain[5] = weekdays;
        let parser = CronParser::builder().dom_and_dow(both).build();
        let cron = parser
            .parse(&plain.join(" "))
            .map_err(|error| misread(&text, &error.to_string(), "write it as in `0 3 * * *`"))?;
        let pattern = Self { text, cron };
        if pattern.next(DateTime::UNIX_EPOCH.naive_utc() - TimeDelta::seconds(1)).is_some() {
            return Ok(pattern);
        }
        let what = format!("`{pattern}` never fires: there is no such day");
        Err(Problem::new(what, "look at its day of month, its month and its year"))
    }

    /// The first matching time after `time`.
    pub(super) fn next(&self, time: NaiveDateTime) -> Option<NaiveDateTime> {
        self.cron.find_next_occurrence(&time, false).ok()
    }

    /// The last matching time at or before `time`.
    pub(super) fn last(&self, time: NaiveDateTime) -> Option<NaiveDateTime> {
        self.cron.find_previous_occurrence(&time, true).ok()
    }

    /// Whether it matches in every hour of a day, on the days that it matches at all.
    pub(super) fn is_hourly(&self) -> bool {
        self.cron.pattern.hours.values().len() == 24
    }

    /// The number of matching times from `from` up to but excluding `to`. It counts by days, so a
    /// pattern of seconds over years is as fast as any.
    pub(super) fn count(&self, from: NaiveDateTime, to: NaiveDateTime) -> u64 {
        if from >= to {
            return 0;
        }
        let times = DayTimes::of(&self.cron);
        let on = |date: NaiveDate, count: u64| if self.fits(date) { count } else { 0 };
        if from.date() == to.date() {
            return on(from.date(), times.before(to.time()) - times.before(from.time()));
        }
        let first = on(from.date(), times.in_all() - times.before(from.time()));
        let between = from.date().iter_days().skip(1).take_while(|date| *date < to.date());
        let between: u64 = between.map(|date| on(date, times.in_all())).sum();
        first + between + on(to.date(), times.before(to.time()))
    }

    fn fits(&self, date: NaiveDate) -> bool {
        let pattern = &self.cron.pattern;
        let weekday = Weekday::from_days_from_sunday(date.weekday().num_days_from_sunday());
        // The error is for dates that do not exist.
        pattern.year_match(date.year()).unwrap_or(false)
            && pattern.month_match(date.month()).unwrap_or(false)
            && pattern.day_match(date.year(), date.month(), date.day(), weekday).unwrap_or(false)
    }
}

impl FromStr for CronPattern {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Ok(Self::parse(text)?)
    }
}

/// Formats as written.
impl fmt::Display for CronPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The matching times within a day.
struct DayTimes {
    hours: Vec<u16>,
    minutes: Vec<u16>,
    seconds: Vec<u16>,
}

impl DayTimes {
    fn of(cron: &Cron) -> Self {
        let values = CronComponent::values;
        let pattern = &cron.pattern;
        Self {
            hours: values(&pattern.hours),
            minutes: values(&pattern.minutes),
            seconds: values(&pattern.seconds),
        }
    }

    fn in_all(&self) -> u64 {
        (self.hours.len() * self.minutes.len() * self.seconds.len()) as u64
    }

    /// How many of them are earlier than `time`.
    fn before(&self, time: NaiveTime) -> u64 {
        let (hours, in_hour) = rank(&self.hours, time.hour());
        let (minutes, in_minute) = rank(&self.minutes, time.minute());
        let (seconds, _) = rank(&self.seconds, time.second());
        let of_minute = if in_minute { seconds } else { 0 };
        let of_hour = if in_hour { minutes * self.seconds.len() + of_minute } else { 0 };
        (hours * self.minutes.len() * self.seconds.len() + of_hour) as u64
    }
}

/// How many values are less than `value`, and whether it is one of them.
fn rank(values: &[u16], value: u32) -> (usize, bool) {
    let at = values.partition_point(|it| u32::from(*it) < value);
    (at, values.get(at).is_some_and(|it| u32::from(*it) == value))
}

/// Replaces a nickname by its pattern; other texts are unchanged.
fn unfolded(text: &str) -> Result<String, Problem> {
    if !text.starts_with('@') {
        return Ok(text.to_owned());
    }
    let known = NICKNAMES.iter().find(|(name, _)| text.eq_ignore_ascii_case(name));
    known.map(|(_, pattern)| (*pattern).to_owned()).ok_or_else(|| {
        let help = match text.split(' ').next().unwrap_or_default() {
            "@reboot" => "what is to run whenever a host comes to lead is a hook, `on-leader`",
            "@every" => "write it without the sign, as in `every 90s`",
            _ => "known are @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually",
        };
        misread(text, "there is no such short name", help)
    })
}

/// All seven fields in plain numbers, including those that were left out.
fn fields(text: &str, pattern: &str) -> Result<[String; 7], Problem> {
    let written: Vec<&str> = pattern.split(' ').collect();
    if let Some((variable, _)) = written[0].split_once('=') {
        let help = "write the time zone as a setting of its own: `time_zone = \"Europe/Berlin\"`";
        return Err(misread(text, &format!("`{variable}` is no field"), help));
    }
    if !(5..=7).contains(&written.len()) {
        let why = format!("it has {} fields, and not 5, 6 or 7", written.len());
        return Err(misread(text, &why, ALL));
    }
    let skipped = usize::from(written.len() == 5);
    let mut all = ["0", "*", "*", "*", "*", "*", "*"].map(str::to_owned);
    let named = FIELDS.iter().zip(&mut all).skip(skipped).take(written.len());
    for ((field, place), written) in named.zip(&written) {
        *place = read(field, text, written)?;
    }
    Ok(all)
}

const ALL: &str = "write `every 30s`, `none`, `@daily`, or a pattern of cron: \
                   [SECOND] MINUTE HOUR DAY MONTH WEEKDAY, as in `0 3 * * *`, \
                   and [YEAR] after all six";

fn read(field: &CronField, text: &str, written: &str) -> Result<String, Problem> {
    match written.strip_prefix('+').filter(|_| field.name == "weekday") {
        Some(rest) => Ok(format!("+{}", field.read(text, rest)?)),
        None => field.read(text, written),
    }
}

#[cfg(test)]
mod tests;
