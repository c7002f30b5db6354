//! The next runs of a job, as far as they are known now, to show to people.

use chrono::{DateTime, TimeDelta, Utc};

use crate::{job_mark::JobMark, job_run::JobRun, timetable};
use soloist_config::JobConfig;

/// A run that is still to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpcomingRun {
    /// The run.
    pub run: JobRun,
    /// When it starts, jitter included.
    pub due: DateTime<Utc>,
}

/// The runs of the job called `action` that start `now` or later, in order, with the settled and
/// claimed runs of `mark`. Without a mark, the job has never run.
pub fn upcoming_runs<'a>(
    action: &'a str,
    job: &'a JobConfig,
    mark: Option<&'a JobMark>,
    now: DateTime<Utc>,
) -> impl Iterator<Item = UpcomingRun> + 'a {
    let claimed = mark.map(|mark| mark.claimed.clone()).unwrap_or_default();
    let settled = mark.map_or(now, |mark| mark.settled_by(now));
    let come = move |at: DateTime<Utc>| {
        let run = JobRun::scheduled(action, at);
        UpcomingRun { due: run.due(job), run }
    };
    // No run is delayed beyond the next one, so of those whose time has come only the last may
    // still start.
    let last = job.schedule.before(now + TimeDelta::nanoseconds(1));
    let last = last.filter(|last| *last > settled && claimed.end_around(*last).is_none());
    let put_off = last.map(come).filter(|last| last.due >= now);
    let first = timetable::first_unclaimed(job, &claimed, now);
    let rest =
        std::iter::successors(first, move |at| timetable::first_unclaimed(job, &claimed, *at));
    put_off.into_iter().chain(rest.map(come))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::claimed_spans::ClaimedSpans;
    use super::*;
    use soloist_config::{CatchUpPolicy, OverlapPolicy, Schedule, moment};

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn hourly(jitter: u64) -> JobConfig {
        JobConfig {
            schedule: Schedule::Every(Duration::from_secs(3600)),
            jitter: Duration::from_secs(jitter),
            catch_up: CatchUpPolicy::Skip,
            overlap: OverlapPolicy::Forbid,
            run_timeout: Duration::from_secs(60),
            max_attempts: 1,
        }
    }

    fn mark(settled: &str, claimed: ClaimedSpans) -> JobMark {
        JobMark { claimed, ..JobMark::new(at(settled), "", 0) }
    }

    fn next(job: &JobConfig, mark: Option<&JobMark>, now: &str, count: usize) -> Vec<String> {
        let all = upcoming_runs("j", job, mark, at(now)).take(count);
        all.map(|it| moment(it.run.scheduled)[11..16].to_owned()).collect()
    }

    #[test]
    fn what_was_claimed_does_not_come_again() {
        let job = hourly(0);
        assert_eq!(next(&job, None, "2026-11-22T03:30:00Z", 2), ["04:00", "05:00"]);
        let ahead = ClaimedSpans::all(at("2026-11-22T05:00:00Z"), at("2026-11-22T06:00:00Z"));
        let mark = mark("2026-11-22T03:00:00Z", ahead);
        assert_eq!(next(&job, Some(&mark), "2026-11-22T03:30:00Z", 3), ["04:00", "07:00", "08:00"]);
        // The run of this very moment has not started yet.
        assert_eq!(next(&job, Some(&mark), "2026-11-22T04:00:00Z", 1), ["04:00"]);
    }

    #[test]
    fn one_that_is_put_off_is_still_to_come() {
        let job = hourly(3600);
        let mark = mark("2026-11-22T02:00:00Z", ClaimedSpans::default());
        let due = JobRun::scheduled("j", at("2026-11-22T03:00:00Z")).due(&job);
        let before = (due - TimeDelta::milliseconds(1)).to_rfc3339();
        let after = (due + TimeDelta::milliseconds(1)).to_rfc3339();
        assert_eq!(next(&job, Some(&mark), &before, 2), ["03:00", "04:00"]);
        assert_eq!(next(&job, Some(&mark), &after, 1), ["04:00"]);
        let done = JobMark { settled: at("2026-11-22T03:00:00Z"), ..mark };
        assert_eq!(next(&job, Some(&done), &before, 1), ["04:00"]);
    }
}
