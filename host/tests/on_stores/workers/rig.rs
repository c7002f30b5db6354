//! Hosts with a queued call worker, whose task does what the payload says, and a log of what they
//! do.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use soloist::{
    action::TaskError,
    tasks::call_queue::{
        CallQueueSettings, CallQueueSettingsByTask, CallQueueWorker, QueuedCallRunner,
    },
};
use soloist_guests::plugin::{TaskCall, TaskOutput};
use soloist_heart::LeaseId;
use soloist_stores::{
    CallQueueStore, Member, QueuedCallKey, QueuedCallRequest, QueuedCallResult, QueuedCallState,
    Roster, Store,
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::world::{LONG, World, soon};

const LIMIT: usize = 10_000;
const KEEP: Duration = Duration::from_secs(60);
pub(super) const MANY: usize = 60;

/// What all hosts have done, and which of them are to hang.
#[derive(Default)]
pub(super) struct WorkLog {
    /// The host and the number of each attempt that was begun, by the queued call's id.
    pub(super) begun: Mutex<BTreeMap<String, Vec<(String, u32)>>>,
    under_way: Mutex<BTreeMap<String, usize>>,
    pub(super) most_at_once: Mutex<BTreeMap<String, usize>>,
    /// How many attempts a host may finish; those that it begins after them hang. Hosts that are
    /// not listed finish all.
    allowed: Mutex<BTreeMap<String, usize>>,
    changed: Notify,
}

impl WorkLog {
    pub(super) fn attempts(&self, key: &QueuedCallKey) -> Vec<(String, u32)> {
        self.begun.lock().unwrap().get(&*key.id).cloned().unwrap_or_default()
    }

    pub(super) fn under_way(&self, host: &str) -> usize {
        self.under_way.lock().unwrap().get(host).copied().unwrap_or_default()
    }

    /// How many attempts a host has begun.
    pub(super) fn begun_by(&self, host: &str) -> usize {
        let begun = self.begun.lock().unwrap();
        begun.values().flatten().filter(|(by, _)| by == host).count()
    }

    /// Lets a host finish nothing, or all again.
    pub(super) fn set_hanging(&self, host: &str, hangs: bool) {
        if hangs {
            return self.allow(host, 0);
        }
        self.allowed.lock().unwrap().remove(host);
        self.changed.notify_waiters();
    }

    /// Lets a host finish the first `count` attempts that it begins, and no more.
    pub(super) fn allow(&self, host: &str, count: usize) {
        self.allowed.lock().unwrap().insert(host.to_owned(), count);
        self.changed.notify_waiters();
    }

    /// Waits until exactly `count` attempts are under way on a host.
    pub(super) async fn until_under_way(&self, host: &str, count: usize) {
        self.until(|| self.under_way(host) == count).await;
    }

    pub(super) async fn until(&self, is_so: impl Fn() -> bool) {
        soon(self.until_forever(is_so)).await;
    }

    async fn until_forever(&self, is_so: impl Fn() -> bool) {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if is_so() {
                return;
            }
            changed.await;
        }
    }
}

/// Counts an attempt as under way until it is dropped.
struct UnderWay<'a>(&'a WorkLog, &'a str);

impl<'a> UnderWay<'a> {
    fn new(log: &'a WorkLog, host: &'a str) -> Self {
        let mut under_way = log.under_way.lock().unwrap();
        let now = under_way.entry(host.to_owned()).or_default();
        *now += 1;
        let mut most = log.most_at_once.lock().unwrap();
        let most = most.entry(host.to_owned()).or_default();
        *most = (*most).max(*now);
        log.changed.notify_waiters();
        Self(log, host)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        *self.0.under_way.lock().unwrap().get_mut(self.1).unwrap() -= 1;
        self.0.changed.notify_waiters();
    }
}

/// Runs queued calls: the payload decides how each ends.
struct PayloadRunner {
    host: String,
    log: Arc<WorkLog>,
    settings: watch::Sender<CallQueueSettingsByTask>,
}

#[async_trait]
impl QueuedCallRunner for PayloadRunner {
    fn tasks(&self) -> watch::Receiver<CallQueueSettingsByTask> {
        self.settings.subscribe()
    }

    async fn perform(&self, call: TaskCall) -> Result<TaskOutput, TaskError> {
        let entry = (self.host.clone(), call.attempt);
        self.log.begun.lock().unwrap().entry(call.id.to_string()).or_default().push(entry);
        let number = self.log.begun_by(&self.host);
        let _under_way = UnderWay::new(&self.log, &self.host);
        let allowed = || self.log.allowed.lock().unwrap().get(&self.host).copied();
        let hangs = || allowed().is_some_and(|allowed| number > allowed);
        self.log.until_forever(|| !hangs()).await;
        match &*call.payload {
            b"fail" => Err(TaskError::Failed("it failed".into())),
            b"fail once" if call.attempt == 1 => Err(TaskError::Failed("it failed".into())),
            b"refuse" => Err(TaskError::Refused("it is wrong".into())),
            b"too long" => {
                Ok(TaskOutput { payload: vec![0; 300 << 10].into(), content_type: None })
            }
            _ if *self.host == *"full" => Err(TaskError::Busy),
            payload => {
                let payload = [b"did ", payload].concat().into();
                Ok(TaskOutput { payload, content_type: call.content_type })
            }
        }
    }
}

