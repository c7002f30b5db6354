//! Tests of what is due, missed and dropped, in single cases and over days of trouble.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use soloist_config::{OverlapPolicy, Schedule, moment};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn every(seconds: u64, missed: CatchUpPolicy) -> JobConfig {
    JobConfig {
        schedule: Schedule::Every(Duration::from_secs(seconds)),
        jitter: Duration::ZERO,
        catch_up: missed,
        overlap: OverlapPolicy::Forbid,
        run_timeout: Duration::from_secs(60),
        max_attempts: 1,
    }
}

fn daily(missed: CatchUpPolicy) -> JobConfig {
    let cron = Box::new("0 3 * * *".parse().unwrap());
    JobConfig { schedule: Schedule::Cron(cron, chrono_tz::Tz::UTC), ..every(1, missed) }
}

/// Settled up to `settled`; earlier claims are left out.
fn mark(settled: DateTime<Utc>, claimed: ClaimedSpans) -> JobMark {
    JobMark {
        settled,
        claimed,
        schedule: String::new(),
        count: 0,
        latest: None,
        last_success: None,
    }
}

fn settled(at: DateTime<Utc>) -> JobMark {
    mark(at, ClaimedSpans::default())
}

fn step(job: &JobConfig, settled_to: &str, now: &str) -> String {
    shown(next("j", job, &settled(at(settled_to)), at(now), false))
}

fn shown(step: TimetableStep) -> String {
    match step {
        TimetableStep::Wait(None) => "wait".to_owned(),
        TimetableStep::Wait(Some(until)) => format!("wait until {}", moment(until)),
        TimetableStep::Fire(run) => format!("fire {}", run.id),
        TimetableStep::Drop(to, count) => format!("drop {count} to {}", moment(to)),
        TimetableStep::Reset => "reset".to_owned(),
    }
}

#[test]
fn in_time() {
    for missed in [CatchUpPolicy::Skip, CatchUpPolicy::Latest, CatchUpPolicy::All] {
        let job = daily(missed);
        let settled = "2026-11-21T03:00:00Z";
        assert_eq!(
            step(&job, settled, "2026-11-22T02:59:59.999Z"),
            "wait until 2026-11-22T03:00:00Z"
        );
        for now in ["2026-11-22T03:00:00Z", "2026-11-22T03:00:01Z"] {
            assert_eq!(step(&job, settled, now), "fire j@2026-11-22T03:00:00Z", "{missed} {now}");
        }
    }
}

#[test]
fn missed() {
    let settled = "2026-11-19T03:00:00Z";
    let now = "2026-11-22T03:00:01.001Z";
    assert_eq!(step(&daily(CatchUpPolicy::Skip), settled, now), "drop 3 to 2026-11-22T03:00:00Z");
    assert_eq!(step(&daily(CatchUpPolicy::Latest), settled, now), "drop 2 to 2026-11-21T03:00:00Z");
    assert_eq!(step(&daily(CatchUpPolicy::All), settled, now), "fire j@2026-11-20T03:00:00Z");
    let settled = "2026-11-21T03:00:00Z";
    assert_eq!(step(&daily(CatchUpPolicy::Skip), settled, now), "drop 1 to 2026-11-22T03:00:00Z");
    assert_eq!(step(&daily(CatchUpPolicy::Latest), settled, now), "fire j@2026-11-22T03:00:00Z");
    assert_eq!(step(&daily(CatchUpPolicy::All), settled, now), "fire j@2026-11-22T03:00:00Z");
}

#[test]
fn what_is_in_time_is_not_dropped_with_what_was_missed() {
    let now = "2026-11-22T00:00:10.5Z";
    let settled = "2026-11-22T00:00:05Z";
    // Those of the seconds 6 to 9; that of 10 is in time.
    assert_eq!(
        step(&every(1, CatchUpPolicy::Skip), settled, now),
        "drop 4 to 2026-11-22T00:00:09Z"
    );
    assert_eq!(
        step(&every(1, CatchUpPolicy::Latest), settled, now),
        "drop 3 to 2026-11-22T00:00:08Z"
    );
    let settled = "2026-11-22T00:00:09Z";
    assert_eq!(step(&every(1, CatchUpPolicy::Skip), settled, now), "fire j@2026-11-22T00:00:10Z");
}

