//! The threads on which calls of guests block: those on files, and questions to a name
//! service. Each action has some of its own.
//!
//! Nothing can interrupt such a call. One on a pipe that nobody writes to, or on a file
//! system whose server is gone, holds its thread for ever, and wasmtime takes its threads
//! from the tokio runtime that it is called in. So it is called in a runtime that only the
//! guests of this one action are called in: when all its threads are held, that action fails,
//! and nothing else does. It stays for the life of the host: what hangs is not forgotten when
//! a term ends and another begins.
//!
//! Invariant: nothing waits for these threads when the host ends.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fmt,
    future::poll_fn,
    io,
    pin::pin,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use metrics::Gauge;
use parking_lot::Mutex;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::JoinHandle,
};

use soloist_heart::clock::BootTime;
use soloist_telemetry::{log_throttle::LogThrottle, measure};

/// How many calls of an action block at the same time; the next ones wait.
const THREADS: usize = 32;
/// A thread with nothing to do ends after so long.
const IDLE: Duration = Duration::from_secs(2);
/// How often it is looked whether a thread is to be had.
const LOOK: Duration = Duration::from_secs(1);
/// Who waits for one for so long waits for calls that do not end.
pub(super) const HANGS: Duration = Duration::from_secs(5);

/// The pools of all actions. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct BlockingPools(Arc<Mutex<BTreeMap<Arc<str>, Arc<BlockingPool>>>>);

/// The pool of one action. Its threads come when they are needed.
pub struct BlockingPool {
    action: Arc<str>,
    runtime: OnceLock<DetachedRuntime>,
    /// The latest look for a thread that is to be had.
    probe: Mutex<Option<ThreadProbe>>,
    /// Whether that look found none.
    exhausted: AtomicBool,
    throttle: LogThrottle,
}

/// No thread of the pool comes back.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "its files do not answer: {THREADS} calls have not come back for {} s; look at the file systems of its `folders`, and for pipes in them",
    HANGS.as_secs()
)]
pub struct PoolExhausted;

/// A runtime that is let go without waiting for its threads.
struct DetachedRuntime(Option<Runtime>);

/// A question to the pool that is answered as soon as it has a thread.
struct ThreadProbe {
    at: BootTime,
    answer: JoinHandle<()>,
}

impl BlockingPools {
    /// The pool of `action`.
    pub fn of(&self, action: &Arc<str>) -> Arc<BlockingPool> {
        let mut pools = self.0.lock();
        let pool = pools.entry(Arc::clone(action));
        Arc::clone(pool.or_insert_with(|| Arc::new(BlockingPool::new(action))))
    }
}

impl BlockingPool {
    fn new(action: &Arc<str>) -> Self {
        let (runtime, probe, exhausted) =
            (OnceLock::new(), Mutex::default(), AtomicBool::new(false));
        Self {
            action: Arc::clone(action),
            runtime,
            probe,
            exhausted,
            throttle: LogThrottle::default(),
        }
    }

    /// Runs a guest: where it blocks, it blocks threads of this pool. What it starts beside
    /// that is driven by the pool's runtime as well.
    pub async fn run<F: Future>(&self, guest: F) -> F::Output {
        // Where the machine has no thread for it, no guest that could block comes to be.
        let Ok(pool) = self.handle() else { return guest.await };
        let mut guest = pin!(guest);
        let done = poll_fn(|cx| {
            let _within = pool.enter();
            guest.as_mut().poll(cx)
        });
        done.await
    }

    /// Takes a step that leaves something behind which blocks.
    ///
    /// # Errors
    /// The machine has no thread for it.
    pub fn enter<T>(&self, step: impl FnOnce() -> T) -> io::Result<T> {
        let pool = self.handle()?;
        let _within = pool.enter();
        Ok(step())
    }

    /// Makes a call that blocks. Whoever does not wait any longer takes it back, if it has
    /// not begun.
    ///
    /// # Errors
    /// The machine has no thread for it.
    pub async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let mut begun = AbortOnDrop(self.handle()?.spawn_blocking(call));
        // It fails where the host ends.
        (&mut begun.0).await.map_err(io::Error::other)
    }

    /// Whether a thread is to be had, or will be.
    ///
    /// # Errors
    /// All of them hang.
    pub fn check(&self) -> Result<(), PoolExhausted> {
        let hangs = self.probe_exhausted(BootTime::now());
        let action = &self.action;
        if hangs {
            self.throttle.report(|told| {
                tracing::warn!(event = "files-hang", %action, "action {action} fails: {PoolExhausted}{told}");
            });
        } else if self.exhausted.load(Ordering::Relaxed) {
            self.throttle.over(|told| {
                tracing::info!(event = "files-back", %action, "the files of action {action} answer again{told}");
            });
        }
        self.exhausted.store(hangs, Ordering::Relaxed);
        if hangs { Err(PoolExhausted) } else { Ok(()) }
    }

    /// Takes a look, unless one was taken lately, and tells what the latest has shown.
    fn probe_exhausted(&self, now: BootTime) -> bool {
        let mut look = self.probe.lock();
        match &*look {
            Some(before) if !before.answer.is_finished() => return now.since(before.at) >= HANGS,
            Some(before) if now.since(before.at) < LOOK => return false,
            _ => {}
        }
        // Without a runtime nothing blocks yet.
        if let Some(handle) = self.runtime.get().and_then(DetachedRuntime::handle) {
            *look = Some(ThreadProbe { at: now, answer: handle.spawn_blocking(|| ()) });
        }
        false
    }

    fn handle(&self) -> io::Result<Handle> {
        if let Some(handle) = self.runtime.get().and_then(DetachedRuntime::handle) {
            return Ok(handle);
        }
        let made = DetachedRuntime(Some(build_runtime(&measure::blocking_threads(&self.action))?));
        // Another may have been first; its own is kept then.
        let runtime = self.runtime.get_or_init(|| made);
        runtime.handle().ok_or_else(|| io::Error::other("the host ends"))
    }
}

