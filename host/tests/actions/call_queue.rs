//! Queued calls of a real task, done by a worker of a host.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::StreamExt;
use soloist::{
    action::{Action, Programme, TaskPools},
    tasks::call_queue::{
        CallQueueErrorKind, CallQueueService, CallQueueWorker, QueuedCallEntry, QueuedCallExecutor,
    },
};
use soloist_config::{ActionConfig, StoreUrl};
use soloist_guests::plugin::PluginEngine;
use soloist_stores::{self as store, QueuedCallKey, Store};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::rig::{PATIENCE, guest_file};

/// A host that runs queued calls of the task `work`.
struct CallQueueHost {
    engine: Arc<PluginEngine>,
    service: CallQueueService,
    programme: watch::Sender<Arc<Programme>>,
    stop: CancellationToken,
    working: JoinHandle<()>,
    _session: watch::Sender<Option<soloist_heart::LeaseId>>,
    _store: Arc<dyn Store>,
    _ended: DropGuard,
    _folder: tempfile::TempDir,
}

impl CallQueueHost {
    async fn new(change: impl FnOnce(&mut ActionConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = StoreUrl::Sqlite(folder.path().join("soloist.db"));
        let store = store::open(&url, "test", PATIENCE).unwrap();
        let lease = store.grant(PATIENCE * 10).await.unwrap().id;
        let engine = Arc::new(PluginEngine::new(None).unwrap());
        let mut config = ActionConfig::with_defaults("work", guest_file("work"));
        change(&mut config);
        let action = Action::prepare(&config, &engine).unwrap();
        let programme = Programme { actions: vec![action], ..Programme::default() };
        let (programme, told) = watch::channel(Arc::new(programme));
        let pools = Arc::new(TaskPools::new("a".into(), BTreeMap::new()));
        let hands = Arc::new(QueuedCallExecutor::new(Arc::clone(&pools), told.clone()));
        let (session, sessions) = watch::channel(Some(lease));
        let worker = CallQueueWorker {
            call_queue: store.call_queue().unwrap(),
            runner: hands.clone(),
            host: "a".into(),
            session: sessions,
            roster: watch::channel(None).1,
            retry: Duration::from_millis(100),
        };
        let service = CallQueueService {
            call_queue: store.call_queue().unwrap(),
            tasks: hands.known_tasks(),
        };
        let (stop, ending) = (CancellationToken::new(), CancellationToken::new());
        let _ended = stop.clone().drop_guard();
        let (until, shop) = (stop.clone(), pools);
        let working = tokio::spawn(async move {
            let keeper = ending.clone();
            let (failures, _) = mpsc::unbounded_channel();
            let (_, roster) = watch::channel(None);
            let keeping = async {
                tokio::join!(
                    shop.follow_programme(told, roster, failures, Duration::ZERO, keeper.clone()),
                    hands.run(keeper.clone())
                )
            };
            // The worker ends first: its queued calls under way need the pools.
            let working = async {
                worker.run(until, Duration::ZERO).await;
                ending.cancel();
            };
            tokio::join!(keeping, working);
        });
        let mut known = service.tasks.clone();
        timeout(PATIENCE, known.wait_for(|tasks| !tasks.is_empty())).await.unwrap().unwrap();
        let (_session, _store, _folder) = (session, store, folder);
        Self { engine, service, programme, stop, working, _session, _store, _ended, _folder }
    }

    async fn enqueue(&self, payload: &str) -> QueuedCallKey {
        let payload = payload.to_owned().into();
        self.service.enqueue("work", payload, Some("text/plain".into())).await.unwrap()
    }

    /// How a queued call ends, and its answer or error.
    async fn end(&self, key: &QueuedCallKey) -> (QueuedCallEntry, String) {
        let ended = async {
            let mut queue = self.service.call_queue.watch().await.unwrap();
            loop {
                let (entry, answer) = self.service.find(key).await.unwrap();
                if entry.ended.is_some() {
                    let error = entry.head.error.clone().unwrap_or_default();
                    let answer =
                        answer.map(|answer| String::from_utf8_lossy(&answer.payload).into());
                    return (entry, answer.unwrap_or(error));
                }
                queue.next().await.unwrap().unwrap();
            }
        };
        timeout(PATIENCE, ended).await.expect("it goes on")
    }
}

#[tokio::test]
async fn a_task_does_queued_calls_as_it_does_calls() {
    let host = CallQueueHost::new(|config| config.task.max_attempts = 2).await;
    let key = host.enqueue("who").await;
    let (entry, told) = host.end(&key).await;
    assert_eq!((entry.state, told), ("done", format!("a work 1 text/plain {}", key.id)));
    let again = host.enqueue("fail-before 2").await;
    let (refused, trapped) = (host.enqueue("refuse").await, host.enqueue("trap").await);
    let (entry, told) = host.end(&again).await;
    assert_eq!((entry.state, entry.head.attempts, &*told), ("done", 2, "attempt 2"));
    let (entry, told) = host.end(&refused).await;
    assert_eq!((entry.state, entry.head.attempts), ("dead", 1));
    assert!(told.contains("no, thank you"), "{told}");
    let (entry, told) = host.end(&trapped).await;
    assert_eq!((entry.state, entry.head.attempts), ("dead", 2));
    assert!(told.contains("trapped"), "{told}");
}

#[tokio::test]
async fn the_settings_of_a_task_hold_for_its_queued_calls() {
    let host = CallQueueHost::new(|config| {
        config.task.max_attempts = 1;
        config.task.call_timeout = Duration::from_millis(200);
        config.task.max_payload_size = 100;
    })
    .await;
    let (entry, told) = host.end(&host.enqueue("spin").await).await;
    assert_eq!(entry.state, "dead");
    assert!(told.contains("took longer than 200ms"), "{told}");
    let long = "echo ".repeat(50).into();
    let error = host.service.enqueue("work", long, None).await.unwrap_err();
    assert_eq!(error.kind, CallQueueErrorKind::TooLong);
    // Queued calls of a task that is gone are not taken.
    host.programme.send_replace(Arc::default());
    let mut known = host.service.tasks.clone();
    timeout(PATIENCE, known.wait_for(|tasks| tasks.is_empty())).await.unwrap().unwrap();
    let error = host.service.enqueue("work", "who".into(), None).await.unwrap_err();
    assert_eq!(error.kind, CallQueueErrorKind::NotFound);
}

#[tokio::test]
async fn a_stop_interrupts_the_guest_and_gives_the_queued_call_back() {
    let host = CallQueueHost::new(|_| ()).await;
    let key = host.enqueue("spin").await;
    let mut queue = host.service.call_queue.watch().await.unwrap();
    timeout(PATIENCE, async {
        while host.service.find(&key).await.unwrap().0.state != "claimed"
            || host.engine.live_instances() == 0
        {
            let _ = timeout(Duration::from_millis(20), queue.next()).await;
        }
    })
    .await
    .expect("it is begun");
    host.stop.cancel();
    timeout(PATIENCE, host.working).await.expect("it stops").unwrap();
    assert_eq!(host.engine.live_instances(), 0, "an instance is alive");
    let (entry, _) = host.service.find(&key).await.unwrap();
    assert_eq!((entry.state, entry.head.attempts), ("queued", 0));
}
