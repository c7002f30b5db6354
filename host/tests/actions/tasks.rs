//! Kind `task`: calls on one host, with a real plugin.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use soloist::{
    action::{Action, Programme, TaskError, TaskPools},
    api::TaskApi,
    cluster::{PeerClient, PeerCredentials},
    task_scope::TaskScope,
    tasks::{Dispatcher, DispatcherParts, call_queue::CallQueueService},
};
use soloist_config::{ActionConfig, Grants, InstancePolicy, Limits, ReuseLimits, TaskConfig};
use soloist_guests::{
    capability::{CallError, TaskCaller, TaskRequest},
    plugin::{PluginEngine, TaskCall, TaskOutput},
};
use soloist_heart::HostLabel;
use soloist_resources::budget::Account;
use soloist_stores::{Drain, Member, OperatorOrder as By, Roster, ThisHost};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, timeout},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::rig::{PATIENCE, TestStore, guest_file, until};

/// The task API of a host without tasks.
pub(crate) fn task_api(world: &TestStore) -> TaskApi {
    let (_, programme) = watch::channel(Arc::default());
    let pools = Arc::new(TaskPools::new("a".into(), BTreeMap::new()));
    TaskApi { dispatcher: dispatcher(world, &pools, programme), pools }
}

fn dispatcher(
    world: &TestStore,
    pools: &Arc<TaskPools>,
    programme: watch::Receiver<Arc<Programme>>,
) -> Arc<Dispatcher> {
    let (_, roster) = watch::channel(None);
    let call_queue = CallQueueService {
        call_queue: world.store.call_queue().unwrap(),
        tasks: watch::channel(Arc::default()).1,
    };
    let tasks = TaskScope::new();
    let peers = PeerClient::new(&PeerCredentials::default()).unwrap();
    let (host, pools) = (ThisHost::of(&Member::named("a")), Arc::clone(pools));
    let parts = DispatcherParts { host, peers, pools, programme, roster, call_queue };
    Dispatcher::new(parts, &tasks).into()
}

/// The task `work` on a host of its own.
struct TaskHost {
    engine: Arc<PluginEngine>,
    pools: Arc<TaskPools>,
    dispatcher: Arc<Dispatcher>,
    programme: watch::Sender<Arc<Programme>>,
    roster: watch::Sender<Option<Roster>>,
    keeping: tokio::task::JoinHandle<()>,
    stop: CancellationToken,
    _world: TestStore,
    _ended: DropGuard,
}

impl TaskHost {
    async fn new(change: impl FnOnce(&mut ActionConfig)) -> Self {
        let engine = Arc::new(PluginEngine::new(None).unwrap());
        let world = TestStore::new();
        let labels = [("size".to_owned(), "big".to_owned())].into();
        let pools = Arc::new(TaskPools::new("a".into(), labels));
        let (programme, told) = watch::channel(Arc::default());
        let dispatcher = dispatcher(&world, &pools, told.clone());
        let (roster, of_roster) = watch::channel(None);
        let calls = Arc::downgrade(&dispatcher);
        pools.set_calls(calls);
        let stop = CancellationToken::new();
        let (keeper, until) = (Arc::clone(&pools), stop.clone());
        let keeping = tokio::spawn(async move {
            let (failures, _) = mpsc::unbounded_channel();
            let patience = Duration::from_millis(500);
            keeper.follow_programme(told, of_roster, failures, patience, until).await;
        });
        let _ended = stop.clone().drop_guard();
        let shop = Self {
            engine,
            pools,
            dispatcher,
            programme,
            roster,
            keeping,
            stop,
            _world: world,
            _ended,
        };
        shop.put(change).await;
        shop
    }

    /// Installs a version of the task, and waits until it takes calls.
    async fn put(&self, change: impl FnOnce(&mut ActionConfig)) {
        self.show(change);
        self.offered(true).await;
    }

