//! The task that runs a job by its schedule under a term.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{
    job_services::JobServices,
    job_triggers::{TriggerQueue, TriggerRefusal, TriggerRequest, TriggeredRun},
    ledger::{Ledger, LedgerOpening, NumberedRecord, TermOver},
    run_attempts::{RunAttempts, describe_failure},
};
use crate::wall_clock::WallClock;
use crate::{action::version_context::VersionContext, task_scope::TaskScope};
use soloist_config::{CatchUpPolicy, JobConfig, OverlapPolicy, moment};
use soloist_guests::plugin::{Kind, ServiceEntryPoint};
use soloist_jobs::{JobPlanner, JobRun, JobStep, RunOutcome, RunRecord, timetable};
use soloist_telemetry::{log_throttle::LogThrottle, measure};

/// The most runs of a job that are in progress at a time, if its settings allow that.
const MAX_CONCURRENT_RUNS: usize = 16;
/// The longest wait before the clock is read again: a clock may run slower or faster without being
/// set.
const CLOCK_CHECK: Duration = Duration::from_secs(60);

/// What a run that has ended leaves to report.
enum EndedRun {
    /// It was scheduled for this moment, and missed after all.
    Missed(DateTime<Utc>),
    /// It ended well at this moment.
    Succeeded(DateTime<Utc>),
    /// It ended in another way.
    Other,
}

impl EndedRun {
    fn of(record: &RunRecord) -> Self {
        match (record.outcome, record.ended_at) {
            (RunOutcome::Missed, _) => Self::Missed(record.scheduled_at),
            (RunOutcome::Done, Some(at)) => Self::Succeeded(at),
            _ => Self::Other,
        }
    }
}

/// Runs one job.
pub(super) struct JobRunner {
    version: Arc<VersionContext>,
    entry: ServiceEntryPoint,
    job: Arc<JobConfig>,
    ledger: Arc<Ledger>,
    clock: WallClock,
    triggers: TriggerQueue,
    /// The tasks of the runs that are under way.
    tasks: TaskScope,
    under_way: FuturesUnordered<JoinHandle<Option<EndedRun>>>,
    /// Counts the runs: each holds a clone until it has ended. The clone is dropped before the
    /// end is reported, so that whoever has waited for that finds the job free.
    running: Arc<()>,
    /// The id of the latest run, and a token that makes the runs under way give way.
    latest: String,
    replaced: CancellationToken,
    planner: JobPlanner,
    /// Limits how often dropped runs are logged.
    missed_log: LogThrottle,
}

/// Runs a job by its schedule until its version is leaving; `tasks` own its runs.
pub(super) async fn run_job(
    version: Arc<VersionContext>,
    entry: ServiceEntryPoint,
    job: Arc<JobConfig>,
    jobs: JobServices,
    tasks: TaskScope,
) {
    let (name, term) = (Arc::clone(version.action.name()), version.term().clone());
    let reporter = Arc::clone(&version);
    let ledger = Ledger::new(Arc::clone(&name), term, jobs.ledger)
        .on_trouble(move |trouble| reporter.action.live_status().set_job_trouble(trouble));
    let ledger = Arc::new(ledger);
    let schedule = job.schedule.to_string();
    let opening = ledger.open(jobs.clock.now(), &schedule, LedgerOpening::First).await;
    let Ok((mark, records)) = opening else { return };
    let mut runner = JobRunner {
        triggers: jobs.triggers.register(&name),
        planner: JobPlanner::new(name, mark, ids(&records)),
        version,
        entry,
        job,
        ledger,
        clock: jobs.clock,
        tasks,
        under_way: FuturesUnordered::new(),
        running: Arc::new(()),
        latest: String::new(),
        replaced: CancellationToken::new(),
        missed_log: LogThrottle::default(),
    };
    runner.report_up(&records);
    // An error means that the term has ended, and so has this.
    let _: Result<(), TermOver> = runner.run().await;
}

