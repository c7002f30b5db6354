//! Many casts, and hosts that are killed at random while they do them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use futures::{StreamExt, stream};
use soloist::{
    action::TaskError,
    tasks::casts::{CastRunner, CastService, CastSettingsByTask, CastWorker},
};
use soloist_guests::plugin::{TaskCall, TaskOutput};
use soloist_heart::clock::BootTime;
use soloist_stores::{CastKey, CastState, CastStore, Store};
use tokio::{sync::watch, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{workers, world::World};

const HOSTS: usize = 5;
const PLACES: usize = 16;
/// A lease that is short, and yet renewed in time on a machine that is busy.
const TTL: Duration = Duration::from_secs(3);
const RENEW: Duration = Duration::from_millis(500);

/// With attempts for many a death, and answers that outlast the test.
fn storm_settings() -> CastSettingsByTask {
    let mut terms = workers::terms(PLACES);
    let task = Arc::make_mut(&mut terms).get_mut("t").unwrap();
    (task.max_attempts, task.keep_answer) = (100, Duration::from_secs(3600));
    terms
}

/// How often each cast was begun, and how often its work was finished.
#[derive(Default)]
struct WorkTally(Mutex<HashMap<Arc<str>, (usize, usize)>>);

struct TallyRunner {
    tally: Arc<WorkTally>,
    terms: watch::Sender<CastSettingsByTask>,
}

#[async_trait]
impl CastRunner for TallyRunner {
    fn tasks(&self) -> watch::Receiver<CastSettingsByTask> {
        self.terms.subscribe()
    }

    async fn perform(&self, call: TaskCall) -> Result<TaskOutput, TaskError> {
        self.tally.0.lock().unwrap().entry(call.id.clone()).or_default().0 += 1;
        // The work itself: there is something to be killed in.
        sleep(Duration::from_millis(fastrand::u64(..20))).await;
        self.tally.0.lock().unwrap().entry(call.id).or_default().1 += 1;
        Ok(TaskOutput { payload: call.payload, content_type: None })
    }
}

/// One life of a host, until it is aborted: then nothing is said to anybody, and
/// its lease runs out.
async fn live(store: Arc<dyn Store>, name: String, tally: Arc<WorkTally>) {
    let Ok(lease) = store.grant(TTL).await else { return };
    let (_renewed, session) = watch::channel(Some(lease.id));
    let terms = watch::Sender::new(storm_settings());
    let worker = CastWorker {
        casts: store.casts().unwrap(),
        runner: Arc::new(TallyRunner { tally, terms }),
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
    // A host that cannot renew ends as well; here as abruptly.
    tokio::select! {
        () = renewals => {}
        () = worker.run(CancellationToken::new(), Duration::ZERO) => {}
    }
}

/// Kills a host at random every `pause`, and starts another in its place.
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

/// Casts `count` times, and returns when the queue is empty.
async fn cast_all(world: &World, count: usize) -> Vec<CastKey> {
    let tasks = watch::Sender::new(storm_settings()).subscribe();
    let desk = CastService { casts: world.open().casts().unwrap(), tasks };
    let casts = stream::iter(0..count).map(|i| desk.cast("t", i.to_string().into(), None));
    let keys = casts.buffer_unordered(32).map(|key| key.expect("a cast that was taken"));
    let keys: Vec<_> = keys.collect().await;
    for key in &keys {
        until_ended(&*desk.casts, key).await;
    }
    keys
}

/// Casts `count` times, and again until a host was killed: some machines do it before that.
async fn cast_until_killed(world: &World, count: usize, kills: &Mutex<usize>) -> Vec<CastKey> {
    let mut keys = cast_all(world, count).await;
    while *kills.lock().unwrap() == 0 {
        keys.extend(cast_all(world, count).await);
    }
    keys
}

async fn until_ended(casts: &dyn CastStore, key: &CastKey) {
    loop {
        match casts.look(key).await {
            Ok(Some(CastState::Done(..))) => return,
            Ok(Some(CastState::Queued(_) | CastState::Claimed(_))) | Err(_) => {
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
        keys = cast_until_killed(world, count, &kills) => keys,
    };
    let count = keys.len();
    let took = BootTime::now().since(began);
    let tally = tally.0.lock().unwrap();
    let finished = |key: &CastKey| tally.get(&key.id).map_or(0, |(_, finished)| *finished);
    let lost = keys.iter().filter(|key| finished(key) == 0).count();
    let begun_again: usize = tally.values().map(|(begun, _)| begun - 1).sum();
    let done_again: usize = tally.values().map(|(_, finished)| finished.saturating_sub(1)).sum();
    println!(
        "{count} casts in {took:.1?}, {} hosts killed: {lost} lost, {begun_again} begun again, \
         {done_again} done again",
        kills.lock().unwrap()
    );
    assert_eq!(lost, 0, "casts of which nobody finished the work");
    assert_eq!(tally.len(), count, "work that nobody cast");
    assert!(*kills.lock().unwrap() > 0, "no host was killed");
}

pub(crate) async fn casts_outlive_hosts_that_die_at_random(world: &World) {
    storm(world, 200, Duration::from_millis(300)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "slow: `cargo xtask test -p soloist --test store -- --ignored --nocapture storm`"]
async fn ten_thousand_casts_on_three_members() {
    storm(&World::three_members().await, 10_000, Duration::from_secs(1)).await;
}
