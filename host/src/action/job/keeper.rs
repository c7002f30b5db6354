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
    super::{Tasks, running::Run},
    Jobs,
    attempts::{Attempts, told},
    course::{Act, Course},
    desk::{Begun, Declined, Order, Orders},
    firing::Firing,
    ledger::{Ledger, OpenedAs, Over, Page},
    record::{Outcome, Record},
    timetable,
};
use crate::wall_clock::WallClock;
use soloist_config::{Concurrency, JobConfig, Missed, moment};
use soloist_guests::plugin::{Kind, ServiceEntry};
use soloist_telemetry::{measure, repeats::Repeats};

/// So many firings of a job run side by side, where they may.
const AT_ONCE: usize = 16;
/// A wait is looked at anew after so long: a clock may be slowed down or hurried up
/// without being set.
const LOOK: Duration = Duration::from_secs(60);

/// What is left to say of a firing that has ended: its time, if it was missed after all.
type Ended = Option<DateTime<Utc>>;

/// Keeps one job.
pub(super) struct Keeper {
    run: Arc<Run>,
    entry: ServiceEntry,
    job: Arc<JobConfig>,
    ledger: Arc<Ledger>,
    clock: WallClock,
    orders: Orders,
    /// The firings that are under way.
    runs: Tasks,
    under_way: FuturesUnordered<JoinHandle<Option<Ended>>>,
    /// Each holds one of these until it has ended. It is given back before anybody is told
    /// of the end, so that whoever has waited for that finds the job free.
    places: Arc<()>,
    /// The latest of them, and what makes them give way.
    latest: String,
    replaced: CancellationToken,
    course: Course,
    /// What is said of firings that were dropped.
    dropped: Repeats,
}

/// Keeps the job of `run` to its schedule until that is leaving; `runs` own its firings.
pub(super) async fn keep(
    run: Arc<Run>,
    entry: ServiceEntry,
    job: Arc<JobConfig>,
    jobs: Jobs,
    runs: Tasks,
) {
    let (name, term) = (Arc::clone(run.action.name()), run.scope.term.clone());
    let told = Arc::clone(&run);
    let ledger = Ledger::new(Arc::clone(&name), term, jobs.ledger)
        .telling(move |trouble| told.action.board().job_trouble(trouble));
    let ledger = Arc::new(ledger);
    let schedule = job.schedule.to_string();
    let opened = ledger.open(jobs.clock.now(), &schedule, OpenedAs::First).await;
    let Ok((mark, records)) = opened else { return };
    let mut keeper = Keeper {
        orders: jobs.desk.open(&name),
        course: Course::new(name, mark, ids(&records)),
        run,
        entry,
        job,
        ledger,
        clock: jobs.clock,
        runs,
        under_way: FuturesUnordered::new(),
        places: Arc::new(()),
        latest: String::new(),
        replaced: CancellationToken::new(),
        dropped: Repeats::default(),
    };
    keeper.begin(&records);
    // Over: the term is, and so is this.
    let _: Result<(), Over> = keeper.keep().await;
}

impl Keeper {
    /// Shows that the job is up, and how its latest firing went.
    fn begin(&mut self, records: &[Record]) {
        self.run.up(Kind::Job);
        if self.job.schedule.is_over(self.clock.now()) {
            let name = self.run.action.name();
            warn!(
                event = "job-over", action = %name, schedule = %self.job.schedule,
                "job {name} never fires again, since the year of its schedule has passed: \
                 change that, or take the job away",
            );
        }
        let has_run =
            |record: &&Record| !matches!(record.outcome, Outcome::Replaced | Outcome::Missed);
        let latest = records.iter().rev().find(has_run);
        let wrong = latest.filter(|record| record.outcome != Outcome::Done);
        if let Some(record) = wrong {
            self.run.action.board().lock().last_error = Some(told(record));
        }
    }

    async fn keep(&mut self) -> Result<(), Over> {
        while !self.run.is_leaving() {
            while let Some(ended) = self.under_way.next().now_or_never().flatten() {
                self.heed(ended.ok().flatten());
            }
            let now = self.clock.now();
            let (leave, busy) = (self.clock.leave(now), self.is_busy());
            match self.course.next(&self.job, &leave, now, busy) {
                Act::Wait(until) => self.wait(now, until).await?,
                Act::Missed(to, count) => self.say_missed(to, count),
                Act::Anew => self.anew(now).await?,
                Act::Claim(firing) => self.fire(&firing, now, || true).await.map(drop)?,
            }
        }
        Ok(())
    }

    /// Whether no firing can begin beside those that are under way.
    fn is_busy(&self) -> bool {
        let count = Arc::strong_count(&self.places) - 1;
        match self.job.concurrency {
            Concurrency::Forbid => count > 0,
            Concurrency::Allow => count >= AT_ONCE,
            Concurrency::Replace => false,
        }
    }

