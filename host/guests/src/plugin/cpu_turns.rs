//! Shares the processors fairly between the guests of an action and everything else.
//!
//! A guest that computes yields at every epoch tick. That alone is not fair: if a thousand guests
//! compute, each of them may run before anything else does. So guests that compute take turns: at
//! any moment only a few guests of an action are in the runtime's queue, and the others wait
//! outside of it, in order. Other actions wait behind those few, and never behind all of them.
//!
//! Invariants:
//! - A guest holds a turn for one poll only, which the end of an epoch limits. A guest that awaits
//!   something holds none.
//! - A guest with short polls needs no turn, so serving requests costs nothing here. Only processor
//!   time counts: a guest whose thread was preempted needs no turn either.

use std::{
    future::poll_fn,
    num::NonZeroUsize,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    thread::available_parallelism,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::yield_now,
};

use soloist_heart::clock::BootTime;

/// A poll that takes at least this long is one of a guest that computes.
const LONG_POLL: Duration = Duration::from_millis(1);

/// The turns of the guests of one action.
#[derive(Debug)]
pub struct CpuTurns {
    turns: Arc<Semaphore>,
    /// Whether the latest poll was long; the next guest's may be as well.
    long: AtomicBool,
    /// Whether the latest poll was long by the wall clock; then the next one is measured in
    /// processor time as well.
    suspect: AtomicBool,
}

/// The semaphore is never closed, so this is always `Some`.
type TurnPermit = Option<OwnedSemaphorePermit>;
type TurnWait = Pin<Box<dyn Future<Output = TurnPermit> + Send>>;

impl CpuTurns {
    /// Lets this many guests compute at once. By default, one processor is left to the rest of the
    /// host, if there is more than one.
    pub fn new(cpu: Option<NonZeroUsize>) -> Self {
        let all = || available_parallelism().map_or(1, NonZeroUsize::get);
        let turns = cpu.map_or_else(|| (all() - 1).max(1), NonZeroUsize::get);
        let turns = Arc::new(Semaphore::new(turns));
        Self { turns, long: AtomicBool::new(false), suspect: AtomicBool::new(false) }
    }

    /// Runs a guest; each of its long polls waits for a turn.
    pub async fn run<F: Future>(&self, guest: F) -> F::Output {
        let mut guest = pin!(guest);
        let (mut wait, mut last) = (None, StepLength::Short);
        poll_fn(|cx| {
            let due =
                wait.is_some() || last == StepLength::Long || self.long.load(Ordering::Relaxed);
            let _turn = if due { std::task::ready!(self.turn(&mut wait, cx)) } else { None };
            let watch =
                StepTimer::start(last != StepLength::Short || self.suspect.load(Ordering::Relaxed));
            let step = guest.as_mut().poll(cx);
            last = watch.stop();
            self.long.store(last == StepLength::Long, Ordering::Relaxed);
            self.suspect.store(last != StepLength::Short, Ordering::Relaxed);
            step
        })
        .await
    }

    fn turn(&self, wait: &mut Option<TurnWait>, cx: &mut Context<'_>) -> Poll<TurnPermit> {
        let waiting = wait.get_or_insert_with(|| Box::pin(wait_for_turn(self.turns.clone())));
        let turn = waiting.as_mut().poll(cx);
        if turn.is_ready() {
            *wait = None;
        }
        turn
    }
}

/// How long a poll was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StepLength {
    Short,
    /// Long by the clock, but the thread may have been preempted.
    Doubtful,
    Long,
}

/// Measures a poll on the current thread.
struct StepTimer {
    clock: BootTime,
    processor: Option<Duration>,
}

impl StepTimer {
    /// Starts measuring. To include the processor time (`closely`) takes a system call.
    fn start(closely: bool) -> Self {
        Self { clock: BootTime::now(), processor: closely.then(processor_time) }
    }

    fn stop(self) -> StepLength {
        if BootTime::now().since(self.clock) < LONG_POLL {
            return StepLength::Short;
        }
        match self.processor {
            Some(began) if processor_time().saturating_sub(began) >= LONG_POLL => StepLength::Long,
            Some(_) | None => StepLength::Doubtful,
        }
    }
}

