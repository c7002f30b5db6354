//! Comparing this host's wall clock with those of other hosts.
//!
//! No host can tell by itself whether its wall clock is right. Where more than half of the hosts
//! agree with each other, they are taken to be right. Only one thing follows from the comparison: a
//! host whose clock is far off claims no run of a job. Which host leads, and for how long, never
//! depends on it.

use std::{fmt, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};

use serde::{Deserialize, Serialize};

use super::BootTime;

/// Clocks that differ by no more than this agree.
const TOGETHER: TimeDelta = TimeDelta::minutes(1);
/// People are warned from this difference on: it makes jobs miss runs (docs/jobs.md).
const NOTICED: TimeDelta = TimeDelta::seconds(1);
/// How far wall time and boot time may drift apart before the clocks are compared again.
const STEP: TimeDelta = TimeDelta::seconds(1);

/// The response body of `GET /v1/clock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReport {
    /// The wall-clock time of the answering host.
    pub shows: DateTime<Utc>,
}

/// What the clock of another host showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// The name of the other host.
    pub host: String,
    /// How far its clock was ahead of this host's; negative if it was behind.
    pub ahead: TimeDelta,
}

impl ClockReading {
    /// The reading of `host`, whose clock showed `shown`. `own` is what this host's clock showed
    /// when it asked, and `took` how long the answer took; the difference that the network delay
    /// alone could explain is subtracted.
    #[must_use]
    pub fn of(
        host: String,
        shown: DateTime<Utc>,
        own: DateTime<Utc>,
        took: Duration,
    ) -> Option<Self> {
        let way = TimeDelta::from_std(took / 2).ok()?;
        let ahead = shown - (own + way);
        let sure = (ahead.abs() - way).max(TimeDelta::zero());
        let ahead = if ahead < TimeDelta::zero() { -sure } else { sure };
        Some(Self { host, ahead })
    }
}

/// What the comparison says about this host's clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClockVerdict {
    /// Nothing suggests that the clock is wrong.
    Right,
    /// The clock is off by more than a second and at most a minute: ahead, or behind if negative.
    Off(TimeDelta),
    /// The clock is off by more than a minute: ahead, or behind if negative.
    Wrong(TimeDelta),
    /// The clocks differ, and there is no majority to say which one is right.
    Disputed(ClockReading),
}

impl ClockVerdict {
    /// The verdict that follows from the `readings` of other hosts, in a cluster of `hosts` hosts
    /// including this one.
    #[must_use]
    pub fn of(readings: &[ClockReading], hosts: usize) -> Self {
        let mut all: Vec<_> = readings.iter().map(|reading| reading.ahead).collect();
        all.push(TimeDelta::zero());
        all.sort_unstable();
        let Some(most) = majority(&all, hosts.max(all.len())) else {
            return Self::without_majority(readings.iter());
        };
        if most.len() == 2 && most.contains(&TimeDelta::zero()) {
            // With only two clocks in the majority, nobody knows which of them is nearer to the
            // truth.
            return Self::without_majority(readings.iter().filter(|it| most.contains(&it.ahead)));
        }
        match -most[most.len() / 2] {
            ahead if ahead.abs() > TOGETHER => Self::Wrong(ahead),
            ahead if ahead.abs() > NOTICED => Self::Off(ahead),
            _ => Self::Right,
        }
    }

    /// The verdict when there is no majority: disputed if some reading differs, otherwise right.
    fn without_majority<'a>(readings: impl Iterator<Item = &'a ClockReading>) -> Self {
        let farthest = readings.max_by_key(|reading| reading.ahead.abs());
        let differs = farthest.filter(|reading| reading.ahead.abs() > NOTICED);
        differs.cloned().map_or(Self::Right, Self::Disputed)
    }

    /// How far this clock is ahead of the others, as far as that is known.
    #[must_use]
    pub fn ahead(&self) -> TimeDelta {
        match self {
            Self::Right => TimeDelta::zero(),
            Self::Off(ahead) | Self::Wrong(ahead) => *ahead,
            Self::Disputed(reading) => -reading.ahead,
        }
    }
}

/// The largest set of clocks that agree with each other, if they are more than half of all hosts.
fn majority(sorted: &[TimeDelta], hosts: usize) -> Option<&[TimeDelta]> {
    let together = |from: usize| {
        let end = sorted.partition_point(|ahead| *ahead <= sorted[from] + TOGETHER);
        &sorted[from..end]
    };
    let groups = (0..sorted.len()).map(together).filter(|group| group.len() * 2 > hosts);
    // Of two sets of the same size, prefer the one that is nearer to this host's clock.
    groups.max_by_key(|group| (group.len(), -group[group.len() / 2].abs()))
}

impl fmt::Display for ClockVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = |span: TimeDelta| {
            let span = span.abs().to_std().unwrap_or_default();
            // Below a minute, round to the millisecond; otherwise to the second.
            let unit = if span.as_secs() < 60 { 1_000_000 } else { 1_000_000_000 };
            let nanos = (span.as_nanos() + unit / 2) / unit * unit;
            let whole = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            humantime::format_duration(whole).to_string()
        };
        let side = |ahead: TimeDelta| if ahead < TimeDelta::zero() { "behind" } else { "ahead of" };
        match self {
            Self::Right => f.write_str("the clock of this host is right, as far as is known"),
            Self::Off(ahead) | Self::Wrong(ahead) => write!(
                f,
                "the clock of this host is {} {} those of most hosts: set it, as by NTP",
                span(*ahead),
                side(*ahead)
            ),
            Self::Disputed(ClockReading { host, ahead }) => write!(
                f,
                "the clock of {host} is {} {} this host's, and no majority says which is right: \
                 set the wrong one, as by NTP",
                span(*ahead),
                side(*ahead)
            ),
        }
    }
}

