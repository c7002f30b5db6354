//! Services: they run, they are restarted, they are given up.

use std::time::Duration;

use soloist::action::ActionState;
use soloist_config::{ActionConfig, Grants, RestartPolicy};
use soloist_heart::clock::BootTime;
use tokio::time::{sleep, timeout};

use crate::{
    log::Log,
    rig::{
        PATIENCE, RunningAction, TestStore, config, free_address, gate, guest_file, prepare,
        prepare_as, prepare_with, until,
    },
};

#[tokio::test(flavor = "multi_thread")]
async fn what_it_prints_is_logged() {
    let log = Log::of_all();
    let rig = RunningAction::up("job-runner").await;
    until("the first unit is done", || log.text().contains("unit 1: 9592 primes")).await;
    rig.stop().await;
    let text = log.text();
    let line = text.lines().find(|line| line.contains("unit 1")).unwrap();
    for part in [
        "INFO plugin:",
        "action=web",
        "fencing_token=1",
        "stream=\"stdout\"",
        "(host a, fencing token 1)",
    ] {
        assert!(line.contains(part), "{part} is missing: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_says_with_a_level_is_logged_with_that() {
    let log = Log::of_all();
    let rig = RunningAction::up("service-levels").await;
    until("it is done", || rig.action.status().state == ActionState::Done).await;
    let text = log.text();
    for (level, stream) in [("INFO", "info"), ("WARN", "warn"), ("ERROR", "error")] {
        let said = format!("levels: this is {stream}");
        let line = text.lines().find(|line| line.contains(&said)).unwrap();
        assert!(line.contains(&format!("{level} plugin:")), "{line}");
        assert!(line.contains(&format!("stream=\"{stream}\"")), "{line}");
    }
    assert!(text.contains("stream=\"critical\""), "it is an error, and kept as what it was");
    let long = text.lines().find(|line| line.contains("ää")).unwrap();
    assert!(long.len() < 9_000, "a line of {} bytes", long.len());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_heeds_the_end_is_waited_for() {
    let (world, grants) = (TestStore::new(), Grants { state: true, ..Grants::default() });
    let log = Log::of_all();
    let prepared = prepare_with("service-farewell", grants);
    let mut rig = world.start(prepared).await;
    let fencing_token = rig.gate.term().fencing_token.0.to_string();
    until("it heeds", || log.text().contains("before: nobody")).await;
    rig.gate.drain();
    timeout(PATIENCE, rig.running.drain()).await.expect("it is told");
    assert_eq!(rig.engine.live_instances(), 0, "it has ended");
    let state = world.store.state().unwrap();
    let last = state.get("web", &["last".into()]).await.unwrap();
    assert_eq!(last[0].as_ref().unwrap().value, fencing_token);
    let status = rig.action.status();
    assert_eq!((status.state, status.restarts), (ActionState::Draining, 0));
    assert_eq!(status.last_error, None, "to leave is no trouble");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_until_it_is_stopped() {
    let mut rig = RunningAction::up("service-loop").await;
    assert_eq!(
        (rig.action.kinds().to_string(), rig.engine.live_instances()),
        ("service".to_owned(), 1)
    );
    assert_eq!(rig.action.status().state, ActionState::Running);
    rig.gate.drain();
    rig.running.drain().await;
    assert_eq!(rig.engine.live_instances(), 1, "a drain does not end a service");
    rig.stop().await;
}

/// The clock is paused, so the pauses between starts take no time.
async fn is_given_up(guest: &str, reason: &str) {
    let mut rig = RunningAction::start(prepare(guest, free_address()), gate(1, BootTime::NEVER));
    let failure = rig.failures.recv().await.unwrap();
    assert!(failure.reason.contains("it ended 5 times within 1m"), "{failure}");
    assert!(failure.reason.contains(reason), "{failure}");
    let status = rig.action.status();
    assert_eq!((status.state, status.restarts), (ActionState::Failed, 4));
    assert!(status.last_error.unwrap().contains(reason));
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_keeps_ending_is_given_up() {
    is_given_up("service-exit", "it exited with code").await;
}

#[tokio::test(start_paused = true)]
async fn one_that_keeps_trapping_is_given_up() {
    is_given_up("service-trap", "it trapped").await;
}

#[tokio::test(start_paused = true)]
async fn each_term_counts_its_restarts() {
    let rig = RunningAction::up("service-exit").await;
    until("it was started again", || rig.action.status().restarts == 1).await;
    let prepared = (rig.engine.clone(), rig.action.clone());
    rig.stop().await;
    let rig = RunningAction::start(prepared, gate(2, BootTime::NEVER));
    let status = rig.action.status();
    assert_eq!(status.restarts, 0);
    assert!(status.last_error.is_some(), "it is not up yet");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_started_again_once_the_gate_drains() {
    let rig = RunningAction::up("service-exit").await;
    until("it ended", || rig.action.status().state == ActionState::Restarting).await;
    rig.gate.drain();
    // On the paused clock: far longer than any pause before a start.
    sleep(Duration::from_secs(600)).await;
    assert_eq!((rig.engine.live_instances(), rig.action.status().restarts), (0, 1));
    rig.stop().await;
}

/// A service that ended, well or not, and is not started again.
async fn ends_for_good(guest: &str, restart: Option<RestartPolicy>, state: ActionState) {
    let config = config(guest_file(guest), free_address());
    let prepared = prepare_as(ActionConfig { restart, ..config });
    let mut rig = RunningAction::start(prepared, gate(1, BootTime::NEVER));
    rig.running.started().await.unwrap();
    until("it ended", || rig.action.status().state == state).await;
    // On the paused clock: far longer than any pause before a start.
    sleep(Duration::from_secs(600)).await;
    let status = rig.action.status();
    assert_eq!((status.state, status.restarts, rig.engine.live_instances()), (state, 0, 0));
    assert_eq!(status.last_error.is_some(), state == ActionState::Failed);
    assert!(rig.failures.try_recv().is_err(), "the term goes on");
    rig.gate.drain();
    rig.running.drain().await;
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_has_done_its_work_is_left_alone() {
    // Such as a job whose schedule was forgotten.
    ends_for_good("service-done", None, ActionState::Done).await;
    ends_for_good("service-done", Some(RestartPolicy::OnFailure), ActionState::Done).await;
    ends_for_good("service-done", Some(RestartPolicy::Never), ActionState::Done).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_is_never_started_again_may_fail() {
    ends_for_good("service-exit", Some(RestartPolicy::Never), ActionState::Failed).await;
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_is_started_again_on_failure() {
    let config = config(guest_file("service-exit"), free_address());
    let prepared = prepare_as(ActionConfig { restart: Some(RestartPolicy::OnFailure), ..config });
    let rig = RunningAction::start(prepared, gate(1, BootTime::NEVER));
    until("it was started again", || rig.action.status().restarts == 1).await;
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn one_that_ends_well_is_started_again_if_that_is_wanted() {
    let config = config(guest_file("service-done"), free_address());
    let prepared = prepare_as(ActionConfig { restart: Some(RestartPolicy::Always), ..config });
    let rig = RunningAction::start(prepared, gate(1, BootTime::NEVER));
    until("it was started again", || rig.action.status().restarts == 1).await;
    rig.stop().await;
}
