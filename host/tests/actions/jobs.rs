//! Jobs: when they fire, what their guests are told, how they end and what is recorded.

mod clock;

use std::{sync::Arc, time::Duration};

use soloist::action::{Action, ActionState, PrepareError, RECORDS_MAX, TriggerRefusal, history};
use soloist_config::{
    ActionConfig, CatchUpPolicy, FolderMount, Grants, JobConfig, OverlapPolicy, Schedule, moment,
};
use soloist_guests::capability::TermNotice;
use soloist_jobs::{RunOutcome, RunRecord};
use tokio::time::{sleep, timeout};

use crate::rig::{
    PATIENCE, RunningAction, TestStore, config, free_address, guest_file, prepare_as,
};

/// A job that runs only on request.
pub(crate) fn on_demand() -> JobConfig {
    JobConfig {
        schedule: Schedule::OnDemand,
        jitter: Duration::ZERO,
        catch_up: CatchUpPolicy::Skip,
        overlap: OverlapPolicy::Forbid,
        run_timeout: Duration::from_secs(3600),
        max_attempts: 1,
    }
}

fn every_second() -> JobConfig {
    JobConfig { schedule: Schedule::Every(Duration::from_secs(1)), ..on_demand() }
}

/// The guest `job`, which does what `orders` say.
pub(crate) fn doing(orders: &str, job: JobConfig) -> ActionConfig {
    let grants = Grants { args: words(orders), ..Grants::default() };
    granted(grants, job)
}

fn granted(grants: Grants, job: JobConfig) -> ActionConfig {
    ActionConfig {
        name: "report".into(),
        grants: grants.into(),
        job: Some(job),
        ..config(guest_file("job"), free_address())
    }
}

fn words(orders: &str) -> Vec<String> {
    orders.split(' ').map(str::to_owned).collect()
}

async fn started(world: &TestStore, config: ActionConfig) -> RunningAction {
    world.start(prepare_as(config)).await
}

async fn kept(world: &TestStore) -> Vec<RunRecord> {
    let ledger = world.store.ledger().unwrap();
    history(&*ledger, "report", RECORDS_MAX as usize).await.unwrap().1
}