impl JobRunner {
    /// Reports that the job is up, and how its latest run ended.
    fn report_up(&mut self, records: &[RunRecord]) {
        self.version.mark_up(Kind::Job);
        self.report_success();
        if self.job.schedule.is_over(self.clock.now()) {
            let name = self.version.action.name();
            warn!(
                event = "job-over", action = %name, schedule = %self.job.schedule,
                "job {name} never fires again, since the year of its schedule has passed: \
                 change the schedule, or remove the job",
            );
        }
        let has_run = |record: &&RunRecord| {
            !matches!(record.outcome, RunOutcome::Replaced | RunOutcome::Missed)
        };
        let latest = records.iter().rev().find(has_run);
        let wrong = latest.filter(|record| record.outcome != RunOutcome::Done);
        if let Some(record) = wrong {
            self.version.action.live_status().lock().last_error = Some(describe_failure(record));
        }
    }

    async fn run(&mut self) -> Result<(), TermOver> {
        while !self.version.is_leaving() {
            while let Some(ended) = self.under_way.next().now_or_never().flatten() {
                self.on_run_end(ended.ok().flatten());
            }
            let now = self.clock.now();
            let (leave, busy) = (self.clock.permission(now), self.is_busy());
            match self.planner.next(&self.job, &leave, now, busy) {
                JobStep::Wait(until) => self.wait(now, until).await?,
                JobStep::Missed(to, count) => self.log_missed(to, count),
                JobStep::ReopenLedger => self.reset_ledger(now).await?,
                JobStep::Claim(run) => self.fire(&run, now, || true).await.map(drop)?,
            }
        }
        Ok(())
    }

    /// Whether no run can start in parallel with those that are under way.
    fn is_busy(&self) -> bool {
        let count = Arc::strong_count(&self.running) - 1;
        match self.job.overlap {
            OverlapPolicy::Forbid => count > 0,
            OverlapPolicy::Allow => count >= MAX_CONCURRENT_RUNS,
            OverlapPolicy::Replace => false,
        }
    }

