//! What the workers of several hosts make of casts, on each store.

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
    clock::BootTime,
    election::LeaseId,
    plugin::{Answer, Call},
    store::{CastAnswer, CastKey, CastOrder, CastState, Casts, Roster, Store},
    tasks::casts::{Perform, TaskTerms, Terms, Worker},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::world::{LONG, World, soon};

const LIMIT: usize = 10_000;
const KEEP: Duration = Duration::from_secs(60);
const MANY: usize = 60;

/// What all hosts have done, and how they are to do it.
#[derive(Default)]
struct Log {
    /// The host and the number of each attempt that was begun, by the cast's id.
    begun: Mutex<BTreeMap<String, Vec<(String, u32)>>>,
    under_way: Mutex<BTreeMap<String, usize>>,
    most_at_once: Mutex<BTreeMap<String, usize>>,
    /// The hosts that finish nothing.
    hanging: Mutex<BTreeSet<String>>,
    changed: Notify,
}

impl Log {
    fn attempts(&self, key: &CastKey) -> Vec<(String, u32)> {
        self.begun.lock().unwrap().get(&*key.id).cloned().unwrap_or_default()
    }

    fn under_way(&self, host: &str) -> usize {
        self.under_way.lock().unwrap().get(host).copied().unwrap_or_default()
    }

    fn hang(&self, host: &str, hangs: bool) {
        let mut hanging = self.hanging.lock().unwrap();
        let _ = if hangs { hanging.insert(host.to_owned()) } else { hanging.remove(host) };
        self.changed.notify_waiters();
    }

    /// Waits until this much is under way on a host.
    async fn until_under_way(&self, host: &str, count: usize) {
        self.until(|| self.under_way(host) == count).await;
    }

    async fn until(&self, is_so: impl Fn() -> bool) {
        soon(async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                if is_so() {
                    return;
                }
                changed.await;
            }
        })
        .await;
    }
}

/// Counts an attempt as under way until it is dropped.
struct UnderWay<'a>(&'a Log, &'a str);