    fn show(&self, change: impl FnOnce(&mut ActionConfig)) {
        let mut config = ActionConfig::with_defaults("work", guest_file("work"));
        change(&mut config);
        let action = Action::prepare(&config, &self.engine).unwrap();
        let programme = Programme { actions: vec![action], ..Programme::default() };
        self.programme.send_replace(programme.into());
    }

    /// Waits until it takes calls, or no longer does.
    async fn offered(&self, wanted: bool) {
        let mut offers = self.pools.offers();
        let offered = offers.wait_for(|offers| offers.contains("work") == wanted);
        timeout(PATIENCE, offered).await.unwrap().unwrap();
    }

    async fn perform(&self, payload: &str) -> Result<String, TaskError> {
        let done = self.pools.perform(&call(payload), PATIENCE).await;
        done.map(|answer| String::from_utf8_lossy(&answer.payload).into_owned())
    }

    async fn call(&self, payload: &str) -> Result<String, CallError> {
        let done = self.dispatcher.call(order(payload)).await?;
        Ok(String::from_utf8_lossy(&done.payload).into_owned())
    }

    /// Waits until nothing of it is alive.
    async fn quiet(&self) {
        until("no instance lives", || self.engine.live_instances() == 0).await;
    }
}

fn call(payload: &str) -> TaskCall {
    TaskCall {
        id: "1".into(),
        name: "work".into(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        content_type: Some("text/plain".into()),
        attempt: 1,
        trace: None,
    }
}

fn order(payload: &str) -> TaskRequest {
    let TaskCall { payload, content_type, .. } = call(payload);
    let (name, account) = ("work".to_owned(), Account::alone(&"work".into()));
    TaskRequest { name, payload, content_type, within: None, attempts: 1, trace: None, account }
}

fn limited(requests: usize, queue: usize) -> impl FnOnce(&mut ActionConfig) {
    move |config| {
        config.limits = Limits {
            max_concurrent_requests: requests,
            max_queued_requests: queue,
            ..Limits::default()
        }
    }
}

#[tokio::test]
async fn a_call_is_done_and_knows_what_it_is() {
    let shop = TaskHost::new(|_| ()).await;
    let answer = shop.pools.perform(&call("who"), PATIENCE).await.unwrap();
    let told = TaskOutput {
        payload: "a work 1 text/plain 1".into(),
        content_type: Some("text/plain".into()),
    };
    assert_eq!(answer, told);
    shop.quiet().await;
}

#[tokio::test]
async fn calls_have_instances_of_their_own_unless_they_are_reused() {
    let shop = TaskHost::new(|_| ()).await;
    assert_eq!(
        (shop.perform("count").await, shop.perform("count").await),
        (Ok("1".into()), Ok("1".into()))
    );
    let reuse = InstancePolicy::Reuse(ReuseLimits { max: 3, idle: PATIENCE });
    let shop = TaskHost::new(|config| config.instances = reuse).await;
    let mut counts = Vec::new();
    for _ in 0..4 {
        counts.push(shop.perform("count").await.unwrap());
    }
    assert_eq!(counts, ["1", "2", "3", "1"]);
    // The memory of an instance that has trapped is in an unknown state.
    assert!(shop.perform("trap").await.is_err());
    assert_eq!(shop.perform("count").await, Ok("1".into()));
}

#[tokio::test]
async fn what_goes_wrong_is_told() {
    let shop = TaskHost::new(|config| config.limits.max_body_size = 10).await;
    assert_eq!(shop.perform("refuse").await, Err(TaskError::Refused("no, thank you".into())));
    assert_eq!(shop.perform("fail").await, Err(TaskError::Failed("not today".into())));
    let trapped = shop.perform("trap").await.unwrap_err().to_string();
    assert!(trapped.contains("it trapped"), "{trapped}");
    assert_eq!(shop.perform("long 10").await, Ok("xxxxxxxxxx".into()));
    let long = shop.perform("long 11").await.unwrap_err().to_string();
    assert!(long.contains("its answer has 11 bytes, more than the maximum of 10"), "{long}");
    shop.quiet().await;
}

#[tokio::test]
async fn a_call_has_its_time_and_no_more() {
    let shop = TaskHost::new(|_| ()).await;
    for work in ["spin", "sleep 60000"] {
        let (began, limit) = (Instant::now(), Duration::from_millis(300));
        let late = shop.pools.perform(&call(work), limit).await;
        assert_eq!(late, Err(TaskError::Late(limit)));
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        shop.quiet().await;
    }
    let order = TaskRequest { within: Some(Duration::from_millis(50)), ..order("spin") };
    let late = shop.dispatcher.call(order).await;
    assert!(matches!(late, Err(CallError::Late { .. })), "{late:?}");
    // No caller gets more time than the settings allow.
    let brief = TaskConfig { call_timeout: Duration::from_millis(100), ..TaskConfig::default() };
    let shop = TaskHost::new(|config| config.task = brief).await;
    let patient = TaskRequest { within: Some(PATIENCE), ..self::order("spin") };
    let late = timeout(Duration::from_secs(5), shop.dispatcher.call(patient)).await.unwrap();
    assert_eq!(late.unwrap_err().to_string(), "it took longer than 100ms");
}

#[tokio::test]
async fn who_calls_no_more_ends_the_call() {
    let shop = TaskHost::new(|_| ()).await;
    let (waiting, pools) = (call("sleep 60000"), Arc::clone(&shop.pools));
    let task = tokio::spawn(async move { pools.perform(&waiting, PATIENCE).await });
    until("an instance lives", || shop.engine.live_instances() > 0).await;
    task.abort();
    shop.quiet().await;
    assert_eq!(shop.pools.load("work"), 0);
}

#[tokio::test]
async fn too_many_are_told_at_once() {
    let shop = TaskHost::new(limited(1, 1)).await;
    let slow = |_| {
        let pools = Arc::clone(&shop.pools);
        tokio::spawn(async move { pools.perform(&call("sleep 60000"), PATIENCE).await })
    };
    let two: Vec<_> = (0..2).map(slow).collect();
    until("it has two", || shop.pools.load("work") == 2).await;
    assert_eq!(shop.perform("echo x").await, Err(TaskError::Busy));
    let busy = shop.call("echo x").await.unwrap_err();
    assert!(matches!(busy, CallError::Busy { .. }), "{busy}");
    two.iter().for_each(tokio::task::JoinHandle::abort);
    // Their permits are free again.
    shop.quiet().await;
    assert_eq!(shop.perform("echo x").await, Ok("x".into()));
}

#[tokio::test]
async fn a_new_version_takes_new_calls_and_the_old_one_finishes_its_own() {
    let shop = TaskHost::new(|_| ()).await;
    let (old, pools) = (call("sleep 200"), Arc::clone(&shop.pools));
    let old = tokio::spawn(async move { pools.perform(&old, PATIENCE).await });
    until("an instance lives", || shop.engine.live_instances() > 0).await;
    shop.put(|config| config.limits.max_body_size = 5).await;
    while shop.perform("long 6").await.is_ok() {
        sleep(Duration::from_millis(1)).await;
    }
    assert!(old.await.unwrap().is_ok());
    // A call that takes longer than its time is cut off.
    let (slow, pools) = (call("sleep 60000"), Arc::clone(&shop.pools));
    let slow = tokio::spawn(async move { pools.perform(&slow, PATIENCE).await });
    until("an instance lives", || shop.engine.live_instances() > 0).await;
    shop.put(|_| ()).await;
    assert_eq!(slow.await.unwrap(), Err(TaskError::Leaving));
    shop.quiet().await;
}

#[tokio::test]
async fn a_host_that_stops_finishes_what_it_can_and_takes_no_more() {
    let shop = TaskHost::new(|_| ()).await;
    let begin = |payload: &'static str| {
        let pools = Arc::clone(&shop.pools);
        tokio::spawn(async move { pools.perform(&call(payload), PATIENCE).await })
    };
    let (soon, never) = (begin("sleep 100"), begin("spin"));
    until("it has two", || shop.pools.load("work") == 2).await;
    shop.stop.cancel();
    shop.keeping.await.unwrap();
    assert!(soon.await.unwrap().is_ok());
    assert_eq!(never.await.unwrap(), Err(TaskError::Leaving));
    let after = shop.pools.perform(&call("echo x"), PATIENCE).await;
    assert_eq!((after, shop.engine.live_instances()), (Err(TaskError::Leaving), 0));
}

