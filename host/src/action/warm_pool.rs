//! Instances that have finished a request or call and wait for the next one.
//!
//! Guarantee: they end together with the task that cleans up the pool, whoever else holds the pool.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use crate::task_scope::TaskScope;
use soloist_config::ReuseLimits;
use soloist_guests::plugin::Guest;

/// An instance that was created.
pub(super) struct WarmInstance<T> {
    pub(super) guest: Guest,
    /// Its exports, through which it is called.
    pub(super) exports: T,
    /// How often it was called.
    pub(super) served: usize,
}

/// The instances that wait for their next use.
pub(super) struct WarmPool<T> {
    reuse: ReuseLimits,
    idle: Mutex<IdleInstances<T>>,
    not_empty: Notify,
}

/// Ordered by the time since when they wait; the last one is taken first.
struct IdleInstances<T> {
    list: Vec<(Instant, Box<WarmInstance<T>>)>,
    closed: bool,
}

impl<T: Send + 'static> WarmPool<T> {
    /// An empty pool; `tasks` own the task that cleans it up.
    pub(super) fn start(tasks: &TaskScope, reuse: ReuseLimits) -> Arc<Self> {
        let idle = Mutex::new(IdleInstances { list: Vec::new(), closed: false });
        let reserve = Arc::new(Self { reuse, idle, not_empty: Notify::new() });
        tasks.spawn(PoolCleaner(reserve.clone()).run());
        reserve
    }

    /// Takes an instance, if there is one.
    pub(super) fn take(&self) -> Option<Box<WarmInstance<T>>> {
        self.idle().list.pop().map(|(_, warm)| warm)
    }

    /// Keeps an instance, unless it was used often enough or the pool is closed.
    pub(super) fn put(&self, warm: Box<WarmInstance<T>>) {
        if warm.served >= self.reuse.max {
            return;
        }
        let mut idle = self.idle();
        if idle.closed {
            return;
        }
        let first = idle.list.is_empty();
        idle.list.push((Instant::now(), warm));
        drop(idle);
        if first {
            self.not_empty.notify_one();
        }
    }

    /// Ends all instances, and keeps no more.
    pub(super) fn close(&self) {
        let mut idle = self.idle();
        idle.closed = true;
        let list = std::mem::take(&mut idle.list);
        drop(idle);
        drop(list);
    }

    /// Takes out the instances that have been idle for too long.
    fn expired(&self) -> Vec<(Instant, Box<WarmInstance<T>>)> {
        let mut idle = self.idle();
        let fresh = idle.list.partition_point(|(since, _)| since.elapsed() >= self.reuse.idle);
        idle.list.drain(..fresh).collect()
    }

    fn oldest(&self) -> Option<Instant> {
        self.idle().list.first().map(|&(since, _)| since)
    }

    /// Do not hold this lock across an await, nor while an instance is dropped.
    fn idle(&self) -> MutexGuard<'_, IdleInstances<T>> {
        self.idle.lock()
    }
}

/// Removes instances that are idle for too long, and ends all of them when it is dropped.
struct PoolCleaner<T: Send + 'static>(Arc<WarmPool<T>>);

impl<T: Send + 'static> PoolCleaner<T> {
    async fn run(self) {
        let reserve = &self.0;
        loop {
            match reserve.oldest() {
                Some(since) => sleep_until(since + reserve.reuse.idle).await,
                None => reserve.not_empty.notified().await,
            }
            drop(reserve.expired());
        }
    }
}

impl<T: Send + 'static> Drop for PoolCleaner<T> {
    fn drop(&mut self) {
        self.0.close();
    }
}
