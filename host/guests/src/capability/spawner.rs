//! Background work of an action, which ends with the term.

use std::{fmt, sync::Arc};

use futures::future::BoxFuture;
use hyper::rt::Executor;
use tokio::sync::oneshot;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Spawns tokio tasks for an action. The action joins them when the term ends.
#[derive(Clone)]
pub struct Spawner(Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>);

impl Spawner {
    /// A spawner that passes each task to `spawn`.
    #[must_use]
    pub fn new(spawn: impl Fn(BoxFuture<'static, ()>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(spawn))
    }

    /// Spawns `task`.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        (self.0)(Box::pin(task));
    }

    /// Spawns `work` and returns its result through the receiver. Dropping the guard cancels the
    /// work. The receiver fails if the term ends first.
    pub fn spawn_cancellable<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> (oneshot::Receiver<T>, DropGuard) {
        let ((sender, receiver), end) = (oneshot::channel(), CancellationToken::new());
        let ended = end.clone();
        self.spawn(async move {
            if let Some(result) = ended.run_until_cancelled_owned(work).await {
                // The receiver may have been dropped.
                let _ = sender.send(result);
            }
        });
        (receiver, end.drop_guard())
    }

    /// Runs `work` in a task of its own while a guest waits for the result. If the guest's own
    /// future ran it, the work would stop whenever the guest has to wait for the processor
    /// (`plugin/cpu_turns.rs`), while it may hold a lock, a slot or a connection that others need.
    ///
    /// Returns `None` if the term ends first.
    pub async fn run_in_task<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let (receiver, _end) = self.spawn_cancellable(work);
        receiver.await.ok()
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Spawner {
    fn execute(&self, task: F) {
        self.spawn(task);
    }
}

impl fmt::Debug for Spawner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Spawner")
    }
}
