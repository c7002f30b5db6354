//! The example, on each store: one process at a time performs, and the next begins only when
//! nothing of the last one is left.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and the example prints"
)]
#![allow(
    dead_code,
    reason = "the example has a program around it, and the rig more than this needs"
)]

#[path = "../../stores/tests/store/etcd_server.rs"]
mod etcd_server;
#[path = "../examples/elect.rs"]
mod example;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use soloist_heart::FencingToken;
use soloist_leadership::{Leadership, Performer, RunningTerm, TermOrder};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::timeout,
};

/// Longer than any take-over.
const LONG: Duration = Duration::from_secs(60);

/// What was observed of a term.
#[derive(Debug, PartialEq, Eq)]
enum TermEvent {
    Began(&'static str, FencingToken),
    Ended(&'static str),
}

/// Lets several performers run, and asserts that only one does at a time.
#[derive(Clone)]
struct SingleStage {
    performing: Arc<AtomicUsize>,
    seen: UnboundedSender<TermEvent>,
}

impl SingleStage {
    /// A performer that runs under `name` until its term ends.
    fn performer(&self, name: &'static str) -> impl Performer + use<> {
        let stage = self.clone();
        move |term: RunningTerm| stage.clone().perform(name, term)
    }

    async fn perform(self, name: &'static str, mut term: RunningTerm) {
        assert_eq!(self.performing.fetch_add(1, Ordering::SeqCst), 0, "another one performs");
        self.seen.send(TermEvent::Began(name, term.key().fencing_token)).unwrap();
        while term.order().await == TermOrder::Drain {
            assert!(term.gate().admit().is_err(), "what drains begins nothing");
            term.drained();
        }
        assert!(term.gate().pass().is_err(), "what has ended has no effect");
        self.performing.fetch_sub(1, Ordering::SeqCst);
        self.seen.send(TermEvent::Ended(name)).unwrap();
    }
}

async fn next(seen: &mut UnboundedReceiver<TermEvent>) -> TermEvent {
    timeout(LONG, seen.recv()).await.expect("in time").expect("somebody performs")
}

async fn one_after_the_other(store: &str) {
    let (to, mut seen) = unbounded_channel();
    let stage = SingleStage { performing: Arc::default(), seen: to };
    let stand =
        |name| -> Leadership { example::elect(store, name, stage.performer(name)).unwrap() };
    let a = stand("a");
    let TermEvent::Began("a", first) = next(&mut seen).await else { panic!("a leads first") };
    let b = stand("b");
    timeout(LONG, a.stop()).await.expect("in time").unwrap();
    assert_eq!(next(&mut seen).await, TermEvent::Ended("a"));
    let TermEvent::Began("b", second) = next(&mut seen).await else { panic!("b leads next") };
    assert!(second > first, "fencing tokens rise: {first}, {second}");
    timeout(LONG, b.stop()).await.expect("in time").unwrap();
    assert_eq!(next(&mut seen).await, TermEvent::Ended("b"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    one_after_the_other(&format!("sqlite:{}", folder.path().join("store.db").display())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_etcd() {
    let etcd = etcd_server::EtcdServer::start().await;
    one_after_the_other(&format!("etcd://{}", etcd.address())).await;
}
