//! `schedule` and `zone`: when a job fires.
//!
//! Invariant: when a job fires follows from its settings alone, and from no moment at
//! which some host began; so all hosts agree on it.

use std::{fmt, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;
use croner::{Cron, errors::CronError};

use super::{
    bounded::{DAY, SECOND, span_within},
    file::nearest,
    problem::Problem,
};

/// When a job fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// When it is asked for.
    OnDemand,
    /// At each multiple of this since the beginning of Unix time.
    Every(Duration),
    /// When a pattern of cron fits the time of a zone.
    Cron(Box<Cron>, Tz),
}

/// A moment, as it stands in ids, answers and the environment of guests.
#[must_use]
pub fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

impl Schedule {
    /// The first time after `moment` that it fires; nothing, if it never does again.
    #[must_use]
    pub fn after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::OnDemand => None,
            Self::Every(span) => {
                let span = i64::try_from(span.as_secs()).ok()?;
                let past = moment.timestamp().div_euclid(span);
                DateTime::from_timestamp(past.checked_add(1)?.checked_mul(span)?, 0)
            }
            Self::Cron(cron, zone) => {
                let from = moment.with_timezone(zone);
                let next = cron.find_next_occurrence(&from, false).ok()?.with_timezone(&Utc);
                // The search goes on from whatever it is given: never in a circle.
                (next > moment).then_some(next)
            }
        }
    }

    /// The last time before `moment` that it fired; nothing, if it never had.
    #[must_use]
    pub fn before(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::OnDemand => None,
            Self::Every(span) => {
                let span = i64::try_from(span.as_secs()).ok()?;
                // The whole second at or after the moment: a firing before it is before both.
                let end = moment.timestamp() + i64::from(moment.timestamp_subsec_nanos() > 0);
                DateTime::from_timestamp((end - 1).div_euclid(span).checked_mul(span)?, 0)
            }
            Self::Cron(cron, zone) => {
                // Parts of a second are nothing to the search: from the next whole one.
                let whole = moment.timestamp() + i64::from(moment.timestamp_subsec_nanos() > 0);
                let from = DateTime::from_timestamp(whole, 0)?.with_timezone(zone);
                let last = cron.find_previous_occurrence(&from, false).ok()?.with_timezone(&Utc);
                (last < moment).then_some(last)
            }
        }
    }

    /// Whether it fires by itself.
    #[must_use]
    pub const fn fires(&self) -> bool {
        !matches!(self, Self::OnDemand)
    }

    /// Reads a schedule in `zone`, if it is one of cron.
    pub(super) fn parse(text: &str, zone: Tz) -> Result<Self, Problem> {
        let text = text.trim();
        if text == "none" {
            return Ok(Self::OnDemand);
        }
        match text.strip_prefix("every").filter(|rest| rest.starts_with([' ', '\t'])) {
            Some(span) => every(text, span.trim()),
            None => cron(text, zone),
        }
    }
}

/// As it stands in the settings.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnDemand => f.write_str("none"),
            Self::Every(span) => write!(f, "every {}", humantime::format_duration(*span)),
            Self::Cron(cron, Tz::UTC) => f.write_str(cron.as_str()),
            Self::Cron(cron, zone) => write!(f, "{} {zone}", cron.as_str()),
        }
    }
}

fn every(text: &str, span: &str) -> Result<Schedule, Problem> {
    // A year at most, which is for slips of the hand.
    let span = span_within::<SECOND, { 366 * DAY }>(span)?;
    if span.subsec_nanos() == 0 {
        return Ok(Schedule::Every(span));
    }
    Err(Problem::new(format!("`{text}` is no schedule"), "write whole seconds, as in `every 30s`"))
}

fn cron(text: &str, zone: Tz) -> Result<Schedule, Problem> {
    let cron: Cron = text.parse().map_err(|error| misread(text, &error))?;
    // From the beginning: one whose year has passed is done, and no mistake.
    let begin = DateTime::UNIX_EPOCH.with_timezone(&zone);
    if cron.find_next_occurrence(&begin, true).is_err() {
        let what = format!("`{text}` never fires: there is no such day");
        return Err(Problem::new(what, "look at its day and its month"));
    }
    Ok(Schedule::Cron(Box::new(cron), zone))
}

fn misread(text: &str, error: &CronError) -> Problem {
    let told = error.to_string();
    let why = told.split_once(": ").map_or(&*told, |(_, why)| why).trim_end_matches('.');
    let what = format!("`{text}` is no schedule: {why}");
    let mend = "write `every 30s`, `none`, `@daily`, or a pattern of cron: \
                [SECOND] MINUTE HOUR DAY MONTH WEEKDAY, as in `0 3 * * *`";
    Problem::new(what, mend)
}

/// A time zone by its name in the IANA database.
pub(super) fn zone(text: &str) -> Result<Tz, Problem> {
    text.parse().map_err(|_| {
        let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        let mend = match nearest(text, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write a name of the IANA database, as in `Europe/Berlin` or `UTC`".to_owned(),
        };
        Problem::new(format!("`{text}` is not a time zone"), mend)
    })
}

#[cfg(test)]
mod tests;