    /// Waits until there may be something to do.
    async fn wait(
        &mut self,
        now: DateTime<Utc>,
        until: Option<DateTime<Utc>>,
    ) -> Result<(), TermOver> {
        let access = Arc::clone(&self.version.access);
        let timer = until.map(|until| {
            Instant::now() + (until - now).to_std().unwrap_or_default().min(CLOCK_CHECK)
        });
        let timer = async {
            match timer {
                Some(timer) => sleep_until(timer).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = access.ending() => {}
            Some(ended) = self.under_way.next() => self.on_run_end(ended.ok().flatten()),
            Some(request) = self.triggers.next() => self.fire_on_request(request).await?,
            () = self.clock.changed() => {}
            () = timer => {}
        }
        Ok(())
    }

    /// Handles the end of a run.
    fn on_run_end(&mut self, ended: Option<EndedRun>) {
        match ended {
            Some(EndedRun::Missed(at)) => {
                self.planner.missed_one();
                self.log_missed(at, 1);
            }
            Some(EndedRun::Succeeded(at)) => {
                self.planner.succeeded(at);
                self.report_success();
            }
            Some(EndedRun::Other) | None => {}
        }
    }

    /// Shows in the metrics when a run has last succeeded, on whichever host.
    fn report_success(&self) {
        if let Some(at) = self.planner.mark().last_success {
            measure::job_succeeded(self.version.action.name(), at);
        }
    }

    fn log_missed(&self, to: DateTime<Utc>, count: u64) {
        let (name, term) = (self.version.action.name(), self.version.gate().term());
        measure::job_missed(name, count);
        self.missed_log.report(|told| {
            warn!(
                event = "job-missed", action = %name, group = %term.group, fencing_token = term.fencing_token.0,
                count, catch_up = %self.job.catch_up,
                "job {name} missed {count} runs up to {}, which are dropped{told}",
                moment(to),
            );
        });
    }

    /// Goes on from `now`: a host with a wrong clock has led, or this host's clock was set back by
    /// days.
    async fn reset_ledger(&mut self, now: DateTime<Utc>) -> Result<(), TermOver> {
        let name = self.version.action.name();
        let ahead = moment(self.planner.mark().claimed.end_around(now).unwrap_or(now));
        warn!(
            event = "job-reset", action = %name,
            "job {name} has fired up to {ahead}, more than a day ahead of this host's clock: \
             check the clocks of this and the other hosts; the job continues from {}", moment(now),
        );
        let schedule = self.job.schedule.to_string();
        let (mark, records) = self.ledger.open(now, &schedule, LedgerOpening::Reset).await?;
        self.planner.reopened(mark, ids(&records));
        Ok(())
    }

    async fn fire_on_request(&mut self, request: TriggerRequest) -> Result<(), TermOver> {
        let is_wanted = || !request.answer.is_closed();
        if !is_wanted() {
            return Ok(());
        }
        if self.is_busy() {
            let why = match self.job.overlap {
                OverlapPolicy::Allow => TriggerRefusal::Full(MAX_CONCURRENT_RUNS),
                _ => TriggerRefusal::Busy(self.latest.clone()),
            };
            // A client that no longer waits for the answer does not need it.
            let _ = request.answer.send(Err(why));
            return Ok(());
        }
        let now = self.clock.now();
        let name = Arc::clone(self.version.action.name());
        let mut run = JobRun::by_hand(&name, now);
        while run.id == self.latest {
            run = JobRun::by_hand(&name, run.scheduled + Duration::from_millis(1));
        }
        // Without an answer, the client learns that the request was not handled.
        if let Some(fired) = self.fire(&run, now, is_wanted).await? {
            let _ = request.answer.send(Ok(fired));
        }
        Ok(())
    }

    /// Claims a run while it is wanted, and starts it once the claim is certain.
    async fn fire(
        &mut self,
        run: &JobRun,
        now: DateTime<Utc>,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Option<TriggeredRun>, TermOver> {
        // Held before the term is checked: a drain that starts after that waits for the run.
        let _held = self.tasks.hold();
        if self.version.is_leaving() {
            return Err(TermOver);
        }
        // A run that is on time starts on time or is missed, however long the store takes.
        let due = run.due(&self.job);
        let was_late = run.by_hand || timetable::is_late(due, now);
        let is_late = || !was_late && timetable::is_late(due, self.clock.now());
        let in_time = || is_wanted() && !is_late();
        let (mark, missed) = (self.planner.mark(), self.planner.missed());
        match self.ledger.claim(mark, run, missed, now, in_time).await? {
            Some((mark, page)) => {
                self.planner.claimed(mark);
                self.latest.clone_from(&run.id);
                let never_late = !was_late && self.job.catch_up == CatchUpPolicy::Skip;
                Ok(Some(self.start_run(page, never_late.then_some(due)).await))
            }
            None => {
                let schedule = self.job.schedule.to_string();
                let (mark, records) =
                    self.ledger.open(now, &schedule, LedgerOpening::Again).await?;
                self.planner.reopened(mark, ids(&records));
                Ok(None)
            }
        }
    }

    /// Starts what was claimed; if `due` is given, within a second of that or not at all.
    async fn start_run(
        &mut self,
        page: NumberedRecord,
        due: Option<DateTime<Utc>>,
    ) -> TriggeredRun {
        // A missed run replaces nothing.
        let late = due.is_some_and(|due| timetable::is_late(due, self.clock.now()));
        if self.job.overlap == OverlapPolicy::Replace && !late {
            self.replaced.cancel();
            while let Some(ended) = self.under_way.next().await {
                self.on_run_end(ended.ok().flatten());
            }
            self.replaced = CancellationToken::new();
        }
        let attempts = RunAttempts {
            version: Arc::clone(&self.version),
            entry: self.entry.clone(),
            job: Arc::clone(&self.job),
            ledger: Arc::clone(&self.ledger),
            clock: self.clock.clone(),
            due,
            replaced: self.replaced.clone(),
        };
        let record = page.record.clone();
        let (tell, end) = oneshot::channel();
        let running = Arc::clone(&self.running);
        let task = self.tasks.spawn(async move {
            let ended = attempts.run(page).await;
            drop(running);
            let Some(record) = ended else { return EndedRun::Other };
            let ended = EndedRun::of(&record);
            // Usually nobody waits for it.
            let _ = tell.send(record);
            ended
        });
        self.under_way.push(task);
        TriggeredRun { record, end }
    }
}

fn ids(records: &[RunRecord]) -> impl Iterator<Item = String> {
    records.iter().map(|record| record.id.clone())
}
