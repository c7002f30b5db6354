//! The news of the queue, through every loss of the store.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, stream, stream::BoxStream};
use tokio::time::sleep;
use tracing::debug;

use soloist_stores::{CastChange, CastStore, CastStream};

/// What is heard of the queue.
#[derive(Debug)]
pub(super) enum QueueUpdate {
    /// This is all that is in it.
    All(Vec<CastChange>),
    /// This has changed.
    Some(Vec<CastChange>),
}

/// The news, without end. A watch that fails is begun anew after `retry`.
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
            Some(Ok(changes)) => Some((QueueUpdate::Some(changes), (casts, Some(watch)))),
            ended => {
                // One that ends without an error was believed for long enough.
                if let Some(Err(error)) = ended {
                    // Who cares whether the store answers hears it from the session.
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
