//! `schedule` and `time_zone`: when a job fires.
//!
//! Invariant: runs follow from the settings alone, and not from the moment at which some host
//! started. So all hosts agree on them.

mod cron_field;
mod cron_pattern;
mod misread;
mod remark;
mod zone_clock;
mod zoned_pattern;

use std::{fmt, time::Duration};

use chrono::{DateTime, SecondsFormat, Utc};
use chrono_tz::Tz;

pub use self::{cron_pattern::CronPattern, remark::ZonedMoment};
use self::{zone_clock::ZoneClock, zoned_pattern::ZonedPattern};
use super::{
    bounded::{DAY, SECOND, span_within},
    problem::Problem,
    spelling::did_you_mean,
};

/// When a job fires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Only on request.
    OnDemand,
    /// At each multiple of this span since the Unix epoch.
    Every(Duration),
    /// When a cron pattern matches the local time of a zone.
    Cron(Box<CronPattern>, Tz),
}

/// Formats a point in time as used in ids, responses and the environment of guests.
#[must_use]
pub fn moment(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

impl Schedule {
    /// The first run after `moment`; `None` if it never fires again.
    #[must_use]
    pub fn after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::OnDemand => None,
            Self::Every(span) => {
                let span = i64::try_from(span.as_secs()).ok()?;
                let past = moment.timestamp().div_euclid(span);
                DateTime::from_timestamp(past.checked_add(1)?.checked_mul(span)?, 0)
            }
            Self::Cron(pattern, zone) => zoned(pattern, *zone).after(moment),
        }
    }

    /// The last run before `moment`; `None` if there was none.
    #[must_use]
    pub fn before(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::OnDemand => None,
            Self::Every(span) => {
                let span = i64::try_from(span.as_secs()).ok()?;
                // Round up to a whole second: runs are at whole seconds, so this changes no
                // result.
                let end = moment.timestamp() + i64::from(moment.timestamp_subsec_nanos() > 0);
                DateTime::from_timestamp((end - 1).div_euclid(span).checked_mul(span)?, 0)
            }
            Self::Cron(pattern, zone) => zoned(pattern, *zone).before(moment),
        }
    }

    /// The number of runs from `first` to `last`, both included. Runs before the Unix epoch
    /// are not counted.
    #[must_use]
    pub fn count(&self, first: DateTime<Utc>, last: DateTime<Utc>) -> u64 {
        let first = first.max(DateTime::UNIX_EPOCH);
        if first > last {
            return 0;
        }
        match self {
            Self::OnDemand => 0,
            Self::Every(span) => {
                let apart = u64::try_from((last - first).num_seconds()).unwrap_or(0);
                apart / span.as_secs().max(1) + 1
            }
            Self::Cron(pattern, zone) => {
                zoned(pattern, *zone).count(first - chrono::TimeDelta::seconds(1), last)
            }
        }
    }

    /// The time zone that the schedule uses.
    #[must_use]
    pub const fn zone(&self) -> Tz {
        match self {
            Self::Cron(_, zone) => *zone,
            Self::OnDemand | Self::Every(_) => Tz::UTC,
        }
    }

    /// Whether it used to fire by itself and never will after `now`, since its year has passed.
    #[must_use]
    pub fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.fires() && self.after(now).is_none()
    }

    /// Whether it fires by itself.
    #[must_use]
    pub const fn fires(&self) -> bool {
        !matches!(self, Self::OnDemand)
    }

    /// Parses a schedule; `zone` is for cron patterns.
    pub(super) fn parse(text: &str, zone: Tz) -> Result<Self, Problem> {
        let text = text.trim();
        if text == "none" {
            return Ok(Self::OnDemand);
        }
        match text.strip_prefix("every").filter(|rest| rest.starts_with([' ', '\t'])) {
            Some(span) => every(text, span.trim()),
            None => Ok(Self::Cron(Box::new(CronPattern::parse(text)?), zone)),
        }
    }
}

/// Formats as in the settings.
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OnDemand => f.write_str("none"),
            Self::Every(span) => write!(f, "every {}", humantime::format_duration(*span)),
            Self::Cron(pattern, Tz::UTC) => pattern.fmt(f),
            Self::Cron(pattern, zone) => write!(f, "{pattern} {zone}"),
        }
    }
}

fn every(text: &str, span: &str) -> Result<Schedule, Problem> {
    // A year at most, to catch typing errors.
    let span = span_within::<SECOND, { 366 * DAY }>(span)?;
    if span.subsec_nanos() == 0 {
        return Ok(Schedule::Every(span));
    }
    Err(Problem::new(
        format!("`{text}` is not a schedule"),
        "write whole seconds, as in `every 30s`",
    ))
}

fn zoned(pattern: &CronPattern, zone: Tz) -> ZonedPattern<'_> {
    ZonedPattern { pattern, wall: ZoneClock(zone) }
}

/// Looks a time zone up by its name in the IANA database.
///
/// # Errors
/// There is no such zone: what is wrong, and what to write.
pub fn time_zone(text: &str) -> Result<Tz, (String, String)> {
    zone(text).map_err(Problem::into_parts)
}

/// Parses a time zone of the settings.
pub(super) fn zone(text: &str) -> Result<Tz, Problem> {
    text.parse().map_err(|_| {
        let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
        let help = did_you_mean(text, names).unwrap_or_else(|| {
            "write a name of the IANA database, as in `Europe/Berlin` or `UTC`".to_owned()
        });
        Problem::new(format!("`{text}` is not a time zone"), help)
    })
}

#[cfg(test)]
mod tests;
