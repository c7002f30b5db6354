//! A pattern of cron by the clock of a zone: when it fires, summer time or not.
//!
//! Two rules, and nothing besides.
//! - A pattern that fits in every hour goes by what the clock shows: it fires whenever that
//!   fits. It leaves out what the clock leaves out, and fires in both hours of autumn.
//! - Any other fires once for each time that fits: when the clock first shows that time or
//!   a later one. So what is left out is made up for at the end of the gap, all of it by one
//!   firing, and what comes twice fires the first time.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Utc};

use super::{
    cron_pattern::CronPattern,
    zone_clock::{ClockChange, TICK, ZoneClock},
};

/// A pattern, and the clock that it goes by.
#[derive(Clone, Copy, Debug)]
pub(super) struct ZonedPattern<'a> {
    pub(super) pattern: &'a CronPattern,
    pub(super) wall: ZoneClock,
}

impl ZonedPattern<'_> {
    /// The first firing after `moment`, which may be within a second.
    pub(super) fn after(self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let second = DateTime::from_timestamp(moment.timestamp(), 0)?;
        if self.pattern.is_hourly() {
            return self.shown_from(second + TICK);
        }
        self.wall.first(self.pattern.next(self.wall.reached(second))?)
    }

    /// The last firing before `moment`.
    pub(super) fn before(self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let whole = moment.timestamp() + i64::from(moment.timestamp_subsec_nanos() > 0);
        let second = DateTime::from_timestamp(whole.checked_sub(1)?, 0)?;
        if self.pattern.is_hourly() {
            return self.shown_until(second);
        }
        self.wall.first(self.pattern.last(self.wall.reached(second))?)
    }

    /// How many firings there are after `from`, up to and including `to`; both are whole
    /// seconds.
    pub(super) fn count(self, from: DateTime<Utc>, to: DateTime<Utc>) -> u64 {
        if from >= to {
            return 0;
        }
        let mut count = 0;
        // What has been counted: all before this time of the clock.
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
            // What is set back goes on where it was; a leap is one firing at most, with
            // what is due at its end.
            shown = shown.max(left);
            if right > shown {
                count += u64::from(self.pattern.count(shown, right + TICK) > 0);
                shown = right + TICK;
            }
        }
        count + self.pattern.count(shown, self.wall.shows(to) + TICK)
    }

    /// The times that fit and are made up for by the firing at `at`, since the clock has left
    /// them out.
    pub(super) fn made_up_for(self, at: DateTime<Utc>) -> Vec<NaiveDateTime> {
        if self.pattern.is_hourly() {
            return Vec::new();
        }
        let (before, shows) = (self.wall.reached(at - TICK), self.wall.shows(at));
        let times =
            std::iter::successors(self.pattern.next(before), |time| self.pattern.next(*time));
        times.take_while(|time| *time < shows).take(LEFT_OUT_MAX).collect()
    }

    /// The first moment from `from` on at which the clock shows what fits.
    fn shown_from(self, from: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let found = self.next_shown(from);
        // It may be set back before that, and show what fits again.
        match self.wall.set_back(from).filter(|at| *at > from) {
            Some(at) if found.is_none_or(|found| found >= at) => self.next_shown(at),
            _ => found,
        }
    }

    /// The last moment up to `until` at which the clock showed what fits.
    fn shown_until(self, until: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let found = self.last_shown(until);
        match self.wall.set_back(until).filter(|at| *at <= until) {
            Some(at) if found.is_none_or(|found| found < at) => self.last_shown(at - TICK),
            _ => found,
        }
    }

    /// The first moment from `from` on that shows what fits, and no earlier time than then.
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

    /// The last moment up to `until` that showed what fits, and no later time than then.
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

/// So many times that are left out are told, of patterns of seconds.
const LEFT_OUT_MAX: usize = 100;
