//! The stream of the queue's changes, which outlasts every loss of the store.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream, stream::BoxStream};
use tokio::time::sleep;
use tracing::debug;

use soloist_stores::{CastChange, CastStore, CastStream};

/// An update of the queue.
#[derive(Debug)]
pub(super) enum QueueUpdate {
    /// Everything that is in the queue.
    All(Vec<CastChange>),
    /// What has changed since the last update.
    Changes(Vec<CastChange>),
}

/// An endless stream of updates. A watch that fails is started again after `retry`, and begins with
/// the whole queue.
pub(super) fn queue_updates(
    casts: Arc<dyn CastStore>,
    retry: Duration,
) -> BoxStream<'static, QueueUpdate> {
    stream::unfold((casts, None), move |(casts, watch): (_, Option<CastStream>)| async move {
        let Some(mut watch) = watch else {
            let (changes, watch) = start_watch(&*casts, retry).await;
            return Some((QueueUpdate::All(changes), (casts, Some(watch))));
        };
        match watch.next().await {
            Some(Ok(changes)) => Some((QueueUpdate::Changes(changes), (casts, Some(watch)))),
            ended => {
                // Stores end a watch without an error when it is to be refreshed.
                if let Some(Err(error)) = ended {
                    // Only logged for debugging: the loss of the store is reported by the session.
                    debug!(%error, "lost sight of the casts");
                    sleep(retry).await;
                }
                let (changes, watch) = start_watch(&*casts, retry).await;
                Some((QueueUpdate::All(changes), (casts, Some(watch))))
            }
        }
    })
    .boxed()
}

async fn start_watch(casts: &dyn CastStore, retry: Duration) -> (Vec<CastChange>, CastStream) {
    loop {
        match casts.watch().await {
            Ok(mut watch) => {
                if let Some(Ok(changes)) = watch.next().await {
                    return (changes, watch);
                }
            }
            Err(error) => debug!(%error, "cannot see the casts"),
        }
        sleep(retry).await;
    }
}