#[test]
fn a_thousand_are_run_and_no_more() {
    let now = "2026-11-22T03:00:00Z";
    let all = every(1, CatchUpPolicy::All);
    // 03:00:00 and 02:59:59 are in time, so the latest that is missed is of 02:59:58.
    assert_eq!(step(&all, "2026-11-22T02:40:00Z", now), "drop 198 to 2026-11-22T02:43:18Z");
    assert_eq!(step(&all, "2026-11-22T02:43:18Z", now), "fire j@2026-11-22T02:43:19Z");
    // Years are as quick, and all of them are counted.
    let days = 20 * 365 + 5;
    let told = |count: i64, to| format!("drop {} to 2026-11-22T{to}Z", days * 86400 + count);
    assert_eq!(step(&all, "2006-11-22T02:40:00Z", now), told(198, "02:43:18"));
    let skip = every(1, CatchUpPolicy::Skip);
    assert_eq!(step(&skip, "2006-11-22T02:40:00Z", now), told(1198, "02:59:58"));
}

#[test]
fn what_was_claimed_is_not_counted_as_missed() {
    let job = every(3600, CatchUpPolicy::Skip);
    let claimed = ClaimedSpans::all(at("2026-11-22T05:00:00Z"), at("2026-11-22T07:00:00Z"));
    let claimed = claimed.including(at("2026-11-22T08:00:00Z"), at("2026-11-22T09:00:00Z"));
    let mark = mark(at("2026-11-22T02:00:00Z"), claimed);
    let step = |now| shown(next("j", &job, &mark, at(now), false));
    // 3, 4 and 8.
    assert_eq!(step("2026-11-22T09:30:00Z"), "drop 3 to 2026-11-22T09:00:00Z");
    assert_eq!(step("2026-11-22T10:30:00Z"), "drop 4 to 2026-11-22T10:00:00Z");
}

#[test]
fn while_it_is_busy_it_waits_for_the_end() {
    let busy = |now| {
        shown(next(
            "j",
            &every(10, CatchUpPolicy::Skip),
            &settled(at("2026-11-22T00:00:00Z")),
            at(now),
            true,
        ))
    };
    assert_eq!(busy("2026-11-22T00:00:09Z"), "wait until 2026-11-22T00:00:10Z");
    assert_eq!(busy("2026-11-22T00:00:10Z"), "wait");
    assert_eq!(busy("2026-11-22T00:01:00Z"), "wait");
}

#[test]
fn a_clock_that_is_set_back_runs_nothing_again() {
    let job = every(3600, CatchUpPolicy::All);
    let until_noon = ClaimedSpans::all(at("2026-11-01T00:00:00Z"), at("2026-11-22T12:00:00Z"));
    let mark = mark(at("2026-11-22T12:00:00Z"), until_noon);
    let step = |now| shown(next("j", &job, &mark, at(now), false));
    assert_eq!(step("2026-11-22T10:00:00Z"), "wait until 2026-11-22T13:00:00Z");
    assert_eq!(step("2026-11-21T12:00:00Z"), "wait until 2026-11-22T13:00:00Z");
    // Further than that, somebody's clock was wrong.
    assert_eq!(step("2026-11-21T11:59:59Z"), "reset");
}

/// A leader whose clock was 20 hours ahead dropped what lay between, and claimed two runs there.
#[test]
fn what_a_clock_that_ran_ahead_passed_over_is_not_lost() {
    let job = every(3600, CatchUpPolicy::Skip);
    let here = ClaimedSpans::all(at("2026-11-22T00:00:00Z"), at("2026-11-22T12:00:00Z"));
    let ahead = ["2026-11-23T08:00:00Z", "2026-11-23T09:00:00Z"].map(at);
    let claimed =
        here.including(at("2026-11-23T07:00:00Z"), ahead[0]).including(ahead[0], ahead[1]);
    let mark = mark(ahead[1], claimed);
    let step = |now| shown(next("j", &job, &mark, at(now), false));
    assert_eq!(step("2026-11-22T12:10:00Z"), "wait until 2026-11-22T13:00:00Z");
    assert_eq!(step("2026-11-22T13:00:00Z"), "fire j@2026-11-22T13:00:00Z");
    // The host was away, and missed what it would have missed with a right clock.
    assert_eq!(step("2026-11-22T15:30:00Z"), "drop 3 to 2026-11-22T15:00:00Z");
    // What was claimed ahead is skipped when its time comes.
    let later = JobMark { settled: at("2026-11-23T07:00:00Z"), ..mark.clone() };
    let step = |now| shown(next("j", &job, &later, at(now), false));
    assert_eq!(step("2026-11-23T08:00:00Z"), "wait until 2026-11-23T10:00:00Z");
}

#[test]
fn on_demand_it_waits_for_ever() {
    let job = JobConfig { schedule: Schedule::OnDemand, ..every(1, CatchUpPolicy::Skip) };
    assert_eq!(step(&job, "2026-11-22T12:00:00Z", "2026-11-22T13:00:00Z"), "wait");
}

