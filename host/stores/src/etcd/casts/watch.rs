//! Watching the queue of casts: first reads the whole queue, page by page at one revision, then
//! watches from that revision on. A watch is not trusted forever: after a few [`recheck
//! intervals`](crate::etcd::client::EtcdClient::recheck_interval) it ends, so that the caller
//! starts a new one.

use etcd_client::{EventType, KeyValue, WatchResponse};
use futures::{StreamExt, stream};
use tokio::time::sleep;

use super::cast_keys::{CastKeyKind, CastKeys};
use crate::{
    CastChange, CastStream, QueuedCast, StoreError,
    etcd::{client::SharedClient, range, watch_events::WatchEvents},
    ignored_entry::warn_ignored,
};
use soloist_heart::LeaseId;

const READ: &str = "read the queue of casts";
/// For how many recheck intervals a watch is trusted. Reading the whole queue costs more than
/// reading the roster, and a lost notification matters less here.
const TRUSTED: u32 = 5;
/// About how many changes are delivered at once at most.
const BURST: usize = 1000;

pub(super) async fn watch(client: SharedClient, names: CastKeys) -> Result<CastStream, StoreError> {
    let (present, revision) = read(&client, &names).await?;
    let events = WatchEvents::after(revision, &names.queue_range(), &client).await?;
    let later = stream::try_unfold(CastWatch { names, events }, |mut watch| async {
        let changes = watch.next().await?;
        Ok(Some((changes, watch)))
    });
    let later = later.take_until(sleep(client.recheck_interval() * TRUSTED));
    Ok(stream::iter([Ok(present)]).chain(later).boxed())
}

struct CastWatch {
    names: CastKeys,
    events: WatchEvents,
}

impl CastWatch {
    /// The next changes; those in quick succession are delivered together.
    async fn next(&mut self) -> Result<Vec<CastChange>, StoreError> {
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

    fn apply(&self, events: &WatchResponse, changes: &mut Vec<CastChange>) {
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
    names: &CastKeys,
) -> Result<(Vec<CastChange>, i64), StoreError> {
    let mut present = Vec::new();
    let take_in = |key: &KeyValue| present.extend(put(names, key));
    let revision = range::read(client, READ, &names.queue_range(), take_in).await?;
    Ok((present, revision))
}

fn put(names: &CastKeys, found: &KeyValue) -> Option<CastChange> {
    if let Some(key) = names.cast_of(CastKeyKind::Claim, found.key()) {
        return Some(CastChange::Claimed(key, LeaseId(found.lease())));
    }
    let key = names.cast_of(CastKeyKind::Head, found.key())?;
    match serde_json::from_slice(found.value()) {
        Ok(head) => {
            Some(CastChange::Queued(QueuedCast { key, version: found.mod_revision(), head }))
        }
        Err(error) => {
            warn_ignored("cast", &key.to_string(), error);
            None
        }
    }
}

fn delete(names: &CastKeys, found: &KeyValue) -> Option<CastChange> {
    let claim = names.cast_of(CastKeyKind::Claim, found.key()).map(CastChange::Free);
    claim.or_else(|| names.cast_of(CastKeyKind::Head, found.key()).map(CastChange::Left))
}