#[tokio::test]
async fn what_failed_is_tried_as_often_as_it_is_asked_for() {
    let shop = TaskHost::new(|_| ()).await;
    let failed = shop.call("fail-before 3").await.unwrap_err().to_string();
    assert!(failed.contains("it failed on a, at attempt 1: attempt 1 is too early"), "{failed}");
    let again = TaskRequest { attempts: 3, ..order("fail-before 3") };
    let done = shop.dispatcher.call(again.clone()).await.unwrap();
    assert_eq!((done.attempt, &*done.payload), (3, &b"attempt 3"[..]));
    let fewer = shop.dispatcher.call(TaskRequest { attempts: 2, ..again }).await.unwrap_err();
    assert!(matches!(fewer, CallError::Failed { attempt: 2, .. }), "{fewer}");
    // A refused call stays refused.
    let refused = shop.dispatcher.call(TaskRequest { attempts: 9, ..order("refuse") }).await;
    assert!(matches!(refused, Err(CallError::Refused { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_plugin_calls_the_tasks_that_it_is_granted() {
    let shop = TaskHost::new(|_| ()).await;
    let denied = shop.call("call work echo x").await.unwrap_err().to_string();
    assert!(
        denied.contains(r#"`tasks = [\"work\"]` in "#)
            && denied.contains("/work.toml lets it call work"),
        "{denied}"
    );
    let granted = |task: &str| Grants { tasks: vec![task.to_owned()], ..Grants::default() };
    shop.put(|config| config.grants = granted("work").into()).await;
    let told = async {
        loop {
            // Until the new version takes the calls.
            if let Ok(told) = shop.call("call work echo x").await {
                return told;
            }
        }
    };
    assert_eq!(timeout(PATIENCE, told).await.unwrap(), "a said x");
    assert_eq!(shop.call("spread 20 work echo x").await.unwrap(), r#"{"a": 20}"#);
    let unknown = shop.call("call rest x").await.unwrap_err().to_string();
    assert!(unknown.contains(r#"tasks = [\"rest\"]"#), "{unknown}");
    shop.put(|config| config.grants = granted("*").into()).await;
    let unknown = async {
        loop {
            let told = shop.call("call rest x").await.unwrap_err().to_string();
            if told.contains("there is no task rest") {
                return;
            }
        }
    };
    timeout(PATIENCE, unknown).await.unwrap();
    shop.quiet().await;
}

#[tokio::test]
async fn only_hosts_with_the_label_take_calls() {
    let on = |value: &str| {
        let label = HostLabel { name: "size".to_owned(), value: value.to_owned() };
        TaskConfig { require_label: Some(label), ..TaskConfig::default() }
    };
    let shop = TaskHost::new(|config| config.task = on("big")).await;
    assert_eq!(shop.call("echo x").await, Ok("x".into()));
    shop.show(|config| config.task = on("small"));
    shop.offered(false).await;
    let nobody = shop.call("echo x").await.unwrap_err().to_string();
    assert_eq!(nobody, "no host takes calls of work: it requires hosts with the label size=small");
}

#[tokio::test]
async fn a_drained_host_takes_no_calls() {
    let shop = TaskHost::new(|_| ()).await;
    let mut roster = Roster::default();
    let by = By { by: "ada".into(), reason: String::new(), since: 0 };
    let notes = Arc::make_mut(&mut roster.notes);
    notes.drained.insert("a".into(), Drain { order: by });
    shop.roster.send_replace(Some(roster));
    shop.offered(false).await;
    assert!(matches!(shop.call("echo x").await, Err(CallError::Nobody { .. })));
    shop.roster.send_replace(Some(Roster::default()));
    shop.offered(true).await;
    assert_eq!(shop.call("echo x").await, Ok("x".into()));
}