/// One host with a queued call worker.
pub(super) struct WorkerHost {
    pub(super) store: Arc<dyn Store>,
    pub(super) call_queue: Arc<dyn CallQueueStore>,
    pub(super) lease: LeaseId,
    pub(super) session: watch::Sender<Option<LeaseId>>,
    pub(super) ending: CancellationToken,
    pub(super) work: JoinHandle<()>,
    performer: Arc<PayloadRunner>,
}

pub(crate) fn settings(places: usize) -> CallQueueSettingsByTask {
    let settings = CallQueueSettings {
        max_concurrent: places,
        max_attempts: 3,
        keep_answer: KEEP,
        max_queued: LIMIT,
        max_payload: 1 << 10,
    };
    Arc::new([(Arc::from("t"), settings)].into())
}

impl WorkerHost {
    pub(super) async fn start(
        world: &World,
        name: &str,
        log: &Arc<WorkLog>,
        places: usize,
    ) -> Self {
        Self::start_with(world, name, log, places, Duration::ZERO).await
    }

    pub(super) async fn start_with(
        world: &World,
        name: &str,
        log: &Arc<WorkLog>,
        places: usize,
        drain: Duration,
    ) -> Self {
        let host = world.host_with(name, LONG).await;
        let (session, sessions) = watch::channel(Some(host.lease));
        let performer = Arc::new(PayloadRunner {
            host: name.into(),
            log: log.clone(),
            settings: watch::Sender::new(settings(places)),
        });
        let worker = CallQueueWorker {
            call_queue: host.store.call_queue().unwrap(),
            runner: performer.clone(),
            host: name.into(),
            session: sessions,
            roster: watch::Sender::new(Some(hosts(3))).subscribe(),
            retry: Duration::from_millis(100),
        };
        let (call_queue, ending) = (worker.call_queue.clone(), CancellationToken::new());
        let work = tokio::spawn(worker.run(ending.clone(), drain));
        Self { store: host.store, call_queue, lease: host.lease, session, ending, work, performer }
    }

    /// Runs other tasks from now on, or none.
    pub(super) fn take_up(&self, settings: CallQueueSettingsByTask) {
        self.performer.settings.send_replace(settings);
    }

    /// Dies without writing anything, and its lease ends.
    pub(super) async fn die(self) {
        self.work.abort();
        assert!(self.work.await.unwrap_err().is_cancelled());
        soon(self.store.revoke(self.lease)).await.unwrap();
    }

    /// Stops gracefully, and keeps its session.
    pub(super) async fn stop(self) {
        self.ending.cancel();
        soon(self.work).await.unwrap();
    }
}

/// A roster of this many members, by which a worker decides how far down the queue it picks.
pub(crate) fn hosts(count: usize) -> Roster {
    let members = (0..count).map(|i| (LeaseId(1), Member::named(i.to_string()).into()));
    Roster { members: members.collect(), ..Roster::default() }
}

pub(super) async fn enqueue(
    call_queue: &dyn CallQueueStore,
    payload: &str,
    max_attempts: u32,
) -> QueuedCallKey {
    let key = QueuedCallKey::fresh("t");
    let payload = Bytes::copy_from_slice(payload.as_bytes());
    let order =
        QueuedCallRequest { payload, content_type: Some("text/plain".into()), max_attempts };
    soon(call_queue.put(&key, &order, LIMIT)).await.unwrap();
    key
}

pub(super) async fn enqueue_many(call_queue: &dyn CallQueueStore) -> Vec<QueuedCallKey> {
    let puts =
        stream::iter(0..MANY).map(|i| enqueue(call_queue, if i == 0 { "first" } else { "it" }, 9));
    puts.buffer_unordered(10).collect().await
}

/// Waits until a queued call has ended, and returns how.
async fn end(call_queue: &dyn CallQueueStore, key: &QueuedCallKey) -> QueuedCallState {
    soon(async {
        let mut queue = call_queue.watch().await.unwrap();
        loop {
            match call_queue.state(key).await.unwrap().expect("lost") {
                QueuedCallState::Queued(_) | QueuedCallState::Claimed(_) => {}
                ended => return ended,
            }
            queue.next().await.unwrap().unwrap();
        }
    })
    .await
}

pub(super) async fn answer(
    call_queue: &dyn CallQueueStore,
    key: &QueuedCallKey,
) -> QueuedCallResult {
    match end(call_queue, key).await {
        QueuedCallState::Done(_, answer) => answer,
        other => panic!("{key} is {other:?}"),
    }
}

pub(super) async fn error(call_queue: &dyn CallQueueStore, key: &QueuedCallKey) -> (u32, String) {
    match end(call_queue, key).await {
        QueuedCallState::Dead(ended) => (ended.head.attempts, ended.head.error.unwrap()),
        other => panic!("{key} is {other:?}"),
    }
}