impl<'a> UnderWay<'a> {
    fn new(log: &'a Log, host: &'a str) -> Self {
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
struct Performer {
    host: String,
    log: Arc<Log>,
    terms: watch::Sender<Terms>,
}

#[async_trait]
impl Perform for Performer {
    fn tasks(&self) -> watch::Receiver<Terms> {
        self.terms.subscribe()
    }

    async fn perform(&self, call: Call) -> Result<Answer, TaskError> {
        let entry = (self.host.clone(), call.attempt);
        self.log.begun.lock().unwrap().entry(call.id.to_string()).or_default().push(entry);
        let _under_way = UnderWay::new(&self.log, &self.host);
        let hangs = || self.log.hanging.lock().unwrap().contains(&self.host);
        self.log.until_forever(|| !hangs()).await;
        match &*call.payload {
            b"fail" => Err(TaskError::Failed("it failed".into())),
            b"fail once" if call.attempt == 1 => Err(TaskError::Failed("it failed".into())),
            b"refuse" => Err(TaskError::Refused("it is wrong".into())),
            b"too long" => Ok(Answer { payload: vec![0; 300 << 10].into(), content_type: None }),
            _ if *self.host == *"full" => Err(TaskError::Busy),
            payload => {
                let payload = [b"did ", payload].concat().into();
                Ok(Answer { payload, content_type: call.content_type })
            }
        }
    }
}

impl Log {
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

/// One host with a worker.
struct Host {
    store: Arc<dyn Store>,
    casts: Arc<dyn Casts>,
    lease: LeaseId,
    session: watch::Sender<Option<LeaseId>>,
    ending: CancellationToken,
    work: JoinHandle<()>,
    performer: Arc<Performer>,
}

pub(crate) fn terms(places: usize) -> Terms {
    let terms =
        TaskTerms { places, max_attempts: 3, keep: KEEP, max_queued: LIMIT, payload: 1 << 10 };
    Arc::new([(Arc::from("t"), terms)].into())
}

impl Host {
    async fn start(world: &World, name: &str, log: &Arc<Log>, places: usize) -> Self {
        Self::start_with(world, name, log, places, Duration::ZERO).await
    }

    async fn start_with(
        world: &World,
        name: &str,
        log: &Arc<Log>,
        places: usize,
        drain: Duration,
    ) -> Self {
        let host = world.host_with(name, LONG).await;
        let (session, sessions) = watch::channel(Some(host.lease));
        let performer = Arc::new(Performer {
            host: name.into(),
            log: log.clone(),
            terms: watch::Sender::new(terms(places)),
        });
        let worker = Worker {
            casts: host.store.casts().unwrap(),
            perform: performer.clone(),
            host: name.into(),
            session: sessions,
            roster: watch::Sender::new(Some(hosts(3))).subscribe(),
            retry: Duration::from_millis(100),
        };
        let (casts, ending) = (worker.casts.clone(), CancellationToken::new());
        let work = tokio::spawn(worker.run(ending.clone(), drain));
        Self { store: host.store, casts, lease: host.lease, session, ending, work, performer }
    }

    /// Dies: nothing is said to anybody, and its lease ends.
    async fn die(self) {
        self.work.abort();
        assert!(self.work.await.unwrap_err().is_cancelled());
        soon(self.store.revoke(self.lease)).await.unwrap();
    }

    /// Stops in peace, and keeps its session.
    async fn stop(self) {
        self.ending.cancel();
        soon(self.work).await.unwrap();
    }
}

/// As far as a worker looks at it: the window that it picks from is wider.
pub(crate) fn hosts(count: usize) -> Roster {
    let member = |name: &str| soloist::store::Member {
        name: name.into(),
        url: String::new(),
        labels: BTreeMap::new(),
        priority: 0,
        joined: 0,
        version: String::new(),
        machine: String::new(),
        failing: BTreeMap::new(),
        tasks: BTreeSet::new(),
    };
    let members = (0..count).map(|i| (LeaseId(1), Arc::new(member(&i.to_string()))));
    Roster { members: members.collect(), ..Roster::default() }
}

async fn cast(casts: &dyn Casts, payload: &str, max_attempts: u32) -> CastKey {
    let key = CastKey::fresh("t");
    let payload = Bytes::copy_from_slice(payload.as_bytes());
    let order = CastOrder { payload, content_type: Some("text/plain".into()), max_attempts };
    soon(casts.put(&key, &order, LIMIT)).await.unwrap();
    key
}

async fn cast_many(casts: &dyn Casts) -> Vec<CastKey> {
    let puts = stream::iter(0..MANY).map(|i| cast(casts, if i == 0 { "first" } else { "it" }, 9));
    puts.buffer_unordered(10).collect().await
}

/// How a cast has ended, as soon as it has.
async fn end(casts: &dyn Casts, key: &CastKey) -> CastState {
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

async fn answer(casts: &dyn Casts, key: &CastKey) -> CastAnswer {
    match end(casts, key).await {
        CastState::Done(_, answer) => answer,
        other => panic!("{key} is {other:?}"),
    }
}

async fn error(casts: &dyn Casts, key: &CastKey) -> (u32, String) {
    match end(casts, key).await {
        CastState::Dead(ended) => (ended.head.attempts, ended.head.error.unwrap()),
        other => panic!("{key} is {other:?}"),
    }
}

pub(crate) async fn a_cast_is_done_and_answered(world: &World) {
    let log = Arc::new(Log::default());
    let host = Host::start(world, "a", &log, 2).await;
    let caller = world.open().casts().unwrap();
    let key = cast(&*caller, "it", 3).await;
    let found = answer(&*caller, &key).await;
    assert_eq!(
        (&*found.payload, found.content_type.as_deref()),
        (&b"did it"[..], Some("text/plain"))
    );
    assert_eq!(log.attempts(&key), [("a".to_owned(), 1)]);
    host.stop().await;
    // Without a worker it waits, and the next one finds it.
    let key = cast(&*caller, "it", 3).await;
    let _host = Host::start(world, "b", &log, 2).await;
    answer(&*caller, &key).await;
}

pub(crate) async fn what_fails_is_tried_again_and_buried_in_the_end(world: &World) {
    let log = Arc::new(Log::default());
    let host = Host::start(world, "a", &log, 8).await;
    let casts = &*host.casts;
    let began = BootTime::now();
    let (failing, refused) = (cast(casts, "fail", 2).await, cast(casts, "refuse", 9).await);
    let (once, long) = (cast(casts, "fail once", 2).await, cast(casts, "too long", 9).await);
    assert_eq!(error(casts, &refused).await, (1, "it was refused: it is wrong".into()));
    let (attempts, told) = error(casts, &long).await;
    assert!(attempts == 1 && told.contains("an answer of 307200 bytes"), "{told}");
    assert_eq!(error(casts, &failing).await, (2, "it failed: it failed".into()));
    let waited = BootTime::now().since(began);
    assert!(waited >= Duration::from_millis(500), "tried again after {waited:?}");
    assert_eq!(&*answer(casts, &once).await.payload, b"did fail once");
    assert_eq!(log.attempts(&once), [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    assert_eq!(log.attempts(&failing).len(), 2);

    // A dead letter that is replayed has all its attempts again.
    assert!(soon(casts.replay(&refused)).await.unwrap());
    log.until(|| log.attempts(&refused).len() == 2).await;
    assert_eq!(log.attempts(&refused)[1].1, 1);
}

pub(crate) async fn the_casts_of_a_host_that_dies_are_done_by_others(world: &World) {
    let log = Arc::new(Log::default());
    log.hang("a", true);
    let a = Host::start(world, "a", &log, 4).await;
    let keys = cast_many(&*a.casts).await;
    log.until_under_way("a", 4).await;
    let others = [Host::start(world, "b", &log, 3).await, Host::start(world, "c", &log, 3).await];
    let held =
        keys.iter().filter(|key| !log.attempts(key).is_empty() && log.attempts(key)[0].0 == "a");
    let held: Vec<_> = held.cloned().collect();
    assert_eq!(held.len(), 4);
    a.die().await;
    let casts = &*others[0].casts;
    let mut repeats = 0;
    for key in &keys {
        answer(casts, key).await;
        repeats += log.attempts(key).len() - 1;
    }
    println!("{MANY} casts, one host of three killed: {repeats} were done again");
    assert_eq!(repeats, held.len());
    for key in held {
        assert_eq!(log.attempts(&key).last().unwrap().1, 2, "the attempt was counted");
    }
}

pub(crate) async fn a_cast_that_kills_its_hosts_is_no_loop(world: &World) {
    let log = Arc::new(Log::default());
    let caller = world.open().casts().unwrap();
    let key = cast(&*caller, "it", 2).await;
    for name in ["a", "b"] {
        log.hang(name, true);
        let host = Host::start(world, name, &log, 1).await;
        log.until_under_way(name, 1).await;
        host.die().await;
    }
    let _host = Host::start(world, "c", &log, 1).await;
    let (attempts, told) = error(&*caller, &key).await;
    assert_eq!((attempts, &*told), (2, "b was lost during the last attempt"));
    assert_eq!(log.attempts(&key).len(), 2, "c has not begun it");
}

pub(crate) async fn a_stop_gives_back_at_once(world: &World) {
    let log = Arc::new(Log::default());
    log.hang("a", true);
    let a = Host::start(world, "a", &log, 2).await;
    let caller = world.open().casts().unwrap();
    let keys = [cast(&*caller, "it", 2).await, cast(&*caller, "it", 2).await];
    log.until_under_way("a", 2).await;
    let _b = Host::start(world, "b", &log, 2).await;
    // Its session lives on: nobody waits for that to end.
    a.stop().await;
    assert_eq!(log.under_way("a"), 0, "the attempts were dropped");
    for key in &keys {
        answer(&*caller, key).await;
        let attempts = log.attempts(key);
        assert_eq!(attempts, [("a".to_owned(), 1), ("b".to_owned(), 1)], "it did not count");
    }
}

pub(crate) async fn a_stop_lets_finish_what_is_under_way(world: &World) {
    let log = Arc::new(Log::default());
    log.hang("a", true);
    let a = Host::start_with(world, "a", &log, 1, LONG).await;
    let caller = world.open().casts().unwrap();
    let first = cast(&*caller, "first", 2).await;
    log.until_under_way("a", 1).await;
    let second = cast(&*caller, "second", 2).await;
    a.ending.cancel();
    log.hang("a", false);
    soon(a.work).await.unwrap();
    answer(&*caller, &first).await;
    assert!(log.attempts(&second).is_empty(), "a host that stops begins nothing");
    assert!(matches!(caller.look(&second).await.unwrap(), Some(CastState::Queued(_))));
}

pub(crate) async fn a_lost_session_interrupts(world: &World) {
    let log = Arc::new(Log::default());
    log.hang("a", true);
    let a = Host::start(world, "a", &log, 2).await;
    let key = cast(&*a.casts, "it", 3).await;
    log.until_under_way("a", 1).await;
    a.session.send_replace(None);
    log.until_under_way("a", 0).await;
    log.hang("a", false);
    soon(a.store.revoke(a.lease)).await.unwrap();
    // With the next session it goes on, be it the same host.
    let lease = soon(a.store.grant(LONG)).await.unwrap().id;
    a.session.send_replace(Some(lease));
    answer(&*a.casts, &key).await;
    assert_eq!(log.attempts(&key), [("a".to_owned(), 1), ("a".to_owned(), 2)]);
    // The store may know of the end before the host does.
    soon(a.store.revoke(lease)).await.unwrap();
    let key = cast(&*a.casts, "it", 3).await;
    let lease = soon(a.store.grant(LONG)).await.unwrap().id;
    a.session.send_replace(Some(lease));
    answer(&*a.casts, &key).await;
}

pub(crate) async fn a_full_host_leaves_a_cast_to_another(world: &World) {
    let log = Arc::new(Log::default());
    let full = Host::start(world, "full", &log, 1).await;
    let key = cast(&*full.casts, "it", 1).await;
    log.until(|| !log.attempts(&key).is_empty()).await;
    let _b = Host::start(world, "b", &log, 1).await;
    answer(&*full.casts, &key).await;
    let attempts = log.attempts(&key);
    assert!(attempts.iter().all(|(_, attempt)| *attempt == 1), "{attempts:?}");
}

pub(crate) async fn hosts_share_the_work_within_their_places(world: &World) {
    let log = Arc::new(Log::default());
    let names = ["a", "b", "c"];
    let mut hosts = Vec::new();
    for name in names {
        log.hang(name, true);
        hosts.push(Host::start(world, name, &log, 3).await);
    }
    let keys = cast_many(&*hosts[0].casts).await;
    for name in names {
        log.until_under_way(name, 3).await;
    }
    // A host takes more when its settings say so, and nothing of a task that it lacks.
    hosts[0].performer.terms.send_replace(terms(5));
    log.until_under_way("a", 5).await;
    hosts[1].performer.terms.send_replace(Arc::default());
    for name in names {
        log.hang(name, false);
    }
    for key in &keys {
        answer(&*hosts[0].casts, key).await;
    }
    let most = log.most_at_once.lock().unwrap().clone();
    assert_eq!((most["a"], most["b"], most["c"]), (5, 3, 3));
    let begun = log.begun.lock().unwrap().clone();
    assert_eq!(begun.len(), MANY);
    assert!(begun.values().all(|attempts| attempts.len() == 1), "nothing was done twice");
    let of = |name: &str| begun.values().filter(|attempts| attempts[0].0 == name).count();
    assert_eq!(of("b"), 3);
    assert!(of("a") > 5 && of("c") > 5, "a {}, c {}", of("a"), of("c"));
}
