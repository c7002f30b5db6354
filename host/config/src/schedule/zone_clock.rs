//! The clock on a wall of a zone: what it shows, and when it shows it.
//!
//! It jumps. Where it is set forwards it leaves times out; where it is set back it shows
//! some twice. All moments here are whole seconds.

use chrono::{
    DateTime, FixedOffset, MappedLocalTime, NaiveDate, NaiveDateTime, NaiveTime, Offset, TimeDelta,
    TimeZone, Utc,
};
use chrono_tz::{GapInfo, Tz};

/// From one moment to the next.
pub(super) const TICK: TimeDelta = TimeDelta::seconds(1);

/// The clock of a zone.
#[derive(Clone, Copy, Debug)]
pub(super) struct ZoneClock(pub(super) Tz);

/// A moment at which it jumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ClockChange {
    /// The first moment after it.
    pub(super) at: DateTime<Utc>,
    /// What it would have shown then.
    pub(super) from: NaiveDateTime,
    /// What it shows then.
    pub(super) to: NaiveDateTime,
}

impl ZoneClock {
    /// What it shows.
    pub(super) fn shows(self, at: DateTime<Utc>) -> NaiveDateTime {
        at.with_timezone(&self.0).naive_local()
    }

    /// By how much it is ahead of UTC.
    pub(super) fn ahead(self, at: DateTime<Utc>) -> FixedOffset {
        self.0.offset_from_utc_datetime(&at.naive_utc()).fix()
    }

    /// When it shows `time`: once, twice or never.
    pub(super) fn moments(self, time: NaiveDateTime) -> MappedLocalTime<DateTime<Utc>> {
        self.0.from_local_datetime(&time).map(|at| at.with_timezone(&Utc))
    }

    /// The first moment at which it shows `time` or a later one.
    pub(super) fn first(self, time: NaiveDateTime) -> Option<DateTime<Utc>> {
        self.moments(time).earliest().or_else(|| self.skipping(time))
    }

    /// The latest time that it has shown up to then: a later one than it shows, after it was
    /// set back.
    pub(super) fn reached(self, at: DateTime<Utc>) -> NaiveDateTime {
        let set_back = self.set_back(at).filter(|set_back| *set_back <= at);
        self.shows(set_back.map_or(at, |set_back| set_back - TICK))
    }

    /// The moment at which it is set forwards, and leaves out `time`, if it does.
    pub(super) fn skipping(self, time: NaiveDateTime) -> Option<DateTime<Utc>> {
        let (begin, before) = GapInfo::new(&time, &self.0)?.begin?;
        Some((begin - before.fix()).and_utc())
    }

    /// The moment at which it is set back, if what it shows then is shown twice by that.
    pub(super) fn set_back(self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self.moments(self.shows(at)) {
            MappedLocalTime::Ambiguous(one, other) => self.jump(one, other).map(|jump| jump.at),
            _ => None,
        }
    }

    /// The jumps between two moments, in their order.
    pub(super) fn jumps(
        self,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> impl Iterator<Item = ClockChange> {
        // No zone has two within a day.
        let days = std::iter::successors(Some(from), move |at| {
            (*at < to).then(|| *at + TimeDelta::days(1))
        });
        days.filter_map(move |at| self.jump(at, to.min(at + TimeDelta::days(1))))
    }

    /// The jump on a day, be it in its first moment.
    pub(super) fn jump_on(self, day: NaiveDate) -> Option<ClockChange> {
        let begin = self.first(day.and_time(NaiveTime::MIN))?;
        let end = self.first(day.succ_opt()?.and_time(NaiveTime::MIN))?;
        self.jump(begin - TICK, end - TICK)
    }

    /// The jump after `low` and up to `high`, between which there is one at most.
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
