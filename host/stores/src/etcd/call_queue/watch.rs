//! Watching the queue of calls: first reads the whole queue, page by page at one revision, then
//! watches from that revision on. A watch is not trusted forever: after a few [`recheck
//! intervals`](crate::etcd::client::EtcdClient::recheck_interval) it ends, so that the caller
//! starts a new one.

use etcd_client::{EventType, KeyValue, WatchResponse};
use futures::{StreamExt, stream};
use tokio::time::sleep;

use super::queued_call_keys::{QueuedCallKeyKind, QueuedCallKeys};
use crate::{
    CallQueueChange, CallQueueStream, StoreError, WaitingCall,
    etcd::{client::SharedClient, range, watch_events::WatchEvents},
    ignored_entry::warn_ignored,
};
use soloist_heart::LeaseId;

const READ: &str = "read the queue of calls";
/// For how many recheck intervals a watch is trusted. Reading the whole queue costs more than
/// reading the roster, and a lost notification matters less here.
const TRUSTED: u32 = 5;
/// About how many changes are delivered at once at most.
const BURST: usize = 1000;

pub(super) async fn watch(
    client: SharedClient,
    names: QueuedCallKeys,
) -> Result<CallQueueStream, StoreError> {
    let (present, revision) = read(&client, &names).await?;
    let events = WatchEvents::after(revision, &names.queue_range(), &client).await?;
    let later = stream::try_unfold(CallQueueWatch { names, events }, |mut watch| async {
        let changes = watch.next().await?;
        Ok(Some((changes, watch)))
    });
    let later = later.take_until(sleep(client.recheck_interval() * TRUSTED));
    Ok(stream::iter([Ok(present)]).chain(later).boxed())
}

struct CallQueueWatch {
    names: QueuedCallKeys,
    events: WatchEvents,
}

impl CallQueueWatch {
    /// The next changes; those in quick succession are delivered together.
    async fn next(&mut self) -> Result<Vec<CallQueueChange>, StoreError> {
        let mut changes = Vec::new();
        while changes.is_empty() {
            let first = self.events.next().await?;
            self.apply(&first, &mut changes);
        }
        while changes.len() < BURST
            && let Some(more) = self.events.try_next()
        {
            self.apply(&more?, &mut changes);
        }
        Ok(changes)
    }

    fn apply(&self, events: &WatchResponse, changes: &mut Vec<CallQueueChange>) {
        for event in events.events() {
            let Some(key) = event.kv() else { continue };
            changes.extend(match event.event_type() {
                EventType::Put => put(&self.names, key),
                EventType::Delete => delete(&self.names, key),
            });
        }
    }
}

/// Everything in the queue, and the revision at which it was read.
async fn read(
    client: &SharedClient,
    names: &QueuedCallKeys,
) -> Result<(Vec<CallQueueChange>, i64), StoreError> {
    let mut present = Vec::new();
    let take_in = |key: &KeyValue| present.extend(put(names, key));
    let revision = range::read(client, READ, &names.queue_range(), take_in).await?;
    Ok((present, revision))
}

fn put(names: &QueuedCallKeys, found: &KeyValue) -> Option<CallQueueChange> {
    if let Some(key) = names.call_of(QueuedCallKeyKind::Claim, found.key()) {
        return Some(CallQueueChange::Claimed(key, LeaseId(found.lease())));
    }
    let key = names.call_of(QueuedCallKeyKind::Head, found.key())?;
    match serde_json::from_slice(found.value()) {
        Ok(head) => {
            Some(CallQueueChange::Queued(WaitingCall { key, version: found.mod_revision(), head }))
        }
        Err(error) => {
            warn_ignored("enqueue", &key.to_string(), error);
            None
        }
    }
}

fn delete(names: &QueuedCallKeys, found: &KeyValue) -> Option<CallQueueChange> {
    let claim = names.call_of(QueuedCallKeyKind::Claim, found.key()).map(CallQueueChange::Free);
    claim.or_else(|| names.call_of(QueuedCallKeyKind::Head, found.key()).map(CallQueueChange::Left))
}