    /// Until something is to be done, as far as is known now.
    async fn wait(&mut self, now: DateTime<Utc>, until: Option<DateTime<Utc>>) -> Result<(), Over> {
        let access = Arc::clone(&self.run.access);
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
            Some(ended) = self.under_way.next() => self.heed(ended.ok().flatten()),
            Some(order) = self.orders.next() => self.fire_by_hand(order).await?,
            () = self.clock.changed() => {}
            () = timer => {}
        }
        Ok(())
    }

    /// A firing has ended.
    fn heed(&mut self, ended: Option<Ended>) {
        if let Some(missed) = ended.flatten() {
            self.course.missed_one();
            self.say_missed(missed, 1);
        }
    }

    fn say_missed(&self, to: DateTime<Utc>, count: u64) {
        let (name, term) = (self.run.action.name(), self.run.gate().term());
        measure::job_missed(name, count);
        self.dropped.happened(|told| {
            warn!(
                event = "job-missed", action = %name, group = %term.group, token = term.token.0,
                count, missed = %self.job.missed,
                "job {name} missed {count} firings up to {}, which are dropped{told}",
                moment(to),
            );
        });
    }

    /// A host with a wrong clock has led, or this one's was set back by days.
    async fn anew(&mut self, now: DateTime<Utc>) -> Result<(), Over> {
        let name = self.run.action.name();
        let ahead = moment(self.course.mark().claimed.end_around(now).unwrap_or(now));
        warn!(
            event = "job-anew", action = %name,
            "job {name} has fired up to {ahead}, more than a day ahead of this host's clock: \
             is the clock right, here and on the other hosts? It goes on from {}", moment(now),
        );
        let schedule = self.job.schedule.to_string();
        let (mark, records) = self.ledger.open(now, &schedule, OpenedAs::Anew).await?;
        self.course.goes_on(mark, ids(&records));
        Ok(())
    }

    async fn fire_by_hand(&mut self, order: Order) -> Result<(), Over> {
        let is_wanted = || !order.answer.is_closed();
        if !is_wanted() {
            return Ok(());
        }
        if self.is_busy() {
            let why = match self.job.concurrency {
                Concurrency::Allow => Declined::Full(AT_ONCE),
                _ => Declined::Busy(self.latest.clone()),
            };
            // Whoever does not wait for the answer does not miss it.
            let _ = order.answer.send(Err(why));
            return Ok(());
        }
        let now = self.clock.now();
        let name = Arc::clone(self.run.action.name());
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
    ) -> Result<Option<Begun>, Over> {
        // Before the look at the term: a drain that begins after it waits for the firing.
        let _held = self.runs.occupy();
        if self.run.is_leaving() {
            return Err(Over);
        }
        // What was to begin on time does so or is missed, however long the store takes.
        let due = firing.due(&self.job);
        let was_late = firing.by_hand || timetable::is_late(due, now);
        let is_late = || !was_late && timetable::is_late(due, self.clock.now());
        let in_time = || is_wanted() && !is_late();
        let (mark, missed) = (self.course.mark(), self.course.missed());
        match self.ledger.claim(mark, firing, missed, now, in_time).await? {
            Some((mark, page)) => {
                self.course.claimed(mark);
                self.latest.clone_from(&firing.id);
                let never_late = !was_late && self.job.missed == Missed::Skip;
                Ok(Some(self.begin_run(page, never_late.then_some(due)).await))
            }
            None => {
                let schedule = self.job.schedule.to_string();
                let (mark, records) = self.ledger.open(now, &schedule, OpenedAs::Again).await?;
                self.course.goes_on(mark, ids(&records));
                Ok(None)
            }
        }
    }

    /// Begins what was claimed; if it is `due`, within a second of that or not at all.
    async fn begin_run(&mut self, page: Page, due: Option<DateTime<Utc>>) -> Begun {
        // What is missed takes nobody's place.
        let late = due.is_some_and(|due| timetable::is_late(due, self.clock.now()));
        if self.job.concurrency == Concurrency::Replace && !late {
            self.replaced.cancel();
            while let Some(ended) = self.under_way.next().await {
                self.heed(ended.ok().flatten());
            }
            self.replaced = CancellationToken::new();
        }
        let attempts = Attempts {
            run: Arc::clone(&self.run),
            entry: self.entry.clone(),
            job: Arc::clone(&self.job),
            ledger: Arc::clone(&self.ledger),
            clock: self.clock.clone(),
            due,
            replaced: self.replaced.clone(),
        };
        let record = page.record.clone();
        let (tell, end) = oneshot::channel();
        let place = Arc::clone(&self.places);
        let task = self.runs.spawn(async move {
            let ended = attempts.carry_out(page).await;
            drop(place);
            let record = ended?;
            let missed = (record.outcome == Outcome::Missed).then_some(record.scheduled);
            // Mostly, nobody waits for it.
            let _ = tell.send(record);
            missed
        });
        self.under_way.push(task);
        Begun { record, end }
    }
}

fn ids(records: &[Record]) -> impl Iterator<Item = String> {
    records.iter().map(|record| record.id.clone())
}
