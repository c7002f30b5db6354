//! Compares the queue with a simple model that searches through everything each time.

use proptest::prelude::*;

use super::*;
use soloist_heart::LeaseId;
use soloist_stores::QueuedCallHeader;

#[derive(Clone, Debug)]
enum Step {
    Put { id: u8, wait: u64 },
    Left(u8),
    Claimed(u8),
    Free(u8),
    Pick { places: usize, hosts: usize },
    Ended { nth: usize, seemed: bool },
    Later(u64),
    Emptied,
    Retold,
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0..12_u8;
    prop_oneof![
        4 => (id.clone(), prop_oneof![Just(0), 1..50_u64])
            .prop_map(|(id, wait)| Step::Put { id, wait }),
        1 => id.clone().prop_map(Step::Left),
        2 => id.clone().prop_map(Step::Claimed),
        2 => id.prop_map(Step::Free),
        4 => (0..4_usize, 0..4_usize).prop_map(|(places, hosts)| Step::Pick { places, hosts }),
        4 => (0..4_usize, any::<bool>()).prop_map(|(nth, seemed)| Step::Ended { nth, seemed }),
        2 => (0..40_u64).prop_map(Step::Later),
        1 => Just(Step::Emptied),
        1 => Just(Step::Retold),
    ]
}

fn key(id: u8) -> QueuedCallKey {
    QueuedCallKey::new("t", format!("{id:02}"))
}

fn at(ms: u64) -> BootTime {
    BootTime::from_nanos(ms * 1_000_000)
}

/// The model: what is known of the queued calls, without any order.
#[derive(Default)]
struct Plain {
    queued_calls: BTreeMap<QueuedCallKey, (WaitingCall, u64)>,
    claimed: BTreeSet<QueuedCallKey>,
    stale: BTreeMap<QueuedCallKey, i64>,
    ours: Vec<WaitingCall>,
    now: u64,
    version: i64,
}

impl Plain {
    fn ready(&self) -> Vec<&QueuedCallKey> {
        let ready = self.queued_calls.iter().filter(|(key, (queued, due))| {
            *due <= self.now
                && !self.claimed.contains(*key)
                && self.stale.get(*key) != Some(&queued.version)
                && !self.ours.iter().any(|ours| ours.key == **key)
        });
        ready.map(|(key, _)| key).collect()
    }

    fn next_due(&self) -> Option<u64> {
        let waits = self.queued_calls.iter().filter(|(key, (queued, due))| {
            *due > self.now
                && !self.claimed.contains(*key)
                && self.stale.get(*key) != Some(&queued.version)
                && !self.ours.iter().any(|ours| ours.key == **key)
        });
        waits.map(|(_, (_, due))| *due).min()
    }

    fn all(&self) -> Vec<CallQueueChange> {
        let queued_calls =
            self.queued_calls.values().map(|(queued, _)| CallQueueChange::Queued(queued.clone()));
        let claims =
            self.claimed.iter().map(|key| CallQueueChange::Claimed(key.clone(), LeaseId(1)));
        queued_calls.chain(claims).collect()
    }

    fn put(&mut self, id: u8, wait: u64) -> CallQueueChange {
        self.version += 1;
        let head = QueuedCallHeader {
            queued: 0,
            attempts: 0,
            max_attempts: 3,
            wait,
            by: None,
            error: None,
            content_type: None,
            bytes: 0,
        };
        let queued = WaitingCall { key: key(id), version: self.version, head };
        self.queued_calls.insert(key(id), (queued.clone(), self.now + wait));
        CallQueueChange::Queued(queued)
    }
}

