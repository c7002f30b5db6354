//! Many queued calls, and hosts that are killed at random while they run them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use soloist::{
    action::TaskError,
    tasks::call_queue::{
        CallQueueService, CallQueueSettingsByTask, CallQueueWorker, QueuedCallRunner,
    },
};
use soloist_guests::plugin::{TaskCall, TaskOutput};
use soloist_heart::clock::BootTime;
use soloist_stores::{CallQueueStore, QueuedCallKey, QueuedCallState, Store};
use tokio::{sync::watch, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{workers, world::World};

const HOSTS: usize = 5;
const PLACES: usize = 16;
/// The TTL of leases is short, and long enough to renew them in time on a busy machine.
const TTL: Duration = Duration::from_secs(3);
const RENEW: Duration = Duration::from_millis(500);

/// With enough attempts for many deaths, and answers that are kept for longer than the test takes.
fn storm_settings() -> CallQueueSettingsByTask {
    let mut settings = workers::settings(PLACES);
    let task = Arc::make_mut(&mut settings).get_mut("t").unwrap();
    (task.max_attempts, task.keep_answer) = (100, Duration::from_secs(3600));
    settings
}

/// How often each queued call was started, and how often its work was finished.
#[derive(Default)]
struct WorkTally(Mutex<HashMap<Arc<str>, (usize, usize)>>);

struct TallyRunner {
    tally: Arc<WorkTally>,
    settings: watch::Sender<CallQueueSettingsByTask>,
}

#[async_trait]
impl QueuedCallRunner for TallyRunner {
    fn tasks(&self) -> watch::Receiver<CallQueueSettingsByTask> {
        self.settings.subscribe()
    }

    async fn perform(&self, call: TaskCall) -> Result<TaskOutput, TaskError> {
        self.tally.0.lock().unwrap().entry(call.id.clone()).or_default().0 += 1;
        // The work takes a while, so that hosts are killed during it.
        sleep(Duration::from_millis(fastrand::u64(..20))).await;
        self.tally.0.lock().unwrap().entry(call.id).or_default().1 += 1;
        Ok(TaskOutput { payload: call.payload, content_type: None })
    }
}

/// One run of a host, until it is aborted: then it writes nothing any more, and its lease expires.
async fn live(store: Arc<dyn Store>, name: String, tally: Arc<WorkTally>) {
    let Ok(lease) = store.grant(TTL).await else { return };
    let (_renewed, session) = watch::channel(Some(lease.id));
    let settings = watch::Sender::new(storm_settings());
    let worker = CallQueueWorker {
        call_queue: store.call_queue().unwrap(),
        runner: Arc::new(TallyRunner { tally, settings }),
        host: name.into(),
        session,
        roster: watch::Sender::new(Some(workers::hosts(HOSTS))).subscribe(),
        retry: Duration::from_millis(100),
    };
    let renewals = async {
        while store.renew(lease.id).await.is_ok() {
            sleep(RENEW).await;
        }
    };
    // A host that cannot renew its lease ends as well, and here just as abruptly.
    tokio::select! {
        () = renewals => {}
        () = worker.run(CancellationToken::new(), Duration::ZERO) => {}
    }
}

/// Kills a random host about every `pause`, and starts another in its place.
async fn kill(world: &World, tally: &Arc<WorkTally>, pause: Duration, kills: &Mutex<usize>) {
    let mut hosts: Vec<JoinSet<()>> = Vec::new();
    for number in 0..HOSTS {
        let mut host = JoinSet::new();
        host.spawn(live(world.open(), format!("h{number}"), tally.clone()));
        hosts.push(host);
    }
    loop {
        sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
        let number = fastrand::usize(..HOSTS);
        hosts[number].shutdown().await;
        *kills.lock().unwrap() += 1;
        hosts[number].spawn(live(world.open(), format!("h{number}"), tally.clone()));
    }
}

/// Makes `count` queued calls, and returns when all of them have ended.
async fn enqueue_all(world: &World, count: usize) -> Vec<QueuedCallKey> {
    let tasks = watch::Sender::new(storm_settings()).subscribe();
    let service = CallQueueService { call_queue: world.open().call_queue().unwrap(), tasks };
    let call_queue =
        stream::iter(0..count).map(|i| service.enqueue("t", i.to_string().into(), None));
    let keys =
        call_queue.buffer_unordered(32).map(|key| key.expect("a queued call that was taken"));
    let keys: Vec<_> = keys.collect().await;
    assert_eq!(keys.len(), count, "not every queued call has got a key");
    for key in &keys {
        until_ended(&*service.call_queue, key).await;
    }
    keys
}

/// Makes `count` queued calls, and more until a host was killed: a fast machine may be done before
/// that.
async fn enqueue_until_killed(
    world: &World,
    count: usize,
    kills: &Mutex<usize>,
) -> Vec<QueuedCallKey> {
    let mut keys = enqueue_all(world, count).await;
    while *kills.lock().unwrap() == 0 {
        keys.extend(enqueue_all(world, count).await);
    }
    keys
}

async fn until_ended(call_queue: &dyn CallQueueStore, key: &QueuedCallKey) {
    loop {
        match call_queue.state(key).await {
            Ok(Some(QueuedCallState::Done(..))) => return,
            Ok(Some(QueuedCallState::Queued(_) | QueuedCallState::Claimed(_))) | Err(_) => {
                sleep(Duration::from_millis(50)).await;
            }
            other => panic!("{key} is {other:?}"),
        }
    }
}

async fn storm(world: &World, count: usize, pause: Duration) {
    let (tally, kills) = (Arc::new(WorkTally::default()), Mutex::new(0));
    let began = BootTime::now();
    let keys = tokio::select! {
        () = kill(world, &tally, pause, &kills) => unreachable!("it goes on"),
        keys = enqueue_until_killed(world, count, &kills) => keys,
    };
    let count = keys.len();
    let took = BootTime::now().since(began);
    let tally = tally.0.lock().unwrap();
    let finished = |key: &QueuedCallKey| tally.get(&key.id).map_or(0, |(_, finished)| *finished);
    let lost = keys.iter().filter(|key| finished(key) == 0).count();
    let begun_again: usize = tally.values().map(|(begun, _)| begun - 1).sum();
    let done_again: usize = tally.values().map(|(_, finished)| finished.saturating_sub(1)).sum();
    println!(
        "{count} queued calls in {took:.1?}, {} hosts killed: {lost} lost, {begun_again} begun again, \
         {done_again} done again",
        kills.lock().unwrap()
    );
    assert_eq!(lost, 0, "queued calls of which nobody finished the work");
    assert_eq!(tally.len(), count, "work that nobody enqueued");
    assert!(*kills.lock().unwrap() > 0, "no host was killed");
}

pub(crate) async fn queued_calls_outlive_hosts_that_die_at_random(world: &World) {
    storm(world, 200, Duration::from_millis(300)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: `cargo xtask test -p soloist --test store -- --ignored --nocapture storm`"]
async fn ten_thousand_queued_calls_on_three_members() {
    storm(&World::three_members().await, 10_000, Duration::from_secs(1)).await;
}
