//! Jobs on a clock that the test controls: thousands of them, summer time, and a clock that is set
//! forward and back. Time is tokio's, paused; the store is in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use soloist::{
    action::{
        Action, ActionDirectory, GroupTerm, JobServices, JobTriggers, RECORDS_MAX, TermServices,
        history,
    },
    task_scope::TaskScope,
    wall_clock::WallClock,
};
use soloist_config::{ActionConfig, CatchUpPolicy, JobConfig, Schedule, moment};
use soloist_guests::{capability::TermLink, plugin::PluginEngine};
use soloist_heart::{
    LeaderKey, LeaseId,
    clock::{BootTime, ClockComparison, ClockVerdict},
};
use soloist_jobs::{RunOutcome, RunRecord};
use soloist_stores::{StateEntry, StateStore, StateWrite, StoreError, WriteGuard};
use tokio::{
    sync::{mpsc::unbounded_channel, watch},
    time::{Instant, sleep},
};

use super::{doing, on_demand};
use crate::rig::{PATIENCE, gate};

type StoredEntries = BTreeMap<(String, String), StateEntry>;

/// A store in memory: it answers at once unless it is slow, and is never lost.
#[derive(Default)]
struct MemoryStore {
    kept: Mutex<(StoredEntries, i64)>,
    /// How long a write takes.
    slow: Mutex<Duration>,
}

#[async_trait]
impl StateStore for MemoryStore {
    async fn get(
        &self,
        action: &str,
        keys: &[String],
    ) -> Result<Vec<Option<StateEntry>>, StoreError> {
        let kept = self.kept.lock().unwrap();
        let found = keys.iter().map(|key| kept.0.get(&(action.to_owned(), key.clone())).cloned());
        Ok(found.collect())
    }

    async fn list(&self, _: &str, _: Option<&str>, _: usize) -> Result<Vec<String>, StoreError> {
        Ok(Vec::new())
    }

    async fn size(&self, _: &str) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn write(
        &self,
        _: WriteGuard<'_>,
        action: &str,
        all: &[StateWrite],
    ) -> Result<i64, StoreError> {
        let slow = *self.slow.lock().unwrap();
        if !slow.is_zero() {
            sleep(slow).await;
        }
        let (kept, version) = &mut *self.kept.lock().unwrap();
        let key = |write: &StateWrite| (action.to_owned(), write.key.clone());
        let found = |write: &StateWrite| kept.get(&key(write)).map_or(0, |entry| entry.version);
        if all.iter().any(|write| write.only_if.is_some_and(|wanted| wanted != found(write))) {
            return Err(StoreError::Conflict);
        }
        *version += 1;
        for write in all {
            match &write.value {
                Some(value) => {
                    kept.insert(key(write), StateEntry { value: value.clone(), version: *version });
                }
                None => drop(kept.remove(&key(write))),
            }
        }
        Ok(0)
    }
}

/// Wall time that follows tokio's clock, unless it is set.
struct TestClock {
    ahead: Arc<Mutex<TimeDelta>>,
    set: watch::Sender<()>,
    clock: WallClock,
}

impl TestClock {
    fn beginning(at: &str) -> Self {
        let (begin, from) = (at.parse::<DateTime<Utc>>().unwrap(), Instant::now());
        let ahead = Arc::new(Mutex::new(TimeDelta::zero()));
        let (set, changes) = watch::channel(());
        let shared = Arc::clone(&ahead);
        let read = move || begin + from.elapsed() + *shared.lock().unwrap();
        Self { ahead, set, clock: WallClock::new(read, changes) }
    }

    /// Sets the clock forward or back.
    fn set_by(&self, span: TimeDelta) {
        *self.ahead.lock().unwrap() += span;
        self.set.send_replace(());
    }
}

/// A leader on a paused clock.
struct JobScene {
    engine: Arc<PluginEngine>,
    memory: Arc<MemoryStore>,
    wall: TestClock,
    scope: TermServices,
    stage: GroupTerm,
}