/// The processor time that this thread has used (clock_gettime(2)).
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // It is never negative.
    time.try_into().unwrap_or_default()
}

async fn wait_for_turn(turns: Arc<Semaphore>) -> TurnPermit {
    let turn = turns.acquire_owned().await.ok();
    // The turn is held while the runtime polls everything else. Otherwise all guests would run one
    // after another before it did.
    yield_now().await;
    turn
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tokio::task::JoinSet;

    use super::*;

    /// Computes in long polls and counts them.
    async fn compute(steps: Arc<AtomicUsize>) {
        loop {
            let began = processor_time();
            while processor_time() - began <= LONG_POLL {}
            steps.fetch_add(1, Ordering::Relaxed);
            yield_now().await;
        }
    }

    /// Starts a guest that computes, and returns its count of polls.
    fn start(guests: &mut JoinSet<()>, turns: &Arc<CpuTurns>) -> Arc<AtomicUsize> {
        let (turns, steps) = (turns.clone(), Arc::<AtomicUsize>::default());
        let counted = steps.clone();
        guests.spawn(async move { turns.run(compute(counted)).await });
        steps
    }

    fn sum(each: &[Arc<AtomicUsize>]) -> usize {
        each.iter().map(|steps| steps.load(Ordering::Relaxed)).sum()
    }

    #[tokio::test]
    async fn a_neighbour_waits_for_a_few_and_not_for_all() {
        let (turns, mut guests) = (Arc::new(CpuTurns::new(NonZeroUsize::new(2))), JoinSet::new());
        let each: Vec<_> = (0..1000).map(|_| start(&mut guests, &turns)).collect();
        while sum(&each) < 10 {
            yield_now().await;
        }
        let before = sum(&each);
        let neighbour = async {
            for _ in 0..20 {
                yield_now().await;
            }
        };
        CpuTurns::new(None).run(neighbour).await;
        let meanwhile = sum(&each) - before;
        assert!((20..=60).contains(&meanwhile), "{meanwhile} of theirs in 20 of its own");
    }

    #[tokio::test]
    async fn guests_of_one_action_take_turns() {
        let (turns, mut guests) = (Arc::new(CpuTurns::new(NonZeroUsize::new(1))), JoinSet::new());
        let each: Vec<_> = (0..10).map(|_| start(&mut guests, &turns)).collect();
        while sum(&each) < 100 {
            yield_now().await;
        }
        let counts: Vec<_> = each.iter().map(|steps| steps.load(Ordering::Relaxed)).collect();
        assert!(counts.iter().all(|count| (8..=12).contains(count)), "{counts:?}");
    }

    #[tokio::test]
    async fn who_was_kept_from_the_processor_needs_no_turn() {
        let turns = CpuTurns::new(NonZeroUsize::new(1));
        let kept_waiting = || async {
            for _ in 0..3 {
                std::thread::sleep(2 * LONG_POLL);
                yield_now().await;
            }
        };
        let _all_turns = turns.turns.acquire().await.unwrap();
        let both = async {
            turns.run(kept_waiting()).await;
            turns.run(kept_waiting()).await;
        };
        tokio::time::timeout(1000 * LONG_POLL, both).await.expect("it waits for a turn");
    }

    #[tokio::test]
    async fn who_waits_holds_no_turn_and_who_goes_gives_it_back() {
        let (turns, mut guests) = (Arc::new(CpuTurns::new(NonZeroUsize::new(1))), JoinSet::new());
        let waiting = turns.clone();
        guests.spawn(async move { waiting.run(std::future::pending()).await });
        let steps = start(&mut guests, &turns);
        while steps.load(Ordering::Relaxed) < 3 {
            yield_now().await;
        }
        assert_eq!(turns.run(async { 7 }).await, 7);
        guests.shutdown().await;
        assert_eq!(turns.turns.available_permits(), 1);
    }
}
