//! How far the firings of a job are settled, and what a claim makes of that.
//!
//! This is pure: the [`Ledger`](super::Ledger) reads it from the store and writes it there.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{claimed_spans::ClaimedSpans, firing::Firing, firing_record::FiringRecord};

/// How far the firings of a job are settled. It stands beside the records.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobMark {
    /// Up to when all firings are settled, by the clock of whoever claimed the latest.
    pub settled: DateTime<Utc>,
    /// Which were claimed: none of these is ever begun again, whatever clocks show.
    #[serde(default)]
    pub claimed: ClaimedSpans,
    /// The schedule that this was said of.
    pub schedule: String,
    /// How many records were made, ever: the number of the latest one.
    pub count: u64,
    /// The firing of the latest record, and the token under which it was claimed.
    pub latest: Option<(String, i64)>,
}

impl JobMark {
    /// That of a job whose firings are settled up to `now`, of which `count` records were made.
    #[must_use]
    pub fn new(now: DateTime<Utc>, schedule: &str, count: u64) -> Self {
        let (claimed, schedule) = (ClaimedSpans::default(), schedule.to_owned());
        Self { settled: now, claimed, schedule, count, latest: None }
    }

    /// Up to when all firings are settled, by a clock that shows `now`. If that is earlier
    /// than what the latest leader went by, one of the two clocks is wrong; what that one
    /// passed over, and did not claim, is not settled. It is to be settled from there on:
    /// asked again later, this says something else.
    #[must_use]
    pub fn settled_by(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        if self.settled <= now {
            return self.settled;
        }
        let within = self.claimed.end_around(now).map(|_| now);
        within.or_else(|| self.claimed.end_before(now)).unwrap_or(now)
    }

    /// Takes in what `records` tell of claims, if it does not say itself what was claimed:
    /// hosts of former versions wrote such.
    pub(super) fn complete_from(&mut self, records: &[FiringRecord]) {
        if self.claimed.is_empty() {
            let scheduled =
                || records.iter().filter(|record| !record.by_hand).map(|it| it.scheduled);
            let bounds = scheduled().min().zip(scheduled().max());
            self.claimed =
                bounds.map_or_else(ClaimedSpans::default, |(a, b)| ClaimedSpans::all(a, b));
        }
    }

    /// Whether a leader goes on from here, where the job has this schedule.
    #[must_use]
    pub fn has_schedule(&self, schedule: &str) -> bool {
        self.schedule == schedule
    }

    /// The mark from which it goes on at `now` under another schedule, or `anew`. Nothing
    /// that was claimed comes again; but anew, what was claimed without a gap from before
    /// `now` to after it is forgotten from there on.
    #[must_use]
    pub fn from_now(&self, now: DateTime<Utc>, schedule: &str, anew: bool) -> Self {
        let mut claimed = self.claimed.clone();
        if anew {
            claimed.cut(now);
        }
        Self { settled: now, claimed, schedule: schedule.to_owned(), ..self.clone() }
    }

    /// The mark that claims `firing` under the token, at `now`.
    #[must_use]
    pub fn after_claim(&self, firing: &Firing, token: i64, now: DateTime<Utc>) -> Self {
        let (settled, claimed) = if firing.by_hand {
            (self.settled, self.claimed.clone())
        } else {
            let claimed = self.claimed.including(self.settled_by(now), firing.scheduled);
            (firing.scheduled, claimed)
        };
        let (schedule, latest) = (self.schedule.clone(), Some((firing.id.clone(), token)));
        Self { settled, claimed, schedule, count: self.count + 1, latest }
    }

    /// Whether a claim that goes by this mark may be made where `stored` stands: no other
    /// was since.
    #[must_use]
    pub fn is_unchanged_in(&self, stored: &Self) -> bool {
        self.count == stored.count
    }
}