thread_local! {
    /// Whether this thread counts among those that block.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

/// With one thread that drives what guests wait for, beside those that block, which `blocking`
/// counts.
fn build_runtime(blocking: &Gauge) -> io::Result<Runtime> {
    let (started, stopped) = (blocking.clone(), blocking.clone());
    // The one that drives is none that blocks.
    let drives = AtomicBool::new(true);
    Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(THREADS)
        .thread_keep_alive(IDLE)
        .thread_name("files")
        .on_thread_start(move || {
            if !drives.swap(false, Ordering::Relaxed) {
                COUNTED.set(true);
                started.increment(1.0);
            }
        })
        .on_thread_stop(move || {
            if COUNTED.get() {
                stopped.decrement(1.0);
            }
        })
        .enable_all()
        .build()
}

impl DetachedRuntime {
    fn handle(&self) -> Option<Handle> {
        self.0.as_ref().map(|runtime| runtime.handle().clone())
    }
}

impl Drop for DetachedRuntime {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl fmt::Debug for BlockingPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingPool").field("action", &self.action).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{atomic::AtomicU64, mpsc};

    use tokio::task::JoinSet;

    use super::*;

    /// Calls that do not come back until the guard is dropped.
    fn hang(pool: &Arc<BlockingPool>, calls: usize) -> (JoinSet<()>, mpsc::Sender<()>) {
        let (guard, end) = mpsc::channel::<()>();
        let (end, mut hanging) = (Arc::new(Mutex::new(end)), JoinSet::new());
        for _ in 0..calls {
            let (pool, end) = (Arc::clone(pool), Arc::clone(&end));
            hanging.spawn(async move {
                let _ = pool.call(move || end.lock().recv().is_ok()).await;
            });
        }
        (hanging, guard)
    }

    async fn is_held(pool: &Arc<BlockingPool>) -> bool {
        let probe = pool.call(|| ());
        tokio::time::timeout(Duration::from_millis(200), probe).await.is_err()
    }

    #[tokio::test]
    async fn what_hangs_fails_its_action_alone_and_is_told() {
        let pools = BlockingPools::default();
        let (web, other) = (pools.of(&"web".into()), pools.of(&"other".into()));
        let (_hanging, guard) = hang(&web, 20 * THREADS);
        while !is_held(&web).await {}
        let now = BootTime::now();
        assert!(!web.probe_exhausted(now), "it has just been asked");
        assert!(web.probe_exhausted(now + HANGS));
        assert!(!other.probe_exhausted(now + HANGS));
        assert!(!is_held(&other).await);
        assert!(Arc::ptr_eq(&web, &pools.of(&"web".into())), "another term finds the same");
        // The host ends though its threads do not.
        drop(guard);
        while is_held(&web).await {}
        while web.probe_exhausted(now + HANGS) {
            tokio::task::yield_now().await;
        }
    }

    /// Of two that are made at a time, one is let go at once.
    #[test]
    fn a_runtime_that_is_let_go_takes_nothing_off_the_count() {
        let count = Arc::new(AtomicU64::new(0));
        let runtime = build_runtime(&Gauge::from_arc(Arc::clone(&count))).unwrap();
        let (begun, begins) = mpsc::channel();
        let blocks = runtime.spawn_blocking(move || begun.send(()));
        begins.recv().unwrap();
        assert_eq!(f64::from_bits(count.load(Ordering::Relaxed)).to_string(), "1");
        runtime.block_on(blocks).unwrap().unwrap();
        // It waits until all its threads have ended.
        runtime.shutdown_timeout(Duration::from_secs(60));
        assert_eq!(f64::from_bits(count.load(Ordering::Relaxed)).to_string(), "0");
    }

    #[tokio::test]
    async fn a_guest_blocks_threads_of_its_own_pool() {
        let pool = BlockingPools::default().of(&"web".into());
        let name = || std::thread::current().name().map(ToOwned::to_owned);
        let guest = async || tokio::task::spawn_blocking(name).await.unwrap();
        assert_ne!(guest().await.as_deref(), Some("files"));
        assert_eq!(pool.run(guest()).await.as_deref(), Some("files"));
    }
}
