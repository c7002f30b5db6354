//! Hosts with a worker, whose tasks do what the payload says, and a log of what they do.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use soloist::{
    action::TaskError,
    tasks::casts::{CastRunner, CastSettings, CastSettingsByTask, CastWorker},
};
use soloist_guests::plugin::{TaskCall, TaskOutput};
use soloist_heart::LeaseId;
use soloist_stores::{
    CastAnswer, CastKey, CastRequest, CastState, CastStore, Member, Roster, Store,
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

/// What all hosts have done, and how they are to do it.
#[derive(Default)]
pub(super) struct WorkLog {
    /// The host and the number of each attempt that was begun, by the cast's id.
    pub(super) begun: Mutex<BTreeMap<String, Vec<(String, u32)>>>,
    under_way: Mutex<BTreeMap<String, usize>>,
    pub(super) most_at_once: Mutex<BTreeMap<String, usize>>,
    /// The hosts that finish nothing.
    hanging: Mutex<BTreeSet<String>>,
    changed: Notify,
}

impl WorkLog {
    pub(super) fn attempts(&self, key: &CastKey) -> Vec<(String, u32)> {
        self.begun.lock().unwrap().get(&*key.id).cloned().unwrap_or_default()
    }

    pub(super) fn under_way(&self, host: &str) -> usize {
        self.under_way.lock().unwrap().get(host).copied().unwrap_or_default()
    }

    pub(super) fn set_hanging(&self, host: &str, hangs: bool) {
        let mut hanging = self.hanging.lock().unwrap();
        let _ = if hangs { hanging.insert(host.to_owned()) } else { hanging.remove(host) };
        self.changed.notify_waiters();
    }

    /// Waits until this much is under way on a host.
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

/// A task's work: the payload says what comes of it.
struct PayloadRunner {
    host: String,
    log: Arc<WorkLog>,
    terms: watch::Sender<CastSettingsByTask>,
}

#[async_trait]
impl CastRunner for PayloadRunner {
    fn tasks(&self) -> watch::Receiver<CastSettingsByTask> {
        self.terms.subscribe()
    }

    async fn perform(&self, call: TaskCall) -> Result<TaskOutput, TaskError> {
        let entry = (self.host.clone(), call.attempt);
        self.log.begun.lock().unwrap().entry(call.id.to_string()).or_default().push(entry);
        let _under_way = UnderWay::new(&self.log, &self.host);
        let hangs = || self.log.hanging.lock().unwrap().contains(&self.host);
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

/// One host with a worker.
pub(super) struct WorkerHost {
    pub(super) store: Arc<dyn Store>,
    pub(super) casts: Arc<dyn CastStore>,
    pub(super) lease: LeaseId,
    pub(super) session: watch::Sender<Option<LeaseId>>,
    pub(super) ending: CancellationToken,
    pub(super) work: JoinHandle<()>,
    performer: Arc<PayloadRunner>,
}

pub(crate) fn terms(places: usize) -> CastSettingsByTask {
    let terms = CastSettings {
        max_concurrent: places,
        max_attempts: 3,
        keep_answer: KEEP,
        max_queued: LIMIT,
        max_payload: 1 << 10,
    };
    Arc::new([(Arc::from("t"), terms)].into())
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
            terms: watch::Sender::new(terms(places)),
        });
        let worker = CastWorker {
            casts: host.store.casts().unwrap(),
            runner: performer.clone(),
            host: name.into(),
            session: sessions,
            roster: watch::Sender::new(Some(hosts(3))).subscribe(),
            retry: Duration::from_millis(100),
        };
        let (casts, ending) = (worker.casts.clone(), CancellationToken::new());
        let work = tokio::spawn(worker.run(ending.clone(), drain));
        Self { store: host.store, casts, lease: host.lease, session, ending, work, performer }
    }

    /// Takes up other tasks, or none.
    pub(super) fn take_up(&self, terms: CastSettingsByTask) {
        self.performer.terms.send_replace(terms);
    }

    /// Dies: nothing is said to anybody, and its lease ends.
    pub(super) async fn die(self) {
        self.work.abort();
        assert!(self.work.await.unwrap_err().is_cancelled());
        soon(self.store.revoke(self.lease)).await.unwrap();
    }

    /// Stops in peace, and keeps its session.
    pub(super) async fn stop(self) {
        self.ending.cancel();
        soon(self.work).await.unwrap();
    }
}

/// As far as a worker looks at it: the window that it picks from is wider.
pub(crate) fn hosts(count: usize) -> Roster {
    let members = (0..count).map(|i| (LeaseId(1), Member::named(i.to_string()).into()));
    Roster { members: members.collect(), ..Roster::default() }
}

pub(super) async fn cast(casts: &dyn CastStore, payload: &str, max_attempts: u32) -> CastKey {
    let key = CastKey::fresh("t");
    let payload = Bytes::copy_from_slice(payload.as_bytes());
    let order = CastRequest { payload, content_type: Some("text/plain".into()), max_attempts };
    soon(casts.put(&key, &order, LIMIT)).await.unwrap();
    key
}

pub(super) async fn cast_many(casts: &dyn CastStore) -> Vec<CastKey> {
    let puts = stream::iter(0..MANY).map(|i| cast(casts, if i == 0 { "first" } else { "it" }, 9));
    puts.buffer_unordered(10).collect().await
}

/// How a cast has ended, as soon as it has.
async fn end(casts: &dyn CastStore, key: &CastKey) -> CastState {
    soon(async {
        let mut queue = casts.watch().await.unwrap();
        loop {
            match casts.look(key).await.unwrap().expect("lost") {
                CastState::Queued(_) | CastState::Claimed(_) => {}
                ended => return ended,
            }
            queue.next().await.unwrap().unwrap();
        }
    })
    .await
}

pub(super) async fn answer(casts: &dyn CastStore, key: &CastKey) -> CastAnswer {
    match end(casts, key).await {
        CastState::Done(_, answer) => answer,
        other => panic!("{key} is {other:?}"),
    }
}

pub(super) async fn error(casts: &dyn CastStore, key: &CastKey) -> (u32, String) {
    match end(casts, key).await {
        CastState::Dead(ended) => (ended.head.attempts, ended.head.error.unwrap()),
        other => panic!("{key} is {other:?}"),
    }
}