fn run(steps: Vec<Step>, seed: u64) {
    let (mut queue, mut plain) = (CallQueue::default(), Plain::default());
    let mut random = fastrand::Rng::with_seed(seed);
    for step in steps {
        let change = match step {
            Step::Put { id, wait } => plain.put(id, wait),
            Step::Left(id) => {
                plain.queued_calls.remove(&key(id));
                CallQueueChange::Left(key(id))
            }
            Step::Claimed(id) => {
                plain.claimed.insert(key(id));
                CallQueueChange::Claimed(key(id), LeaseId(1))
            }
            Step::Free(id) => {
                plain.claimed.remove(&key(id));
                CallQueueChange::Free(key(id))
            }
            Step::Pick { places, hosts } => {
                pick(&mut queue, &mut plain, places, hosts, &mut random);
                continue;
            }
            Step::Ended { nth, seemed } => {
                if nth < plain.ours.len() {
                    let ours = plain.ours.remove(nth);
                    let seemed = seemed.then_some(ours.version);
                    queue.attempt_ended(&ours.key, seemed);
                    plain.stale.extend(seemed.map(|version| (ours.key, version)));
                }
                continue;
            }
            Step::Later(ms) => {
                plain.now += ms;
                continue;
            }
            Step::Emptied => {
                queue.replace_all(Vec::new(), at(plain.now));
                plain.queued_calls.clear();
                plain.claimed.clear();
                continue;
            }
            Step::Retold => {
                // The attempt in vain was made at the version that is known.
                plain.stale.clear();
                queue.replace_all(plain.all(), at(plain.now));
                continue;
            }
        };
        queue.apply(vec![change], at(plain.now));
    }
    // Everything that is ready is picked in the end.
    let ready = plain.ready().len();
    let picked = pick(&mut queue, &mut plain, 12, 1, &mut random);
    assert_eq!(picked, ready);
    let wake = queue.next_due([Arc::from("t")].iter());
    assert_eq!(wake, plain.next_due().map_or(BootTime::NEVER, at));
}

fn pick(
    queue: &mut CallQueue,
    plain: &mut Plain,
    places: usize,
    hosts: usize,
    random: &mut fastrand::Rng,
) -> usize {
    let picked = queue.pick("t", places, hosts, at(plain.now), random);
    let ready = plain.ready();
    assert_eq!(picked.len(), places.min(ready.len()), "of {ready:?}");
    let window: Vec<_> = ready.into_iter().take(places * hosts.max(1)).collect();
    for queued in &picked {
        assert!(window.contains(&&queued.key), "{} is not of {window:?}", queued.key);
        assert_eq!(queued, &plain.queued_calls[&queued.key].0, "as it is known");
    }
    let keys: BTreeSet<_> = picked.iter().map(|queued| &queued.key).collect();
    assert_eq!(keys.len(), picked.len(), "twice in {keys:?}");
    plain.ours.extend(picked.iter().cloned());
    picked.len()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn picks_what_a_plain_look_would(
        steps in prop::collection::vec(step(), 0..80),
        seed in any::<u64>(),
    ) {
        run(steps, seed);
    }
}

/// How many of `hosts`, which each pick one of a hundred queued calls at once, pick the same as
/// another.
fn crowd(hosts: usize) -> usize {
    let mut random = fastrand::Rng::with_seed(7);
    let mut plain = Plain::default();
    let changes: Vec<_> = (0..100).map(|id| plain.put(id, 0)).collect();
    let mut picked = BTreeSet::new();
    for _ in 0..hosts {
        let mut queue = CallQueue::default();
        queue.apply(changes.clone(), at(0));
        picked.extend(queue.pick("t", 1, hosts, at(0), &mut random).pop().map(|q| q.key));
    }
    hosts - picked.len()
}

#[test]
fn hosts_do_not_all_run_for_the_same_queued_call() {
    assert_eq!(crowd(1), 0);
    // By chance alone, a third of the hosts does, or somewhat more.
    assert!(crowd(20) < 12, "{} of 20 in vain", crowd(20));
}

#[test]
fn tasks_keep_apart_and_what_is_done_leaves_nothing_behind() {
    let mut queue = CallQueue::default();
    let mut plain = Plain::default();
    let CallQueueChange::Queued(mut other) = plain.put(1, 0) else { unreachable!() };
    other.key = QueuedCallKey::new("other", &*other.key.id);
    let changes = vec![plain.put(1, 0), CallQueueChange::Queued(other.clone())];
    queue.apply(changes, at(0));
    let picked = queue.pick("other", 5, 1, at(0), &mut fastrand::Rng::with_seed(1));
    assert_eq!(picked, std::slice::from_ref(&other));
    queue.apply(vec![CallQueueChange::Claimed(key(1), LeaseId(1))], at(0));
    queue.apply(vec![CallQueueChange::Left(key(1)), CallQueueChange::Free(key(1))], at(0));
    queue.apply(vec![CallQueueChange::Left(other.key.clone())], at(0));
    queue.attempt_ended(&other.key, None);
    assert!(queue.tasks.is_empty() && queue.in_progress.is_empty(), "{queue:?}");
}
