//! The thread that ticks the epochs of the engines, which interrupts guests.
//!
//! It is a plain thread, so that a busy runtime cannot keep it from ticking. While there are no
//! instances, it rests.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle, Thread},
    time::Duration,
};

/// How long a guest may compute before it yields.
const TICK: Duration = Duration::from_millis(10);
/// The same, while a term is being torn down.
const FAST_TICK: Duration = Duration::from_millis(1);
/// After this many ticks without instances the thread rests. It does not do so at once, or a host
/// that serves one request after another would wake it for each.
const IDLE_TICKS: u32 = 100;

#[derive(Debug, Default)]
struct TickerState {
    /// The number of instances.
    live: AtomicUsize,
    resting: AtomicBool,
    fast_ticks: AtomicUsize,
    ended: AtomicBool,
}

/// Ticks until it is dropped.
pub(super) struct Ticker {
    state: Arc<TickerState>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts the thread, which calls `tick`.
    pub(super) fn start(tick: impl Fn() + Send + 'static) -> io::Result<Self> {
        let state = Arc::new(TickerState::default());
        let shared = state.clone();
        let run = move || {
            let mut idle_ticks = 0;
            while !shared.ended.load(Ordering::Acquire) {
                idle_ticks = if shared.live() > 0 { 0 } else { idle_ticks + 1 };
                if idle_ticks > IDLE_TICKS {
                    shared.rest();
                    idle_ticks = 0;
                }
                thread::park_timeout(shared.period());
                tick();
            }
        };
        let thread = thread::Builder::new().name("epochs".into()).spawn(run)?;
        Ok(Self { state, thread: Some(thread) })
    }

    /// Counts one more instance, until the guard is dropped.
    pub(super) fn add_instance(&self) -> LiveInstance {
        // This thread increments, then reads `resting`; the ticker sets `resting`, then reads the
        // count. So at least one of them sees the change of the other.
        self.state.live.fetch_add(1, Ordering::SeqCst);
        if self.state.resting.load(Ordering::SeqCst) {
            self.wake();
        }
        LiveInstance(self.state.clone())
    }

    /// The number of instances.
    pub(super) fn live_instances(&self) -> usize {
        self.state.live()
    }

    /// Ticks faster until the guard is dropped.
    pub(super) fn tick_fast(&self) -> FastTicks {
        self.state.fast_ticks.fetch_add(1, Ordering::AcqRel);
        self.wake();
        FastTicks(self.state.clone())
    }

    fn wake(&self) {
        self.thread.as_ref().map(JoinHandle::thread).map(Thread::unpark);
    }
}

impl TickerState {
    fn live(&self) -> usize {
        self.live.load(Ordering::SeqCst)
    }

    /// Sleeps until there is an instance.
    fn rest(&self) {
        self.resting.store(true, Ordering::SeqCst);
        if self.live() == 0 && !self.ended.load(Ordering::Acquire) {
            thread::park();
        }
        self.resting.store(false, Ordering::SeqCst);
    }

    fn period(&self) -> Duration {
        if self.fast_ticks.load(Ordering::Acquire) > 0 { FAST_TICK } else { TICK }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::Release);
        self.wake();
        // The thread panics only if a tick did.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Counts as an instance until it is dropped.
#[derive(Debug)]
pub(super) struct LiveInstance(Arc<TickerState>);

impl Drop for LiveInstance {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Keeps the ticks fast until it is dropped.
#[must_use = "the ticks are fast only until this is dropped"]
pub struct FastTicks(Arc<TickerState>);

impl Drop for FastTicks {
    fn drop(&mut self) {
        self.0.fast_ticks.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hurries_while_a_guard_lives_and_ends_with_the_ticker() {
        let ticker = Ticker::start(|| {}).unwrap();
        let state = Arc::downgrade(&ticker.state);
        assert_eq!(ticker.state.period(), TICK);
        let (one, two) = (ticker.tick_fast(), ticker.tick_fast());
        drop(one);
        assert_eq!(ticker.state.period(), FAST_TICK);
        drop(two);
        assert_eq!(ticker.state.period(), TICK);
        drop(ticker);
        assert!(state.upgrade().is_none(), "the thread still runs");
    }

    #[test]
    fn rests_while_there_is_nobody_to_tick_for() {
        let ticks = Arc::new(AtomicUsize::new(0));
        let (counted, least) = (ticks.clone(), TICK / 2);
        let ticker = Ticker::start(move || {
            counted.fetch_add(1, Ordering::SeqCst);
        })
        .unwrap();
        let wait = |what: &str, wanted: &dyn Fn() -> bool| {
            let tries = (0..2000).find(|_| {
                wanted() || {
                    thread::sleep(least);
                    false
                }
            });
            tries.unwrap_or_else(|| panic!("not {what}"));
        };
        for _ in 0..2 {
            wait("resting", &|| ticker.state.resting.load(Ordering::SeqCst));
            let before = ticks.load(Ordering::SeqCst);
            let one = ticker.add_instance();
            wait("ticking", &|| ticks.load(Ordering::SeqCst) > before + 3);
            // It keeps ticking as long as there is an instance.
            thread::sleep(TICK * (IDLE_TICKS + 10));
            assert!(!ticker.state.resting.load(Ordering::SeqCst) && ticker.live_instances() == 1);
            drop(one);
        }
        wait("resting again", &|| ticker.state.resting.load(Ordering::SeqCst));
        let before = ticks.load(Ordering::SeqCst);
        thread::sleep(TICK * 10);
        assert_eq!(ticks.load(Ordering::SeqCst), before);
    }
}