impl JobScene {
    fn at(begin: &str) -> Self {
        let cache = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("compiled");
        let engine = Arc::new(PluginEngine::new(Some(cache)).unwrap());
        let (memory, wall) = (Arc::new(MemoryStore::default()), TestClock::beginning(begin));
        let scope = scope(&memory, &wall);
        let stage = GroupTerm::new(scope.clone());
        Self { engine, memory, wall, scope, stage }
    }

    async fn start(&mut self, configs: impl IntoIterator<Item = ActionConfig>) {
        let actions: Vec<_> = configs
            .into_iter()
            .map(|config| Action::prepare(&config, &self.engine).unwrap())
            .collect();
        self.stage.set(&actions);
        self.stage.started().await.unwrap();
    }

    async fn kept(&self, name: &str) -> Vec<RunRecord> {
        history(&*self.memory, name, RECORDS_MAX as usize).await.unwrap().1
    }

    /// The scheduled times of the runs that were started, as in their ids.
    async fn begun(&self, name: &str) -> Vec<String> {
        let records = self.kept(name).await;
        assert!(records.iter().all(|record| record.outcome == RunOutcome::Done), "{records:?}");
        records.iter().map(|record| moment(record.scheduled_at)).collect()
    }

    async fn stop(self) {
        self.scope.term.gate.close();
        self.stage.stop().await;
        assert_eq!((self.scope.tasks.len(), self.engine.live_instances()), (0, 0));
    }
}

fn scope(memory: &Arc<MemoryStore>, wall: &TestClock) -> TermServices {
    let gate = gate(1, BootTime::NEVER);
    let term = gate.term();
    let key = LeaderKey::new(term.group.clone(), "main/1", LeaseId(1), term.fencing_token.0);
    let state: Arc<dyn StateStore> = Arc::clone(memory) as _;
    let notices = unbounded_channel().0;
    let term = TermLink { gate, key, state: Arc::clone(&state), notices, task_caller: None };
    let jobs =
        JobServices { ledger: state, triggers: JobTriggers::default(), clock: wall.clock.clone() };
    let (failures, lobby) = (unbounded_channel().0, ActionDirectory::default());
    TermServices {
        term,
        tasks: TaskScope::new(),
        failures,
        directory: lobby,
        jobs,
        drain: PATIENCE,
    }
}

/// A job that does nothing, with a cron pattern in Berlin time.
fn job(name: &str, pattern: &str, missed: CatchUpPolicy) -> ActionConfig {
    let cron = Box::new(pattern.parse().unwrap());
    let schedule = Schedule::Cron(cron, chrono_tz::Europe::Berlin);
    ActionConfig {
        name: name.into(),
        ..doing("say", JobConfig { schedule, catch_up: missed, ..on_demand() })
    }
}

async fn hours(count: u64) {
    sleep(Duration::from_secs(count * 3600)).await;
}

#[tokio::test(start_paused = true)]
async fn thousands_fire_when_they_should() {
    const JOBS: usize = 2000;
    let mut world = JobScene::at("2026-11-22T03:00:30Z");
    let each = |number: usize| {
        let (every, jitter) = (Duration::from_secs(60), Duration::from_secs(45));
        let job = JobConfig { schedule: Schedule::Every(every), jitter, ..on_demand() };
        ActionConfig { name: format!("job-{number}").into(), ..doing("say", job) }
    };
    world.start((0..JOBS).map(each)).await;
    sleep(Duration::from_secs(180)).await;
    let mut late = TimeDelta::zero();
    let mut spread = 0;
    for number in 0..JOBS {
        let records = world.kept(&format!("job-{number}")).await;
        let count = records.iter().filter(|record| record.outcome == RunOutcome::Done).count();
        // Some runs of 3:03 have started, and others have a longer jitter.
        assert!((2..=3).contains(&count) && records.len() == count, "{records:?}");
        for (record, minute) in records.iter().zip(1..) {
            let scheduled = "2026-11-22T03:00:00Z".parse::<DateTime<Utc>>().unwrap();
            assert_eq!(record.scheduled_at, scheduled + TimeDelta::minutes(minute));
            let put_off = record.started_at - record.scheduled_at;
            late = late.max(put_off);
            spread += usize::from(put_off > TimeDelta::seconds(22));
        }
    }
    assert!(late < TimeDelta::seconds(46), "one was {late} late");
    // About half of them are in the second half of the jitter.
    assert!((JOBS / 2..JOBS * 2).contains(&spread), "{spread} were put off by half of it");
    world.stop().await;
}

