//! The task that keeps a job to its schedule under a term.

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
    super::{TaskScope, action_version::VersionContext},
    JobServices,
    firing::Firing,
    firing_attempts::{FiringAttempts, describe_failure},
    firing_record::{FiringOutcome, FiringRecord},
    job_planner::{JobPlanner, JobStep},
    job_triggers::{TriggerQueue, TriggerRefusal, TriggerRequest, TriggeredFiring},
    ledger::{Ledger, LedgerOpening, NumberedRecord, TermOver},
    timetable,
};
use crate::wall_clock::WallClock;
use soloist_config::{ConcurrencyPolicy, JobConfig, MissedPolicy, moment};
use soloist_guests::plugin::{Kind, ServiceEntry};
use soloist_telemetry::{log_throttle::LogThrottle, measure};

/// So many firings of a job run side by side, where they may.
const AT_ONCE: usize = 16;
/// A wait is looked at anew after so long: a clock may be slowed down or hurried up
/// without being set.
const LOOK: Duration = Duration::from_secs(60);

/// What is left to say of a firing that has ended: its time, if it was missed after all.
type FiringEnd = Option<DateTime<Utc>>;

/// Keeps one job.
pub(super) struct JobRunner {
    version: Arc<VersionContext>,
    entry: ServiceEntry,
    job: Arc<JobConfig>,
    ledger: Arc<Ledger>,
    clock: WallClock,
    triggers: TriggerQueue,
    /// The firings that are under way.
    tasks: TaskScope,
    under_way: FuturesUnordered<JoinHandle<Option<FiringEnd>>>,
    /// Each holds one of these until it has ended. It is given back before anybody is told
    /// of the end, so that whoever has waited for that finds the job free.
    running: Arc<()>,
    /// The latest of them, and what makes them give way.
    latest: String,
    replaced: CancellationToken,
    planner: JobPlanner,
    /// What is said of firings that were dropped.
    missed_log: LogThrottle,
}

/// Keeps the job of `run` to its schedule until that is leaving; `runs` own its firings.
pub(super) async fn run_job(
    run: Arc<VersionContext>,
    entry: ServiceEntry,
    job: Arc<JobConfig>,
    jobs: JobServices,
    runs: TaskScope,
) {
    let (name, term) = (Arc::clone(run.action.name()), run.services.term.clone());
    let told = Arc::clone(&run);
    let ledger = Ledger::new(Arc::clone(&name), term, jobs.ledger)
        .on_trouble(move |trouble| told.action.live_status().set_job_trouble(trouble));
    let ledger = Arc::new(ledger);
    let schedule = job.schedule.to_string();
    let opened = ledger.open(jobs.clock.now(), &schedule, LedgerOpening::First).await;
    let Ok((mark, records)) = opened else { return };
    let mut keeper = JobRunner {
        triggers: jobs.triggers.register(&name),
        planner: JobPlanner::new(name, mark, ids(&records)),
        version: run,
        entry,
        job,
        ledger,
        clock: jobs.clock,
        tasks: runs,
        under_way: FuturesUnordered::new(),
        running: Arc::new(()),
        latest: String::new(),
        replaced: CancellationToken::new(),
        missed_log: LogThrottle::default(),
    };
    keeper.report_up(&records);
    // Over: the term is, and so is this.
    let _: Result<(), TermOver> = keeper.run().await;
}

impl JobRunner {
    /// Shows that the job is up, and how its latest firing went.
    fn report_up(&mut self, records: &[FiringRecord]) {
        self.version.mark_up(Kind::Job);
        if self.job.schedule.is_over(self.clock.now()) {
            let name = self.version.action.name();
            warn!(
                event = "job-over", action = %name, schedule = %self.job.schedule,
                "job {name} never fires again, since the year of its schedule has passed: \
                 change that, or take the job away",
            );
        }
        let has_run = |record: &&FiringRecord| {
            !matches!(record.outcome, FiringOutcome::Replaced | FiringOutcome::Missed)
        };
        let latest = records.iter().rev().find(has_run);
        let wrong = latest.filter(|record| record.outcome != FiringOutcome::Done);
        if let Some(record) = wrong {
            self.version.action.live_status().lock().last_error = Some(describe_failure(record));
        }
    }

    async fn run(&mut self) -> Result<(), TermOver> {
        while !self.version.is_leaving() {
            while let Some(ended) = self.under_way.next().now_or_never().flatten() {
                self.on_firing_end(ended.ok().flatten());
            }
            let now = self.clock.now();
            let (leave, busy) = (self.clock.permission(now), self.is_busy());
            match self.planner.next(&self.job, &leave, now, busy) {
                JobStep::Wait(until) => self.wait(now, until).await?,
                JobStep::Missed(to, count) => self.log_missed(to, count),
                JobStep::ReopenLedger => self.reset_ledger(now).await?,
                JobStep::Claim(firing) => self.fire(&firing, now, || true).await.map(drop)?,
            }
        }
        Ok(())
    }

    /// Whether no firing can begin beside those that are under way.
    fn is_busy(&self) -> bool {
        let count = Arc::strong_count(&self.running) - 1;
        match self.job.concurrency {
            ConcurrencyPolicy::Forbid => count > 0,
            ConcurrencyPolicy::Allow => count >= AT_ONCE,
            ConcurrencyPolicy::Replace => false,
        }
    }

