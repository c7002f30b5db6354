//! The local clock of a time zone: what it shows, and when.
//!
//! Clocks change. When set forward they skip some times; when set back they show some twice. All
//! moments here are whole seconds.

use chrono::{
    DateTime, FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta,
    TimeZone, Utc,
};
use chrono_tz::{GapInfo, Tz};

/// The resolution of schedules.
pub(super) const TICK: TimeDelta = TimeDelta::seconds(1);

/// The local clock of a time zone.
#[derive(Clone, Copy, Debug)]
pub(super) struct ZoneClock(pub(super) Tz);

/// A change of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClockChange {
    /// The first moment after the change.
    pub(super) at: DateTime<Utc>,
    /// The local time that the clock would have shown then without the change.
    pub(super) from: NaiveDateTime,
    /// The local time that it shows then.
    pub(super) to: NaiveDateTime,
}

impl ZoneClock {
    /// The local time at the moment `at`.
    pub(super) fn shows(self, at: DateTime<Utc>) -> NaiveDateTime {
        at.with_timezone(&self.0).naive_local()
    }

    /// The offset from UTC at the moment `at`.
    pub(super) fn ahead(self, at: DateTime<Utc>) -> FixedOffset {
        self.0.offset_from_utc_datetime(&at.naive_utc()).fix()
    }

    /// The moments at which it shows `time`: one, two or none.
    pub(super) fn moments(self, time: NaiveDateTime) -> MappedLocalTime<DateTime<Utc>> {
        self.0.from_local_datetime(&time).map(|at| at.with_timezone(&Utc))
    }

    /// The first moment at which it shows `time` or a later time.
    pub(super) fn first(self, time: NaiveDateTime) -> Option<DateTime<Utc>> {
        self.moments(time).earliest().or_else(|| self.skipping(time))
    }

    /// The latest local time shown so far. After the clock was set back this is later than what
    /// it shows now.
    pub(super) fn reached(self, at: DateTime<Utc>) -> NaiveDateTime {
        let set_back = self.set_back(at).filter(|set_back| *set_back <= at);
        self.shows(set_back.map_or(at, |set_back| set_back - TICK))
    }

    /// The moment at which the clock is set forward past `time`, if it skips that.
    pub(super) fn skipping(self, time: NaiveDateTime) -> Option<DateTime<Utc>> {
        let (begin, before) = GapInfo::new(&time, &self.0)?.begin?;
        Some((begin - before.fix()).and_utc())
    }

    /// The moment at which the clock is set back, if the time it shows at `at` will be shown
    /// again by that.
    pub(super) fn set_back(self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.moments(self.shows(at)) {
            MappedLocalTime::Ambiguous(one, other) => self.jump(one, other).map(|jump| jump.at),
            _ => None,
        }
    }

    /// The clock changes between two moments, in order.
    pub(super) fn jumps(
        self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> impl Iterator<Item = ClockChange> {
        // No zone has two changes within a day.
        let days = std::iter::successors(Some(from), move |at| {
            (*at < to).then(|| *at + TimeDelta::days(1))
        });
        days.filter_map(move |at| self.jump(at, to.min(at + TimeDelta::days(1))))
    }

    /// The clock change on a day, if there is one; the first moment of the day counts.
    pub(super) fn jump_on(self, day: NaiveDate) -> Option<ClockChange> {
        let begin = self.first(day.and_time(NaiveTime::MIN))?;
        let end = self.first(day.succ_opt()?.and_time(NaiveTime::MIN))?;
        self.jump(begin - TICK, end - TICK)
    }

    /// The clock change after `low` and up to `high`; there must be at most one.
    fn jump(self, mut low: DateTime<Utc>, mut high: DateTime<Utc>) -> Option<ClockChange> {
        let before = self.ahead(low);
        if low >= high || self.ahead(high) == before {
            return None;
        }
        while high - low > TICK {
            let middle = low + TimeDelta::seconds((high - low).num_seconds() / 2);
            if self.ahead(middle) == before { low = middle } else { high = middle }
        }
        let from = high.naive_utc() + before;
        Some(ClockChange { at: high, from, to: self.shows(high) })
    }
}
