//! The thread that ticks the engines' epochs, by which guests are interrupted.
//!
//! A plain thread: a runtime that is kept busy, even by guests, cannot keep it
//! from ticking.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle, Thread},
    time::Duration,
};

/// How long a guest may compute before it lets others run.
const TICK: Duration = Duration::from_millis(10);
/// The same, while a stop is under way.
const TICK_IN_HURRY: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Shared {
    hurries: AtomicUsize,
    ended: AtomicBool,
}

/// Ticks until it is dropped.
pub(super) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    /// Starts the thread, which calls `tick`.
    pub(super) fn start(tick: impl Fn() + Send + 'static) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let seen = shared.clone();
        let run = move || {
            while !seen.ended.load(Ordering::Acquire) {
                tick();
                thread::park_timeout(seen.period());
            }
        };
        let thread = thread::Builder::new().name("epochs".into()).spawn(run)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Ticks faster, from now until the guard is dropped.
    pub(super) fn hurry(&self) -> Hurry {
        self.shared.hurries.fetch_add(1, Ordering::AcqRel);
        self.wake();
        Hurry(self.shared.clone())
    }

    fn wake(&self) {
        self.thread.as_ref().map(JoinHandle::thread).map(Thread::unpark);
    }
}

impl Shared {
    fn period(&self) -> Duration {
        if self.hurries.load(Ordering::Acquire) > 0 { TICK_IN_HURRY } else { TICK }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        self.wake();
        // It can only have panicked if a tick did.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Keeps the epochs ticking fast for as long as it lives.
#[must_use = "the hurry ends when this is dropped"]
pub struct Hurry(Arc<Shared>);

impl Drop for Hurry {
    fn drop(&mut self) {
        self.0.hurries.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hurries_while_a_guard_lives_and_ends_with_the_ticker() {
        let ticker = Ticker::start(|| {}).unwrap();
        let shared = Arc::downgrade(&ticker.shared);
        assert_eq!(ticker.shared.period(), TICK);
        let (one, two) = (ticker.hurry(), ticker.hurry());
        drop(one);
        assert_eq!(ticker.shared.period(), TICK_IN_HURRY);
        drop(two);
        assert_eq!(ticker.shared.period(), TICK);
        drop(ticker);
        assert!(shared.upgrade().is_none(), "the thread still runs");
    }
}
