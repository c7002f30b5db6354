//! The stream of the queue's changes, which outlasts every loss of the store.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream, stream::BoxStream};
use tokio::time::sleep;
use tracing::debug;

use soloist_stores::{CallQueueChange, CallQueueStore, CallQueueStream};

/// An update of the queue.
#[derive(Debug)]
pub(super) enum QueueUpdate {
    /// Everything that is in the queue.
    All(Vec<CallQueueChange>),
    /// What has changed since the last update.
    Changes(Vec<CallQueueChange>),
}

/// An endless stream of updates. A watch that fails is started again after `retry`, and begins with
/// the whole queue.
pub(super) fn queue_updates(
    call_queue: Arc<dyn CallQueueStore>,
    retry: Duration,
) -> BoxStream<'static, QueueUpdate> {
    stream::unfold(
        (call_queue, None),
        move |(call_queue, watch): (_, Option<CallQueueStream>)| async move {
            let Some(mut watch) = watch else {
                let (changes, watch) = start_watch(&*call_queue, retry).await;
                return Some((QueueUpdate::All(changes), (call_queue, Some(watch))));
            };
            match watch.next().await {
                Some(Ok(changes)) => {
                    Some((QueueUpdate::Changes(changes), (call_queue, Some(watch))))
                }
                ended => {
                    // Stores end a watch without an error when it is to be refreshed.
                    if let Some(Err(error)) = ended {
                        // Only logged for debugging: the loss of the store is reported by the
                        // session.
                        debug!(%error, "can no longer read the queued calls");
                        sleep(retry).await;
                    }
                    let (changes, watch) = start_watch(&*call_queue, retry).await;
                    Some((QueueUpdate::All(changes), (call_queue, Some(watch))))
                }
            }
        },
    )
    .boxed()
}

async fn start_watch(
    call_queue: &dyn CallQueueStore,
    retry: Duration,
) -> (Vec<CallQueueChange>, CallQueueStream) {
    loop {
        match call_queue.watch().await {
            Ok(mut watch) => {
                if let Some(Ok(changes)) = watch.next().await {
                    return (changes, watch);
                }
            }
            Err(error) => debug!(%error, "cannot read the queued calls"),
        }
        sleep(retry).await;
    }
}
