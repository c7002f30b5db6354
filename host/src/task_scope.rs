//! Tasks that end together.

use std::task::Poll;

use futures::poll;
use hyper::rt::Executor;
use tokio::task::JoinHandle;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// What the first step of a task has led to.
#[derive(Debug)]
pub enum FirstStep<T> {
    /// The task has finished; `None` if it was cancelled first.
    Finished(Option<T>),
    /// The task runs on.
    Running(JoinHandle<Option<T>>),
}

/// Owns tasks: cancelling the scope drops each of them, and none is detached. Clones own the same
/// tasks.
#[derive(Clone, Debug, Default)]
pub struct TaskScope {
    tracker: TaskTracker,
    parent: Option<TaskTracker>,
    cancelled: CancellationToken,
}

impl TaskScope {
    /// A scope without tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A scope within this one, which can end while this one goes on. Its tasks belong to this one
    /// as well: they are cancelled and joined with it.
    #[must_use]
    pub fn child(&self) -> Self {
        let cancelled = self.cancelled.child_token();
        Self { tracker: TaskTracker::new(), parent: Some(self.tracker.clone()), cancelled }
    }

    /// Starts a task. It resolves to `None` if it was cancelled; its future is then dropped without
    /// being polled again, or at all.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let cancelled = self.cancelled.clone();
        self.track(async move {
            // Cancellation comes first, or a thousand busy guests would each get one more turn.
            tokio::select! {
                biased;
                () = cancelled.cancelled() => None,
                output = task => Some(output),
            }
        })
    }

    /// Takes the first step of a task inline. Only if it is not finished then does it become a task
    /// of the runtime: for short work, spawning costs more than the work.
    pub async fn start_inline<F>(&self, task: F) -> FirstStep<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        // Held before cancellation is checked: either this step is not taken, or a join waits for
        // it.
        let _held = (self.tracker.token(), self.parent.as_ref().map(TaskTracker::token));
        if self.cancelled.is_cancelled() {
            return FirstStep::Finished(None);
        }
        let mut task = Box::pin(task);
        match poll!(task.as_mut()) {
            Poll::Ready(output) => FirstStep::Finished(Some(output)),
            Poll::Pending => FirstStep::Running(self.spawn(task)),
        }
    }

    /// Starts a task that gets a token for the cancellation instead of being dropped. Stopping the
    /// scope waits for it, so it must end soon.
    pub fn spawn_cancellable<F>(&self, task: impl FnOnce(CancellationToken) -> F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.track(task(self.cancelled.clone()))
    }

    fn track<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        match &self.parent {
            Some(outer) => self.tracker.spawn(outer.track_future(task)),
            None => self.tracker.spawn(task),
        }
    }

    /// While the token lives, [`TaskScope::join`] waits as if for a task.
    pub fn hold(&self) -> TaskTrackerToken {
        self.tracker.token()
    }

    /// Cancels all tasks, including those that are started later.
    pub fn cancel(&self) {
        self.cancelled.cancel();
    }

    /// Resolves when the scope is cancelled.
    pub async fn cancelled(&self) {
        self.cancelled.cancelled().await;
    }

    /// Waits until every task has ended and its future has been dropped.
    pub async fn join(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }

    /// Cancels all tasks, and waits until they are gone.
    pub async fn stop(&self) {
        self.cancel();
        self.join().await;
    }

    /// How many tasks there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tracker.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }
}

/// Runs the tasks that hyper spawns.
impl<F: Future<Output: Send> + Send + 'static> Executor<F> for TaskScope {
    fn execute(&self, task: F) {
        drop(self.spawn(task));
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, sync::Arc};

    use super::*;

    #[tokio::test]
    async fn stopping_drops_what_waits_and_what_comes() {
        let tasks = TaskScope::new();
        let held = Arc::new(());
        for _ in 0..10 {
            let held = held.clone();
            tasks.spawn(async move {
                let _held = held;
                pending::<()>().await;
            });
        }
        tasks.stop().await;
        let late = tasks.spawn(async { panic!("a cancelled task ran") });
        assert!(late.await.unwrap().is_none());
        assert_eq!((Arc::strong_count(&held), tasks.len()), (1, 0));
    }

    #[tokio::test]
    async fn short_work_is_over_at_once_and_long_work_goes_on() {
        let tasks = TaskScope::new().child();
        assert!(matches!(tasks.start_inline(async { 7 }).await, FirstStep::Finished(Some(7))));
        assert!(tasks.is_empty());
        let FirstStep::Running(task) = tasks.start_inline(pending::<()>()).await else {
            panic!("it is over")
        };
        assert_eq!(tasks.len(), 1);
        tasks.stop().await;
        assert_eq!(task.await.unwrap(), None);
        let late = tasks.start_inline(async { panic!("a cancelled task ran") }).await;
        assert!(matches!(late, FirstStep::Finished(None)));
    }

    #[tokio::test]
    async fn a_first_step_is_waited_for() {
        let all = TaskScope::new();
        let tasks = all.child();
        let (inner, outer) = (tasks.clone(), all.clone());
        let seen = tasks.start_inline(async move { (inner.len(), outer.len()) }).await;
        assert!(matches!(seen, FirstStep::Finished(Some((1, 1)))), "{seen:?}");
        assert!(all.is_empty());
    }

    #[tokio::test]
    async fn joining_lets_finish() {
        let tasks = TaskScope::new();
        let task = tasks.spawn(async { 7 });
        tasks.join().await;
        assert_eq!(task.await.unwrap(), Some(7));
    }

    #[tokio::test]
    async fn children_end_alone_or_with_all() {
        let tasks = TaskScope::new();
        let (one, two) = (tasks.child(), tasks.child());
        one.spawn(pending::<()>());
        two.spawn(pending::<()>());
        one.stop().await;
        assert_eq!((tasks.len(), one.len(), two.len()), (1, 0, 1));
        tasks.stop().await;
        assert!(two.is_empty());
    }
}