/// Polls the records until `wanted` accepts them; the store sends no notifications.
async fn kept_until(
    world: &TestStore,
    what: &str,
    wanted: impl Fn(&[RunRecord]) -> bool,
) -> Vec<RunRecord> {
    let wait = async {
        loop {
            let records = kept(world).await;
            if wanted(&records) {
                return records;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    let found = timeout(PATIENCE, wait).await;
    match found {
        Ok(records) => records,
        Err(_) => panic!("{what}: not so in {:#?}", kept(world).await),
    }
}

/// Triggers the job, and waits for its end.
async fn run(rig: &RunningAction) -> RunRecord {
    let begun = rig.triggers.trigger("report").await.unwrap();
    assert_eq!(begun.record.outcome, RunOutcome::Running);
    let ended = timeout(PATIENCE, begun.end).await.expect("it ends").expect("the term goes on");
    assert_eq!(ended.id, begun.record.id);
    ended
}

#[tokio::test(flavor = "multi_thread")]
async fn it_fires_by_its_schedule_and_is_told_of_what() {
    let world = TestStore::new();
    let forged = [("SOLOIST_FENCING_TOKEN".to_owned(), "forged".to_owned())].into();
    let grants = Grants { args: words("say"), env: forged, ..Grants::default() };
    let rig = started(&world, granted(grants, every_second())).await;
    assert_eq!(rig.action.kinds().to_string(), "job");
    let three = |records: &[RunRecord]| records.iter().filter(|it| it.is_over()).count() >= 3;
    let records = kept_until(&world, "three runs", three).await;
    let fencing_token = rig.key.fencing_token.0;
    for record in &records[..3] {
        let scheduled = moment(record.scheduled_at);
        assert_eq!(record.id, format!("report@{scheduled}"));
        assert_eq!(record.output, format!("{} {scheduled} 1 {fencing_token}\n", record.id));
        assert_eq!(
            (record.outcome, record.exit_code, record.fencing_token),
            (RunOutcome::Done, Some(0), fencing_token)
        );
        assert!(
            record.started_at >= record.scheduled_at
                && record.ended_at.unwrap() >= record.started_at
        );
    }
    assert_eq!((rig.action.status().state, rig.engine.live_instances()), (ActionState::Running, 0));
    rig.stop().await;
}

/// The log says it once a term.
#[tokio::test(flavor = "multi_thread")]
async fn each_failed_run_says_what_it_was_denied() {
    let world = TestStore::new();
    let rig = started(&world, doing("dial exit 7", on_demand())).await;
    for _ in 0..2 {
        let error = run(&rig).await.error.unwrap();
        assert!(error.contains("; socket denied: `sockets = [\"tcp://192.0.2.1:9\"]`"), "{error}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_shown_until_it_runs_well_and_ends_no_term() {
    let (world, notes) = (TestStore::new(), tempfile::tempdir().unwrap());
    let folder =
        FolderMount { source: notes.path().to_owned(), target: "/notes".into(), read_only: false };
    // The first attempt fails, and leaves a file as a mark.
    let grants = Grants { args: words("trip"), mounts: vec![folder], ..Grants::default() };
    let mut rig = started(&world, granted(grants, on_demand())).await;
    let failed = run(&rig).await;
    assert_eq!((failed.outcome, failed.exit_code), (RunOutcome::Failed, Some(1)));
    let error = rig.action.status().last_error.unwrap();
    assert_eq!(error, format!("{} failed: it exited with code 1", failed.id));
    assert_eq!(rig.action.status().state, ActionState::Running);
    assert!(rig.failures.try_recv().is_err(), "the action goes on");
    assert_eq!(run(&rig).await.outcome, RunOutcome::Done);
    assert_eq!(rig.action.status().last_error, None);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_tried_again_under_the_same_id() {
    let world = TestStore::new();
    let job = JobConfig { max_attempts: 3, ..on_demand() };
    let rig = started(&world, doing("say until 3", job)).await;
    let record = run(&rig).await;
    assert_eq!((record.outcome, record.attempt, record.exit_code), (RunOutcome::Done, 3, Some(0)));
    // Only the output of the last attempt is kept.
    assert!(record.output.starts_with(&record.id) && record.output.lines().count() == 1);
    assert!(record.output.contains(" 3 "), "{}", record.output);
    // Each retry comes after a pause.
    assert!(record.ended_at.unwrap() - record.started_at > chrono::TimeDelta::milliseconds(1400));
    rig.stop().await;

    let world = TestStore::new();
    let job = JobConfig { max_attempts: 2, ..on_demand() };
    let rig = started(&world, doing("until 3", job)).await;
    let record = run(&rig).await;
    assert_eq!(
        (record.outcome, record.attempt, record.exit_code),
        (RunOutcome::Failed, 2, Some(1))
    );
    assert_eq!(record.output, "not yet\n");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_takes_too_long_or_traps_has_failed() {
    for (orders, error) in [
        ("spin", "it took longer than 300ms; raise `run_timeout` if it needs more time"),
        ("wait 60000", "it took longer than 300ms; raise `run_timeout` if it needs more time"),
        ("trap", "it trapped: wasm trap: wasm `unreachable` instruction executed"),
        // WASI 0.2 knows only success and failure.
        ("exit 9", "it exited with code 1"),
    ] {
        let world = TestStore::new();
        let job = JobConfig { run_timeout: Duration::from_millis(300), ..on_demand() };
        let rig = started(&world, doing(orders, job)).await;
        let record = run(&rig).await;
        assert_eq!(record.outcome, RunOutcome::Failed);
        assert_eq!(record.error.as_deref(), Some(error));
        rig.instances(0).await;
        rig.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_meet_as_the_settings_say() {
    let world = TestStore::new();
    let job = |concurrency| JobConfig { overlap: concurrency, ..on_demand() };
    let rig = started(&world, doing("wait 600000", job(OverlapPolicy::Forbid))).await;
    let first = rig.triggers.trigger("report").await.unwrap();
    let busy = rig.triggers.trigger("report").await.unwrap_err();
    assert_eq!(busy, TriggerRefusal::Busy(first.record.id));
    rig.stop().await;

    let world = TestStore::new();
    let rig = started(&world, doing("wait 600000", job(OverlapPolicy::Replace))).await;
    let first = rig.triggers.trigger("report").await.unwrap();
    let second = rig.triggers.trigger("report").await.unwrap();
    let first = timeout(PATIENCE, first.end).await.unwrap().unwrap();
    assert_eq!(first.outcome, RunOutcome::Replaced);
    rig.instances(1).await;
    let records = kept(&world).await;
    assert_eq!(records.last().unwrap().id, second.record.id);
    assert!(!records.last().unwrap().is_over());
    rig.stop().await;

    let world = TestStore::new();
    let rig = started(&world, doing("wait 600000", job(OverlapPolicy::Allow))).await;
    for _ in 0..16 {
        rig.triggers.trigger("report").await.unwrap();
    }
    rig.instances(16).await;
    // The limit is reached, whatever run came before.
    assert_eq!(rig.triggers.trigger("report").await.unwrap_err(), TriggerRefusal::Full(16));
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_stop_cuts_off_is_interrupted_and_not_run_again() {
    let world = TestStore::new();
    let job = JobConfig { catch_up: CatchUpPolicy::All, ..every_second() };
    let rig = started(&world, doing("spin", job.clone())).await;
    kept_until(&world, "one runs", |records| records.len() == 1).await;
    rig.instances(1).await;
    let key = rig.key.clone();
    rig.stop().await;
    world.store.resign(&key).await.unwrap();

    let rig = started(&world, doing("say", job)).await;
    let more =
        |records: &[RunRecord]| records.len() >= 3 && records[..3].iter().all(RunRecord::is_over);
    let records = kept_until(&world, "more of them", more).await;
    assert_eq!(records[0].outcome, RunOutcome::Interrupted);
    assert_eq!(
        records[0].error.as_deref(),
        Some("a lost its leadership, or stopped, while this ran")
    );
    // All missed runs follow, each once.
    for (earlier, later) in records.iter().zip(&records[1..]) {
        assert_eq!(
            later.scheduled_at - earlier.scheduled_at,
            chrono::TimeDelta::seconds(1),
            "{records:?}"
        );
    }
    assert!(records[1].fencing_token > records[0].fencing_token);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_lets_it_finish_and_begins_nothing() {
    let world = TestStore::new();
    let mut rig = started(&world, doing("wait 1500 say", every_second())).await;
    rig.instances(1).await;
    rig.gate.drain();
    timeout(PATIENCE, rig.running.drain()).await.expect("it finishes");
    assert_eq!(rig.engine.live_instances(), 0);
    let records = kept(&world).await;
    assert_eq!((records.len(), records[0].outcome), (1, RunOutcome::Done), "{records:?}");
    assert_eq!(rig.triggers.trigger("report").await.unwrap_err(), TriggerRefusal::NotHere);
    rig.stop().await;
}

/// Retries belong to one term: what a hand-over leaves of them is not continued by the next leader,
/// and the history says so.
#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_the_retries_and_says_so() {
    let world = TestStore::new();
    let job = JobConfig { max_attempts: 101, ..on_demand() };
    let mut rig = started(&world, doing("exit 1", job)).await;
    let begun = rig.triggers.trigger("report").await.unwrap();
    rig.gate.drain();
    timeout(PATIENCE, rig.running.drain()).await.expect("it pauses no longer");
    let record = timeout(PATIENCE, begun.end).await.unwrap().unwrap();
    assert_eq!(record.outcome, RunOutcome::Failed);
    assert_eq!(
        record.error.as_deref(),
        Some("it exited with code 1; it was not tried again, since the leadership was given up")
    );
    assert_eq!(kept(&world).await, [record]);
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_fenced_begins_nothing() {
    let world = TestStore::new();
    let mut rig = started(&world, doing("say", on_demand())).await;
    run(&rig).await;
    // Another host leads, and this one does not know it yet.
    world.store.resign(&rig.key).await.unwrap();
    assert_eq!(rig.triggers.trigger("report").await.unwrap_err(), TriggerRefusal::NotHere);
    assert_eq!(rig.notices.recv().await, Some(TermNotice::Fenced));
    assert!(rig.gate.is_revoked());
    assert_eq!((kept(&world).await.len(), rig.engine.live_instances()), (1, 0));
    rig.stop().await;
}

/// A replaced version starts nothing more, and the run that it has may finish before the next
/// version fires.
#[tokio::test(flavor = "multi_thread")]
async fn versions_do_not_overlap() {
    let world = TestStore::new();
    let mut rig = started(&world, doing("wait 1200", every_second())).await;
    rig.instances(1).await;
    let newer = Action::prepare(&doing("say", every_second()), &rig.engine).unwrap();
    rig.running.set(&[newer]);
    timeout(PATIENCE, rig.running.started()).await.expect("it comes up").unwrap();
    let records = kept_until(&world, "the newer one", |records| {
        records.iter().any(|record| record.outcome == RunOutcome::Done && !record.output.is_empty())
    })
    .await;
    assert!(records.iter().all(|record| record.outcome != RunOutcome::Interrupted), "{records:?}");
    for (earlier, later) in records.iter().zip(&records[1..]) {
        assert!(later.started_at >= earlier.ended_at.unwrap(), "{records:?}");
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_program_there_is_no_job() {
    let config = ActionConfig { plugin: guest_file("i-am-server"), ..doing("say", on_demand()) };
    let engine = Arc::new(soloist_guests::plugin::PluginEngine::new(None).unwrap());
    let refused = Action::prepare(&config, &engine).unwrap_err();
    assert!(matches!(refused, PrepareError::NoProgram { .. }));
    assert!(refused.to_string().contains("exports no `wasi:cli/run`"), "{refused}");
}

/// Without a schedule, the same component is a service.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_schedule_it_is_a_service() {
    let action = prepare_as(ActionConfig { job: None, ..doing("say", on_demand()) });
    assert_eq!(action.1.kinds().to_string(), "service");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_as_quick_as_ever() {
    let world = TestStore::new();
    let job = JobConfig { overlap: OverlapPolicy::Allow, ..on_demand() };
    let rig = started(&world, doing("spin", job)).await;
    for _ in 0..8 {
        rig.triggers.trigger("report").await.unwrap();
    }
    rig.instances(8).await;
    rig.stop().await;
}