#[test]
fn jitter_puts_off_and_keeps_the_order() {
    let job = JobConfig { jitter: Duration::from_secs(3600), ..every(10, CatchUpPolicy::Skip) };
    let mut settled = at("2026-11-22T00:00:00Z");
    for _ in 0..100 {
        let mark = super::tests::settled(settled);
        let TimetableStep::Wait(Some(due)) = next("j", &job, &mark, settled, false) else {
            panic!()
        };
        let scheduled = job.schedule.after(settled).unwrap();
        // Never so far that the next run would be reached.
        assert!(due >= scheduled && due < job.schedule.after(scheduled).unwrap());
        assert_eq!(
            next("j", &job, &mark, due, false),
            TimetableStep::Fire(JobRun::scheduled("j", scheduled))
        );
        settled = scheduled;
    }
}

/// What a cluster does whose only troubles are clocks and changes of leader.
struct Story {
    job: JobConfig,
    mark: JobMark,
    begun: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    /// The spans in which runs were dropped: after the first time, up to the second.
    dropped: Vec<(DateTime<Utc>, DateTime<Utc>)>,
}

impl Story {
    /// Does everything that is to be done `now`.
    fn look(&mut self, now: DateTime<Utc>) {
        self.mark.settled = self.mark.settled_by(now);
        loop {
            match next("j", &self.job, &self.mark, now, false) {
                TimetableStep::Wait(Some(until)) => {
                    assert!(until > now, "it would spin");
                    return self.is_not_silent(now, until);
                }
                TimetableStep::Wait(None) => return,
                TimetableStep::Fire(run) => {
                    assert!(run.scheduled <= now);
                    let claimed =
                        self.mark.claimed.including(self.mark.settled_by(now), run.scheduled);
                    self.mark = mark(run.scheduled, claimed);
                    self.begun.push((run.scheduled, now));
                }
                TimetableStep::Drop(to, count) => {
                    let from = self.mark.settled_by(now);
                    assert!(to > from && to < now && count > 0);
                    self.dropped.push((from, to));
                    self.mark.settled = to;
                }
                TimetableStep::Reset => panic!("no clock was that wrong"),
            }
        }
    }

    /// Whatever was claimed by clocks that were ahead, the unclaimed runs are waited for, and
    /// only those.
    fn is_not_silent(&self, now: DateTime<Utc>, until: DateTime<Utc>) {
        let begun = |at: &DateTime<Utc>| self.begun.iter().any(|(begun, _)| begun == at);
        let all =
            std::iter::successors(self.job.schedule.after(now), |at| self.job.schedule.after(*at));
        let next = all.take(100_000).find(|at| !begun(at));
        let due = next.map(|at| JobRun::scheduled("j", at).due(&self.job));
        assert!(due.is_none_or(|due| until <= due), "at {now} it waits until {until}, not {due:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Checks moments that move forward by any amount and backward by hours: nothing is started
    /// twice, each run was started or dropped as the settings say, and at each moment the next
    /// unstarted run is waited for.
    #[test]
    fn whatever_the_clock_does(
        pattern in prop::sample::select(vec!["0 * * * *", "*/20 * * * * *", "30 2 * * *"]),
        missed in prop::sample::select(vec![CatchUpPolicy::Skip, CatchUpPolicy::Latest, CatchUpPolicy::All]),
        jitter in prop::sample::select(vec![0_u64, 5, 4000]),
        leaps in prop::collection::vec(-7_200_000_i64..9_000_000, 1..12),
    ) {
        let cron = Box::new(pattern.parse().unwrap());
        let schedule = Schedule::Cron(cron, chrono_tz::Europe::Berlin);
        let jitter = Duration::from_secs(jitter);
        let job = JobConfig { schedule, jitter, ..every(1, missed) };
        let first = at("2026-03-28T22:00:00Z");
        let mark = settled(first);
        let mut story = Story { job, mark, begun: Vec::new(), dropped: Vec::new() };
        let (mut now, mut latest) = (first, first);
        for leap in leaps {
            now += TimeDelta::milliseconds(leap);
            latest = latest.max(now);
            story.look(now);
        }
        story.look(latest);
        let mut ids: Vec<_> = story.begun.iter().map(|(scheduled, _)| *scheduled).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), count, "one was begun twice");
        // All of them were started or dropped.
        let all = std::iter::successors(story.job.schedule.after(first), |at| story.job.schedule.after(*at));
        for at in all.take_while(|at| *at <= story.mark.settled) {
            let dropped = story.dropped.iter().any(|(from, to)| *from < at && at <= *to);
            prop_assert!(dropped || ids.contains(&at), "{at} was passed over");
        }
        for (scheduled, begun) in &story.begun {
            let late = *begun - JobRun::scheduled("j", *scheduled).due(&story.job);
            prop_assert!(late >= TimeDelta::zero(), "{} began {} early", scheduled, late);
            prop_assert!(missed != CatchUpPolicy::Skip || late <= GRACE, "{} was {} late", scheduled, late);
        }
    }
}
