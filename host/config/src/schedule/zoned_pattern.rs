//! A cron pattern in a time zone: when it fires, across clock changes.
//!
//! Two rules:
//! - A pattern that matches in every hour follows the local clock: it fires whenever the local
//!   time matches. It skips what the clock skips, and fires in both of the repeated hours.
//! - Any other pattern fires once for each matching local time: when the clock first shows that
//!   time or a later one. So skipped times are made up for by one run at the end of the gap,
//!   and of repeated times the first one fires.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Utc};

use super::{
    cron_pattern::CronPattern,
    zone_clock::{ClockChange, TICK, ZoneClock},
};

/// A pattern and the clock that it follows.
#[derive(Clone, Copy, Debug)]
pub(super) struct ZonedPattern<'a> {
    pub(super) pattern: &'a CronPattern,
    pub(super) wall: ZoneClock,
}

impl ZonedPattern<'_> {
    /// The first run after `moment`, which may have fractions of a second.
    pub(super) fn after(self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let second = DateTime::from_timestamp(moment.timestamp(), 0)?;
        if self.pattern.is_hourly() {
            return self.shown_from(second + TICK);
        }
        self.wall.first(self.pattern.next(self.wall.reached(second))?)
    }

    /// The last run before `moment`.
    pub(super) fn before(self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let whole = moment.timestamp() + i64::from(moment.timestamp_subsec_nanos() > 0);
        let second = DateTime::from_timestamp(whole.checked_sub(1)?, 0)?;
        if self.pattern.is_hourly() {
            return self.shown_until(second);
        }
        self.wall.first(self.pattern.last(self.wall.reached(second))?)
    }

    /// The number of runs after `from`, up to and including `to`; both are whole seconds.
    pub(super) fn count(self, from: DateTime<Utc>, to: DateTime<Utc>) -> u64 {
        if from >= to {
            return 0;
        }
        let mut count = 0;
        // All local times before this one have been counted.
        let mut shown = self.wall.reached(from) + TICK;
        if self.pattern.is_hourly() {
            shown = self.wall.shows(from) + TICK;
        }
        for ClockChange { from: left, to: right, .. } in self.wall.jumps(from, to) {
            count += self.pattern.count(shown, left);
            if self.pattern.is_hourly() {
                shown = right;
                continue;
            }
            // After the clock was set back, counting goes on where it was. A gap adds one run
            // at most, together with what is due at its end.
            shown = shown.max(left);
            if right > shown {
                count += u64::from(self.pattern.count(shown, right + TICK) > 0);
                shown = right + TICK;
            }
        }
        count + self.pattern.count(shown, self.wall.shows(to) + TICK)
    }

    /// The matching local times that the clock skipped, and that the run at `at` makes up for.
    pub(super) fn made_up_for(self, at: DateTime<Utc>) -> Vec<NaiveDateTime> {
        if self.pattern.is_hourly() {
            return Vec::new();
        }
        let (before, shows) = (self.wall.reached(at - TICK), self.wall.shows(at));
        let times =
            std::iter::successors(self.pattern.next(before), |time| self.pattern.next(*time));
        times.take_while(|time| *time < shows).take(LEFT_OUT_MAX).collect()
    }

    /// The first moment from `from` on at which the local time matches.
    fn shown_from(self, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let found = self.next_shown(from);
        // The clock may be set back before then, and show a matching time again.
        match self.wall.set_back(from).filter(|at| *at > from) {
            Some(at) if found.is_none_or(|found| found >= at) => self.next_shown(at),
            _ => found,
        }
    }

    /// The last moment up to `until` at which the local time matched.
    fn shown_until(self, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let found = self.last_shown(until);
        match self.wall.set_back(until).filter(|at| *at <= until) {
            Some(at) if found.is_none_or(|found| found < at) => self.last_shown(at - TICK),
            _ => found,
        }
    }

    /// The first moment from `from` on at which the local time matches and is not earlier than at
    /// `from`.
    fn next_shown(self, mut from: DateTime<Utc>) -> Option<DateTime<Utc>> {
        loop {
            let time = self.pattern.next(self.wall.shows(from) - TICK)?;
            match self.wall.moments(time) {
                MappedLocalTime::Single(at) => return Some(at),
                MappedLocalTime::Ambiguous(one, other) => {
                    return Some(if one >= from { one } else { other });
                }
                MappedLocalTime::None => from = self.wall.skipping(time)?,
            }
        }
    }

    /// The last moment up to `until` at which the local time matched and was not later than at
    /// `until`.
    fn last_shown(self, mut until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        loop {
            let time = self.pattern.last(self.wall.shows(until))?;
            match self.wall.moments(time) {
                MappedLocalTime::Single(at) => return Some(at),
                MappedLocalTime::Ambiguous(one, other) => {
                    return Some(if other <= until { other } else { one });
                }
                MappedLocalTime::None => until = self.wall.skipping(time)? - TICK,
            }
        }
    }
}

/// How many skipped times are listed at most, for patterns of seconds.
const LEFT_OUT_MAX: usize = 100;