/// In 2026 Berlin has no 2:00 to 3:00 on March 29, and has it twice on October 25.
#[tokio::test(start_paused = true)]
async fn summer_time_begins_and_ends() {
    let mut world = JobScene::at("2026-03-28T12:30:00Z");
    let jobs = [("daily", "30 2 * * *"), ("hourly", "0 * * * *")];
    world.start(jobs.map(|(name, pattern)| job(name, pattern, CatchUpPolicy::Skip))).await;
    hours(48).await;
    assert_eq!(world.begun("daily").await, ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    assert_eq!(world.begun("hourly").await.len(), 48);
    world.stop().await;

    let mut world = JobScene::at("2026-10-24T12:30:00Z");
    world.start(jobs.map(|(name, pattern)| job(name, pattern, CatchUpPolicy::Skip))).await;
    hours(48).await;
    assert_eq!(world.begun("daily").await, ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
    assert_eq!(world.begun("hourly").await.len(), 48);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_forwards_misses_runs() {
    let mut world = JobScene::at("2026-11-22T03:30:00Z");
    let modes = [
        ("skip", CatchUpPolicy::Skip),
        ("once", CatchUpPolicy::Latest),
        ("all", CatchUpPolicy::All),
    ];
    world.start(modes.map(|(name, missed)| job(name, "0 * * * *", missed))).await;
    hours(1).await;
    world.wall.set_by(TimeDelta::hours(3));
    // At once, and not when an earlier timer ends.
    sleep(Duration::from_secs(1)).await;
    let begun = |hours: &[u32]| -> Vec<_> {
        hours.iter().map(|hour| format!("2026-11-22T{hour:02}:00:00Z")).collect()
    };
    assert_eq!(world.begun("skip").await, begun(&[4]));
    assert_eq!(world.begun("once").await, begun(&[4, 7]));
    assert_eq!(world.begun("all").await, begun(&[4, 5, 6, 7]));
    assert_eq!(world.kept("once").await[1].missed_runs, 2);
    hours(1).await;
    assert_eq!(world.begun("skip").await, begun(&[4, 8]));
    assert_eq!(world.begun("once").await, begun(&[4, 7, 8]));
    assert_eq!(world.begun("all").await, begun(&[4, 5, 6, 7, 8]));
    assert_eq!(world.kept("skip").await[1].missed_runs, 3);
    world.stop().await;
}

/// A claim that takes five seconds: a job that must not start late misses the run, and one that
/// starts late says so.
#[tokio::test(start_paused = true)]
async fn what_a_slow_store_holds_up_is_missed_or_says_when_it_began() {
    let mut world = JobScene::at("2026-11-22T03:59:30Z");
    let modes = [
        ("skip", CatchUpPolicy::Skip),
        ("once", CatchUpPolicy::Latest),
        ("all", CatchUpPolicy::All),
    ];
    world.start(modes.map(|(name, missed)| job(name, "0 * * * *", missed))).await;
    sleep(Duration::from_secs(20)).await;
    *world.memory.slow.lock().unwrap() = Duration::from_secs(5);
    sleep(Duration::from_secs(60)).await;
    *world.memory.slow.lock().unwrap() = Duration::ZERO;
    let held_up = TimeDelta::seconds(5);
    let skip = world.kept("skip").await;
    assert_eq!((skip.len(), skip[0].outcome), (1, RunOutcome::Missed), "{skip:?}");
    assert!(skip[0].output.is_empty() && skip[0].error.is_some(), "{skip:?}");
    for name in ["once", "all"] {
        let late = world.kept(name).await;
        assert_eq!((late.len(), late[0].outcome), (1, RunOutcome::Done), "{late:?}");
        assert!(late[0].started_at - late[0].scheduled_at >= held_up, "{late:?}");
    }
    hours(1).await;
    for (name, missed) in [("skip", 1), ("once", 0), ("all", 0)] {
        let next = world.kept(name).await.pop().unwrap();
        assert_eq!((next.outcome, next.missed_runs), (RunOutcome::Done, missed), "{next:?}");
        assert!(next.started_at - next.scheduled_at <= TimeDelta::seconds(1), "{next:?}");
    }
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_back_runs_nothing_again() {
    let mut world = JobScene::at("2026-11-22T03:30:00Z");
    world.start([job("all", "0 * * * *", CatchUpPolicy::All)]).await;
    hours(2).await;
    // It is 5:30, and then 3:05 again.
    world.wall.set_by(TimeDelta::minutes(-145));
    hours(2).await;
    let twice = ["2026-11-22T04:00:00Z", "2026-11-22T05:00:00Z"];
    assert_eq!(world.begun("all").await, twice);
    hours(1).await;
    assert_eq!(world.begun("all").await[2..], ["2026-11-22T06:00:00Z"]);
    world.stop().await;
}

/// The next leader, whose clock is right, runs what a leader 20 hours ahead only passed over, and
/// not what that one has started.
#[tokio::test(start_paused = true)]
async fn a_clock_that_was_hours_ahead_silences_nothing() {
    let mut world = JobScene::at("2026-11-22T03:30:00Z");
    world.start([job("job", "0 * * * *", CatchUpPolicy::Skip)]).await;
    hours(1).await;
    world.wall.set_by(TimeDelta::hours(20));
    hours(2).await;
    world.wall.set_by(TimeDelta::hours(-20));
    hours(21).await;
    let begun = world.begun("job").await;
    let times: Vec<_> = begun.iter().map(|at| &at[8..13]).collect();
    assert_eq!(times[..5], ["22T04", "23T01", "23T02", "22T07", "22T08"]);
    // From seven in the morning on each hour has one, and those of the night do not come again.
    assert_eq!(times[times.len() - 3..], ["22T23", "23T00", "23T03"]);
    assert_eq!(times.len(), 3 + 18 + 1);
    world.stop().await;
}

/// A job on a clock that other hosts contradict starts nothing until the clock is set.
#[tokio::test(start_paused = true)]
async fn a_clock_that_is_known_to_be_wrong_claims_nothing() {
    let mut world = JobScene::at("2026-11-22T03:30:00Z");
    let (tell, compared) = watch::channel(None);
    let clock = world.wall.clock.clone().compared_by(compared);
    world.scope.jobs.clock = clock.clone();
    // The former tasks ended with the former term.
    world.scope.tasks = TaskScope::new();
    world.stage = GroupTerm::new(world.scope.clone());
    world.start([job("job", "* * * * *", CatchUpPolicy::Skip)]).await;
    hours(1).await;
    assert_eq!(world.begun("job").await, [""; 0], "nothing is known yet");
    let say = |verdict| {
        let comparison = ClockComparison::new(verdict, clock.now(), BootTime::now());
        drop(tell.send_replace(Some(comparison)));
    };
    say(ClockVerdict::Wrong(TimeDelta::minutes(-2)));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(world.begun("job").await, [""; 0]);
    say(ClockVerdict::Off(TimeDelta::seconds(2)));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(world.begun("job").await, ["2026-11-22T04:30:00Z"]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_days_ahead_is_not_waited_for() {
    let mut world = JobScene::at("2026-11-29T03:30:00Z");
    world.start([job("job", "0 * * * *", CatchUpPolicy::Skip)]).await;
    hours(1).await;
    world.wall.set_by(TimeDelta::days(-7));
    hours(2).await;
    let begun = world.begun("job").await;
    assert_eq!(begun, ["2026-11-29T04:00:00Z", "2026-11-22T05:00:00Z", "2026-11-22T06:00:00Z"]);
    // It is 3:55 on the 29th again. What is known to have been started is not started again.
    world.wall.set_by(TimeDelta::days(7) - TimeDelta::minutes(155));
    hours(2).await;
    assert_eq!(world.begun("job").await[3..], ["2026-11-29T05:00:00Z"]);
    world.stop().await;
}
