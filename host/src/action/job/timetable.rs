//! What is to be done about a job now, and until when there is nothing to do.
//!
//! One rule serves for everything. A firing is *due* when its time has come, jitter
//! included, and it is later than what is settled; it is *missed* when it cannot begin
//! within [`GRACE`] of that: nobody led, the host slept, its clock was set forwards, or an
//! earlier run was in its way. What is settled never comes again, so a clock that is set
//! back runs nothing twice: it waits until its time has passed what is settled.
//!
//! This is pure: it knows no clock, no task and no store.

use chrono::{DateTime, TimeDelta, Utc};

use super::firing::Firing;
use crate::config::{JobConfig, Missed};

/// How late a firing may begin without being missed.
const GRACE: TimeDelta = TimeDelta::seconds(1);
/// Of missed firings, so many are run at most, and counted.
pub(super) const MISSED_MAX: usize = 1000;
/// What is settled lies this far ahead at most, or a host with a wrong clock had led.
const AHEAD_MAX: TimeDelta = TimeDelta::days(1);

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing before this moment; if there is none, until something changes.
    Wait(Option<DateTime<Utc>>),
    /// Run this one.
    Fire(Firing),
    /// Drop all firings up to and including this time: so many, of which no more than
    /// [`MISSED_MAX`] are counted.
    Drop(DateTime<Utc>, usize),
    /// What is settled is too far ahead: go on from now.
    Anew,
}

/// What a job called `action` is to do `now`, where all firings up to `settled` are
/// settled, and none can begin while it is `busy`.
pub(super) fn next(
    action: &str,
    job: &JobConfig,
    settled: DateTime<Utc>,
    now: DateTime<Utc>,
    busy: bool,
) -> Step {
    if settled - now > AHEAD_MAX {
        return Step::Anew;
    }
    let Some(first) = job.schedule.after(settled) else { return Step::Wait(None) };
    let firing = Firing::scheduled(action, first);
    let due = firing.due(job);
    if now < due {
        return Step::Wait(Some(due));
    }
    if busy {
        return Step::Wait(None);
    }
    if now - due <= GRACE {
        return Step::Fire(firing);
    }
    // No two are less than a second apart, so there cannot be too many yet.
    let few = now - first < TimeDelta::seconds(MISSED_MAX as i64);
    let run_from = match job.missed {
        Missed::All if few => Some(first),
        Missed::Skip => None,
        Missed::Once => latest_missed(action, job, now),
        Missed::All => oldest_to_run(action, job, now),
    };
    let dropped_to = match run_from {
        Some(run_from) if run_from <= first => return Step::Fire(firing),
        Some(run_from) => job.schedule.before(run_from),
        None => latest_missed(action, job, now),
    };
    let to = dropped_to.unwrap_or(first).max(first);
    Step::Drop(to, count(job, first, to))
}

/// The time of the latest firing that is missed `now`.
fn latest_missed(action: &str, job: &JobConfig, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let is_missed = |at: &DateTime<Utc>| now - Firing::scheduled(action, *at).due(job) > GRACE;
    // Each is due before the time of the next: at most the last one is not missed yet.
    let last = job.schedule.before(now)?;
    let earlier = || job.schedule.before(last);
    Some(last)
        .filter(is_missed)
        .or_else(|| earlier().filter(is_missed))
        .or_else(|| earlier().and_then(|at| job.schedule.before(at)))
}

/// The time of the first of the latest [`MISSED_MAX`] that are missed.
fn oldest_to_run(action: &str, job: &JobConfig, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let mut oldest = latest_missed(action, job, now)?;
    for _ in 1..MISSED_MAX {
        match job.schedule.before(oldest) {
            Some(before) => oldest = before,
            None => break,
        }
    }
    Some(oldest)
}

/// How many firings there are from `first` to `last`, up to [`MISSED_MAX`].
fn count(job: &JobConfig, first: DateTime<Utc>, last: DateTime<Utc>) -> usize {
    let all = std::iter::successors(Some(first), |at| job.schedule.after(*at));
    all.take(MISSED_MAX).take_while(|at| *at <= last).count()
}

#[cfg(test)]
mod tests;
