//! Decides what to do about a job now, or until when there is nothing to do.
//!
//! One rule covers everything. A run is *due* when its time has come, jitter included, it is
//! later than what is settled, and it was not claimed. It is *missed* when it cannot start within
//! [`GRACE`] of that: nobody led, the host slept, its clock was set forward, or an earlier run was
//! in its way. A claimed run never starts again, so a clock that is set back runs nothing twice; a
//! run that a fast clock only passed over does run.
//!
//! This is pure: it has no clock, no task and no store.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{claimed_spans::ClaimedSpans, job_mark::JobMark, job_run::JobRun};
use soloist_config::{CatchUpPolicy, JobConfig};

/// How late a run may start without being missed.
pub const GRACE: TimeDelta = TimeDelta::seconds(1);
/// How many missed runs are made up for at most.
const MISSED_MAX: usize = 1000;
/// How far into the future a claimed span around now may reach. A longer one means that a host with
/// a wrong clock has led.
const AHEAD_MAX: TimeDelta = TimeDelta::days(1);

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TimetableStep {
    /// Nothing before this moment; without one, nothing until something changes.
    Wait(Option<DateTime<Utc>>),
    /// Start this run.
    Fire(JobRun),
    /// Drop all runs up to and including this time: this many.
    Drop(DateTime<Utc>, u64),
    /// The claimed span around now reaches too far into the future: go on from now.
    Reset,
}

/// What the job called `action` should do `now`, with the settled and claimed runs of `mark`. No
/// run can start while it is `busy`.
pub(crate) fn next(
    action: &str,
    job: &JobConfig,
    mark: &JobMark,
    now: DateTime<Utc>,
    busy: bool,
) -> TimetableStep {
    if mark.claimed.end_around(now).is_some_and(|end| end - now > AHEAD_MAX) {
        return TimetableStep::Reset;
    }
    let first = first_unclaimed(job, &mark.claimed, mark.settled_by(now));
    let Some(first) = first else { return TimetableStep::Wait(None) };
    let run = JobRun::scheduled(action, first);
    let due = run.due(job);
    if now < due {
        return TimetableStep::Wait(Some(due));
    }
    if busy {
        return TimetableStep::Wait(None);
    }
    if !is_late(due, now) {
        return TimetableStep::Fire(run);
    }
    // Runs are at least a second apart, so there cannot be too many yet.
    let few = now - first < TimeDelta::seconds(MISSED_MAX as i64);
    let run_from = match job.catch_up {
        CatchUpPolicy::All if few => Some(first),
        CatchUpPolicy::Skip => None,
        CatchUpPolicy::Latest => latest_missed(action, job, now),
        CatchUpPolicy::All => oldest_missed_to_run(action, job, now),
    };
    let dropped_to = match run_from {
        Some(run_from) if run_from <= first => return TimetableStep::Fire(run),
        Some(run_from) => job.schedule.before(run_from),
        None => latest_missed(action, job, now),
    };
    let to = dropped_to.unwrap_or(first).max(first);
    TimetableStep::Drop(to, count(job, &mark.claimed, first, to))
}

/// Whether a run that is due then counts as missed if it has not started `now`.
#[must_use]
pub fn is_late(due: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    now - due > GRACE
}

/// The time of the first unclaimed run after `settled`.
pub(crate) fn first_unclaimed(
    job: &JobConfig,
    claimed: &ClaimedSpans,
    settled: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let mut first = job.schedule.after(settled)?;
    while let Some(end) = claimed.end_around(first) {
        first = job.schedule.after(end)?;
    }
    Some(first)
}

/// The time of the latest run that counts as missed `now`.
fn latest_missed(action: &str, job: &JobConfig, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let is_missed = |at: &DateTime<Utc>| is_late(JobRun::scheduled(action, *at).due(job), now);
    // Each is due before the time of the next, so at most the last one is not missed yet.
    let last = job.schedule.before(now)?;
    let earlier = || job.schedule.before(last);
    Some(last)
        .filter(is_missed)
        .or_else(|| earlier().filter(is_missed))
        .or_else(|| earlier().and_then(|at| job.schedule.before(at)))
}

/// The time of the first of the latest [`MISSED_MAX`] missed runs.
fn oldest_missed_to_run(
    action: &str,
    job: &JobConfig,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let mut oldest = latest_missed(action, job, now)?;
    for _ in 1..MISSED_MAX {
        match job.schedule.before(oldest) {
            Some(before) => oldest = before,
            None => break,
        }
    }
    Some(oldest)
}

/// How many unclaimed runs there are from `first` to `last`.
fn count(
    job: &JobConfig,
    claimed: &ClaimedSpans,
    first: DateTime<Utc>,
    last: DateTime<Utc>,
) -> u64 {
    let within = claimed.spans_within(first, last);
    let claimed: u64 = within.map(|(from, to)| job.schedule.count(from, to)).sum();
    job.schedule.count(first, last).saturating_sub(claimed)
}

#[cfg(test)]
mod tests;
