//! Runs the streams of HTTP/2 connections.

use std::time::Duration;

use hyper::rt::Executor;
use tokio::time::timeout;

use super::{
    limits::LAST_RESPONSE,
    tracked_body::{STALL_TIMER, StallTimer},
};
use crate::task_scope::TaskScope;

/// Runs the streams of HTTP/2 connections. A stream that is cut has a short time for a last
/// response as well; one whose client reads nothing is reset.
#[derive(Clone)]
pub(super) struct StreamExecutor {
    pub(super) scope: TaskScope,
    pub(super) client_timeout: Duration,
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, stream: F) {
        let (timeout_after, stall_timer) = (self.client_timeout, StallTimer::default());
        // Boxed, because the futures around it would otherwise contain its full size, more than
        // once.
        let mut stream = Box::pin(STALL_TIMER.scope(stall_timer.clone(), stream));
        self.scope.spawn_cancellable(|cut| async move {
            tokio::select! {
                biased;
                _ = stream.as_mut() => {}
                () = cut.cancelled() => drop(timeout(LAST_RESPONSE, stream).await),
                () = stall_timer.stalled(timeout_after) => tracing::debug!("a stream was not taken"),
            }
        });
    }
}