    /// Until something is to be done, as far as is known now.
    async fn wait(
        &mut self,
        now: DateTime<Utc>,
        until: Option<DateTime<Utc>>,
    ) -> Result<(), TermOver> {
        let access = Arc::clone(&self.version.access);
        let timer = until
            .map(|until| Instant::now() + (until - now).to_std().unwrap_or_default().min(LOOK));
        let timer = async {
            match timer {
                Some(timer) => sleep_until(timer).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = access.ending() => {}
            Some(ended) = self.under_way.next() => self.on_firing_end(ended.ok().flatten()),
            Some(order) = self.triggers.next() => self.fire_on_request(order).await?,
            () = self.clock.changed() => {}
            () = timer => {}
        }
        Ok(())
    }

    /// A firing has ended.
    fn on_firing_end(&mut self, ended: Option<FiringEnd>) {
        if let Some(missed) = ended.flatten() {
            self.planner.missed_one();
            self.log_missed(missed, 1);
        }
    }

    fn log_missed(&self, to: DateTime<Utc>, count: u64) {
        let (name, term) = (self.version.action.name(), self.version.gate().term());
        measure::job_missed(name, count);
        self.missed_log.report(|told| {
            warn!(
                event = "job-missed", action = %name, group = %term.group, token = term.token.0,
                count, missed = %self.job.missed,
                "job {name} missed {count} firings up to {}, which are dropped{told}",
                moment(to),
            );
        });
    }

    /// A host with a wrong clock has led, or this one's was set back by days.
    async fn reset_ledger(&mut self, now: DateTime<Utc>) -> Result<(), TermOver> {
        let name = self.version.action.name();
        let ahead = moment(self.planner.mark().claimed.end_around(now).unwrap_or(now));
        warn!(
            event = "job-anew", action = %name,
            "job {name} has fired up to {ahead}, more than a day ahead of this host's clock: \
             is the clock right, here and on the other hosts? It goes on from {}", moment(now),
        );
        let schedule = self.job.schedule.to_string();
        let (mark, records) = self.ledger.open(now, &schedule, LedgerOpening::Reset).await?;
        self.planner.reopened(mark, ids(&records));
        Ok(())
    }

    async fn fire_on_request(&mut self, order: TriggerRequest) -> Result<(), TermOver> {
        let is_wanted = || !order.answer.is_closed();
        if !is_wanted() {
            return Ok(());
        }
        if self.is_busy() {
            let why = match self.job.concurrency {
                ConcurrencyPolicy::Allow => TriggerRefusal::Full(AT_ONCE),
                _ => TriggerRefusal::Busy(self.latest.clone()),
            };
            // Whoever does not wait for the answer does not miss it.
            let _ = order.answer.send(Err(why));
            return Ok(());
        }
        let now = self.clock.now();
        let name = Arc::clone(self.version.action.name());
        let mut firing = Firing::by_hand(&name, now);
        while firing.id == self.latest {
            firing = Firing::by_hand(&name, firing.scheduled + Duration::from_millis(1));
        }
        // Without an answer, the order is known not to have been looked at.
        if let Some(begun) = self.fire(&firing, now, is_wanted).await? {
            let _ = order.answer.send(Ok(begun));
        }
        Ok(())
    }

    /// Claims a firing, as long as it is wanted, and begins it once it is known to be claimed.
    async fn fire(
        &mut self,
        firing: &Firing,
        now: DateTime<Utc>,
        is_wanted: impl Fn() -> bool,
    ) -> Result<Option<TriggeredFiring>, TermOver> {
        // Before the look at the term: a drain that begins after it waits for the firing.
        let _held = self.tasks.hold();
        if self.version.is_leaving() {
            return Err(TermOver);
        }
        // What was to begin on time does so or is missed, however long the store takes.
        let due = firing.due(&self.job);
        let was_late = firing.by_hand || timetable::is_late(due, now);
        let is_late = || !was_late && timetable::is_late(due, self.clock.now());
        let in_time = || is_wanted() && !is_late();
        let (mark, missed) = (self.planner.mark(), self.planner.missed());
        match self.ledger.claim(mark, firing, missed, now, in_time).await? {
            Some((mark, page)) => {
                self.planner.claimed(mark);
                self.latest.clone_from(&firing.id);
                let never_late = !was_late && self.job.missed == MissedPolicy::Skip;
                Ok(Some(self.start_firing(page, never_late.then_some(due)).await))
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

    /// Begins what was claimed; if it is `due`, within a second of that or not at all.
    async fn start_firing(
        &mut self,
        page: NumberedRecord,
        due: Option<DateTime<Utc>>,
    ) -> TriggeredFiring {
        // What is missed takes nobody's place.
        let late = due.is_some_and(|due| timetable::is_late(due, self.clock.now()));
        if self.job.concurrency == ConcurrencyPolicy::Replace && !late {
            self.replaced.cancel();
            while let Some(ended) = self.under_way.next().await {
                self.on_firing_end(ended.ok().flatten());
            }
            self.replaced = CancellationToken::new();
        }
        let attempts = FiringAttempts {
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
        let place = Arc::clone(&self.running);
        let task = self.tasks.spawn(async move {
            let ended = attempts.run(page).await;
            drop(place);
            let record = ended?;
            let missed = (record.outcome == FiringOutcome::Missed).then_some(record.scheduled);
            // Mostly, nobody waits for it.
            let _ = tell.send(record);
            missed
        });
        self.under_way.push(task);
        TriggeredFiring { record, end }
    }
}

fn ids(records: &[FiringRecord]) -> impl Iterator<Item = String> {
    records.iter().map(|record| record.id.clone())
}
