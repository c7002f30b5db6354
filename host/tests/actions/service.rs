//! Services: they run, they are started again, they are given up.

use std::{
    io,
    sync::{Arc, Mutex, OnceLock},
};

use soloist::{action::State, clock::BootTime, config::Grants, plugin::Kind};
use tokio::time::timeout;
use tracing_subscriber::fmt::MakeWriter;

use crate::rig::{PATIENCE, Rig, World, free_address, gate, prepare, prepare_with, until};

/// Collects the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// The log of the whole process: guests run on any thread.
    fn of_all() -> &'static Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        LOG.get_or_init(|| {
            let log = Self::default();
            let subscriber =
                tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
            tracing::subscriber::set_global_default(subscriber).unwrap();
            log
        })
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;
    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_prints_is_logged() {
    let log = Log::of_all();
    let rig = Rig::up("job-runner").await;
    until("the first unit is done", || log.text().contains("unit 1: 9592 primes")).await;
    rig.stop().await;
    let text = log.text();
    let line = text.lines().find(|line| line.contains("unit 1")).unwrap();
    for part in ["INFO plugin:", "action=web", "token=1", "stream=\"stdout\"", "(host a, token 1)"]
    {
        assert!(line.contains(part), "{part} is missing: {line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_heeds_the_end_is_waited_for() {
    let (world, grants) = (World::new(), Grants { state: true, ..Grants::default() });
    let log = Log::of_all();
    let prepared = prepare_with("service-farewell", grants);
    let mut rig = world.start(prepared).await;
    let token = rig.gate.term().token.0.to_string();
    until("it heeds", || log.text().contains("before: nobody")).await;
    rig.gate.drain();
    timeout(PATIENCE, rig.running.drain()).await.expect("it is told");
    assert_eq!(rig.engine.live(), 0, "it has ended");
    let state = world.store.state().unwrap();
    let last = state.get("web", &["last".into()]).await.unwrap();
    assert_eq!(last[0].as_ref().unwrap().value, token);
    let status = rig.action.status();
    assert_eq!((status.state, status.restarts), (State::Draining, 0));
    assert_eq!(status.last_error, None, "to leave is no trouble");
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_until_it_is_stopped() {
    let mut rig = Rig::up("service-loop").await;
    assert_eq!((rig.action.kind(), rig.engine.live()), (Kind::Service, 1));
    assert_eq!(rig.action.status().state, State::Running);
    rig.gate.drain();
    rig.running.drain().await;
    assert_eq!(rig.engine.live(), 1, "a drain does not end a service");
    rig.stop().await;
}

/// The clock is paused, so the pauses between the starts take no time.
async fn is_given_up(guest: &str, reason: &str) {
    let mut rig = Rig::start(prepare(guest, free_address()), gate(1, BootTime::NEVER));
    let failure = rig.failures.recv().await.unwrap();
    assert!(failure.reason.contains("5 times in a row"), "{failure}");
    assert!(failure.reason.contains(reason), "{failure}");
    let status = rig.action.status();
    assert_eq!((status.state, status.restarts), (State::Failed, 4));
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
    let rig = Rig::up("service-exit").await;
    until("it was started again", || rig.action.status().restarts == 1).await;
    let prepared = (rig.engine.clone(), rig.action.clone());
    rig.stop().await;
    let rig = Rig::start(prepared, gate(2, BootTime::NEVER));
    let status = rig.action.status();
    assert_eq!(status.restarts, 0);
    assert!(status.last_error.is_some(), "it is not up yet");
    rig.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_started_again_once_the_gate_drains() {
    let rig = Rig::up("service-exit").await;
    until("it ended", || rig.action.status().state == State::Restarting).await;
    rig.gate.drain();
    until("its supervision ended", || rig.tasks.is_empty()).await;
    assert_eq!(rig.action.status().restarts, 1);
    rig.stop().await;
}