/// A verdict, together with the state of the clock that it is about.
#[derive(Clone, Debug)]
pub struct ClockComparison {
    verdict: ClockVerdict,
    wall: DateTime<Utc>,
    boot: BootTime,
}

impl ClockComparison {
    /// The `verdict` about a clock that showed `wall` at `boot`, before any other host was asked.
    /// If somebody sets the clock in the meantime, the verdict no longer holds.
    #[must_use]
    pub fn new(verdict: ClockVerdict, wall: DateTime<Utc>, boot: BootTime) -> Self {
        Self { verdict, wall, boot }
    }

    /// The verdict.
    #[must_use]
    pub fn verdict(&self) -> &ClockVerdict {
        &self.verdict
    }

    /// Whether the verdict still holds for a clock that shows `wall` at `boot`, which means that
    /// the clock was not set since the comparison.
    #[must_use]
    pub fn holds(&self, wall: DateTime<Utc>, boot: BootTime) -> bool {
        let passed = TimeDelta::from_std(boot.since(self.boot));
        passed.is_ok_and(|passed| (wall - self.wall - passed).abs() <= STEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict of a host among `hosts` hosts, when the others' clocks are `ahead` by these
    /// seconds.
    fn verdict(ahead: &[i64], hosts: usize) -> ClockVerdict {
        let reading = |seconds: &i64| ClockReading {
            host: format!("host{seconds}"),
            ahead: TimeDelta::seconds(*seconds),
        };
        ClockVerdict::of(&ahead.iter().map(reading).collect::<Vec<_>>(), hosts)
    }

    #[test]
    fn who_is_off_is_told_by_most() {
        let seconds = TimeDelta::seconds;
        assert_eq!(verdict(&[], 1), ClockVerdict::Right);
        assert_eq!(verdict(&[0, 0], 3), ClockVerdict::Right);
        assert_eq!(verdict(&[-72_000, -72_001], 3), ClockVerdict::Wrong(seconds(72_000)));
        // Another host's clock is wrong; that is for the other host to report.
        assert_eq!(verdict(&[0, 72_000], 3), ClockVerdict::Right);
        assert_eq!(verdict(&[5, 5], 3), ClockVerdict::Off(seconds(-5)));
        assert_eq!(verdict(&[61, 61, 0], 4), verdict(&[61, 61], 4), "half is no majority");
        assert_eq!(verdict(&[61, 61, 61, 0], 5), ClockVerdict::Wrong(seconds(-61)));
    }

    #[test]
    fn without_a_majority_nobody_is_wrong() {
        let disputed = |seconds: i64| {
            let (host, ahead) = (format!("host{seconds}"), TimeDelta::seconds(seconds));
            ClockVerdict::Disputed(ClockReading { host, ahead })
        };
        assert_eq!(verdict(&[72_000], 2), disputed(72_000));
        assert_eq!(verdict(&[0, 72_000], 4), disputed(72_000), "of two nothing is known");
        assert_eq!(verdict(&[-100, 200], 3), disputed(200));
        assert_eq!(verdict(&[0], 4), ClockVerdict::Right);
        // Two clocks agree roughly, which is enough to say that a third one does not.
        assert_eq!(verdict(&[3], 2), disputed(3));
        assert_eq!(verdict(&[3, 72_000], 3), disputed(3));
        assert_eq!(
            verdict(&[-72_000, -71_997], 3),
            ClockVerdict::Wrong(TimeDelta::seconds(71_997))
        );
    }

    #[test]
    fn it_is_told_in_words() {
        let shown = verdict(&[-72_000, -72_000], 3).to_string();
        assert!(shown.contains("is 20h ahead of those of most hosts"), "{shown}");
        let shown = ClockVerdict::Off(TimeDelta::milliseconds(-1500)).to_string();
        assert!(shown.contains("is 1s 500ms behind those of most hosts"), "{shown}");
        let shown = verdict(&[-3], 2).to_string();
        assert!(shown.contains("clock of host-3 is 3s behind this host's"), "{shown}");
    }

    #[test]
    fn a_clock_that_was_set_is_compared_anew() {
        let (wall, boot) = (DateTime::UNIX_EPOCH, BootTime::from_nanos(7));
        let comparison = ClockComparison::new(ClockVerdict::Right, wall, boot);
        assert!(comparison.holds(wall, boot));
        let later = boot + Duration::from_mins(1);
        for (seconds, holds) in [(60, true), (61, true), (62, false), (0, false), (72_000, false)] {
            let shows = wall + TimeDelta::seconds(seconds);
            assert_eq!(comparison.holds(shows, later), holds, "{seconds}");
        }
    }

    #[test]
    fn what_the_way_may_account_for_is_left_out() {
        let own = DateTime::UNIX_EPOCH;
        let ahead = |shown: i64, took: u64| {
            let shown = own + TimeDelta::milliseconds(shown);
            let reading = ClockReading::of("b".into(), shown, own, Duration::from_millis(took));
            reading.unwrap().ahead.num_milliseconds()
        };
        assert_eq!((ahead(20, 40), ahead(0, 40), ahead(40, 40)), (0, 0, 0));
        assert_eq!((ahead(5000, 0), ahead(5000, 2000), ahead(-5000, 2000)), (5000, 3000, -5000));
    }
}
