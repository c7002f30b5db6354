//! The threads on which calls of guests block: file operations and DNS lookups. Each action has its
//! own.
//!
//! Nothing can interrupt such a call. A read from a pipe that nobody writes to, or from a file
//! system whose server is gone, holds its thread for ever, and wasmtime takes these threads from
//! the tokio runtime that it is called in. So guests are polled within a runtime that only the
//! guests of their action use: when all its threads hang, that action fails and nothing else does.
//! The runtime lives as long as the host, so threads that hang are not forgotten when a term ends
//! and another begins.
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

/// How many calls of an action block at the same time; further calls wait.
const THREADS: usize = 32;
/// A thread without work ends after this time.
const THREAD_IDLE: Duration = Duration::from_secs(2);
/// How often the pool is probed for a free thread.
const PROBE_PAUSE: Duration = Duration::from_secs(1);
/// If a probe waits for a thread for this long, the running calls are taken to hang.
pub(super) const HANG_AFTER: Duration = Duration::from_secs(5);

/// The pools of all actions. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct BlockingPools(Arc<Mutex<BTreeMap<Arc<str>, Arc<BlockingPool>>>>);

/// The pool of one action. Threads are started on demand.
pub struct BlockingPool {
    action: Arc<str>,
    runtime: OnceLock<DetachedRuntime>,
    /// The latest probe for a free thread.
    probe: Mutex<Option<ThreadProbe>>,
    /// Whether that probe found none.
    exhausted: AtomicBool,
    throttle: LogThrottle,
}

/// All threads of the pool hang.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "its files do not answer: {THREADS} calls have not come back for {} s; look at the file systems of its `mounts`, and for pipes in them",
    HANG_AFTER.as_secs()
)]
pub struct PoolExhausted;

/// A runtime that is dropped without waiting for its threads.
struct DetachedRuntime(Option<Runtime>);

/// A no-op queued to the pool; it finishes as soon as a thread is free.
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

    /// Runs a guest so that it blocks threads of this pool. Tasks that it spawns are driven by the
    /// runtime of the pool as well.
    pub async fn run<F: Future>(&self, guest: F) -> F::Output {
        // Without a runtime (the machine gives no more threads) no guest that blocks can be made.
        let Ok(pool) = self.handle() else { return guest.await };
        let mut guest = pin!(guest);
        let done = poll_fn(|cx| {
            let _within = pool.enter();
            guest.as_mut().poll(cx)
        });
        done.await
    }

    /// Runs `step` within the pool's runtime, so that blocking calls which it starts use threads of
    /// this pool.
    ///
    /// # Errors
    /// The machine gives no thread for the runtime.
    pub fn enter<T>(&self, step: impl FnOnce() -> T) -> io::Result<T> {
        let pool = self.handle()?;
        let _within = pool.enter();
        Ok(step())
    }

    /// Runs a blocking call. If the caller stops waiting before the call has begun, it is
    /// cancelled.
    ///
    /// # Errors
    /// The machine gives no thread for it.
    pub async fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce() -> T + Send + 'static,
    ) -> io::Result<T> {
        let mut begun = AbortOnDrop(self.handle()?.spawn_blocking(call));
        // This fails only when the host ends.
        (&mut begun.0).await.map_err(io::Error::other)
    }

    /// Checks that a thread is free, or will be soon.
    ///
    /// # Errors
    /// All threads hang.
    pub fn check(&self) -> Result<(), PoolExhausted> {
        let hangs = self.probe_exhausted(BootTime::now());
        let action = &self.action;
        if hangs {
            self.throttle.report(|repeats| {
                tracing::warn!(event = "files-hang", %action, "action {action} fails: {PoolExhausted}{repeats}");
            });
        } else if self.exhausted.load(Ordering::Relaxed) {
            self.throttle.recovered(|repeats| {
                tracing::info!(event = "files-back", %action, "the files of action {action} answer again{repeats}");
            });
        }
        self.exhausted.store(hangs, Ordering::Relaxed);
        if hangs { Err(PoolExhausted) } else { Ok(()) }
    }

    /// Probes the pool, unless it was probed a moment ago, and returns whether all threads hang.
    fn probe_exhausted(&self, now: BootTime) -> bool {
        let mut look = self.probe.lock();
        match &*look {
            Some(before) if !before.answer.is_finished() => {
                return now.since(before.at) >= HANG_AFTER;
            }
            Some(before) if now.since(before.at) < PROBE_PAUSE => return false,
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
        // If another caller was first, its runtime is kept and this one is dropped.
        let runtime = self.runtime.get_or_init(|| made);
        runtime.handle().ok_or_else(|| io::Error::other("the host ends"))
    }
}

thread_local! {
    /// Whether this thread is counted as a blocking one.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

/// A runtime with one worker thread, which drives what guests await, and the blocking threads,
/// which `blocking` counts.
fn build_runtime(blocking: &Gauge) -> io::Result<Runtime> {
    let (started, stopped) = (blocking.clone(), blocking.clone());
    // The first thread to start is the worker, which is not counted.
    let drives = AtomicBool::new(true);
    Builder::new_multi_thread()
        .worker_threads(1)
        .max_blocking_threads(THREADS)
        .thread_keep_alive(THREAD_IDLE)
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

    /// Starts calls that do not return until the guard is dropped.
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
        assert!(web.probe_exhausted(now + HANG_AFTER));
        assert!(!other.probe_exhausted(now + HANG_AFTER));
        assert!(!is_held(&other).await);
        assert!(Arc::ptr_eq(&web, &pools.of(&"web".into())), "another term finds the same");
        // The host could end here although the threads hang.
        drop(guard);
        while is_held(&web).await {}
        while web.probe_exhausted(now + HANG_AFTER) {
            tokio::task::yield_now().await;
        }
    }

    /// Two threads may race to build the runtime; the loser drops its own at once.
    #[test]
    fn a_runtime_that_is_let_go_takes_nothing_off_the_count() {
        let count = Arc::new(AtomicU64::new(0));
        let runtime = build_runtime(&Gauge::from_arc(Arc::clone(&count))).unwrap();
        let (begun, begins) = mpsc::channel();
        let blocks = runtime.spawn_blocking(move || begun.send(()));
        begins.recv().unwrap();
        assert_eq!(f64::from_bits(count.load(Ordering::Relaxed)).to_string(), "1");
        runtime.block_on(blocks).unwrap().unwrap();
        // This waits until all its threads have ended.
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
