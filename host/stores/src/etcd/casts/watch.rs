//! The queue, and each change of it: a read of what there is, page by page at
//! one revision, and a watch from that revision on. A watch is not believed for
//! ever: after some [`Client::second_look`]s it ends, and another one begins.
//!
//! [`Client::second_look`]: crate::etcd::client::Client::second_look

use etcd_client::{EventType, KeyValue, WatchOptions, WatchResponse};
use futures::{FutureExt, StreamExt, stream};
use tokio::time::sleep;

use super::names::{Names, Place};
use crate::{
    CastChange, CastStream, Queued, StoreError,
    etcd::{client::Shared, range, watch::Events},
    foreign::left_out,
};
use soloist_heart::LeaseId;

const READ: &str = "read the queue of casts";
/// For how many second looks a watch is believed: to read the whole queue costs more than to
/// read the roster, and a lost wake-up less than there.
const BELIEVED: u32 = 5;
/// How many changes are told at once, at most about.
const BURST: usize = 1000;

pub(super) async fn watch(client: Shared, names: Names) -> Result<CastStream, StoreError> {
    let (present, revision) = read(&client, &names).await?;
    let range = names.queue();
    let options = WatchOptions::new().with_range(range.end);
    let events = Events::from(&client, &range.first, options, revision + 1).await?;
    let believed = client.second_look() * BELIEVED;
    let watch = Watch { client, names, events };
    let later = stream::unfold(Some(watch), |watch| async {
        let mut watch = watch?;
        match watch.next().await {
            Ok(changes) => Some((Ok(changes), Some(watch))),
            Err(error) => Some((Err(error), None)),
        }
    });
    let later = later.take_until(sleep(believed));
    Ok(stream::iter([Ok(present)]).chain(later).boxed())
}

struct Watch {
    client: Shared,
    names: Names,
    events: Events,
}

impl Watch {
    /// The next changes; those in quick succession together.
    async fn next(&mut self) -> Result<Vec<CastChange>, StoreError> {
        let mut changes = Vec::new();
        while changes.is_empty() {
            let first = self.events.next(&self.client).await?;
            self.take_in(&first, &mut changes);
        }
        while changes.len() < BURST
            && let Some(more) = self.events.next(&self.client).now_or_never()
        {
            self.take_in(&more?, &mut changes);
        }
        Ok(changes)
    }

    fn take_in(&self, events: &WatchResponse, changes: &mut Vec<CastChange>) {
        for event in events.events() {
            let Some(key) = event.kv() else { continue };
            changes.extend(match event.event_type() {
                EventType::Put => put(&self.names, key),
                EventType::Delete => gone(&self.names, key),
            });
        }
    }
}

/// All that is in the queue, and at which revision.
async fn read(client: &Shared, names: &Names) -> Result<(Vec<CastChange>, i64), StoreError> {
    let mut present = Vec::new();
    let take_in = |key: &KeyValue| present.extend(put(names, key));
    let revision = range::read(client, READ, &names.queue(), take_in).await?;
    Ok((present, revision))
}

fn put(names: &Names, found: &KeyValue) -> Option<CastChange> {
    if let Some(key) = names.key(Place::Claim, found.key()) {
        return Some(CastChange::Claimed(key, LeaseId(found.lease())));
    }
    let key = names.key(Place::Head, found.key())?;
    match serde_json::from_slice(found.value()) {
        Ok(head) => Some(CastChange::Queued(Queued { key, version: found.mod_revision(), head })),
        Err(error) => {
            left_out("cast", &key.to_string(), error);
            None
        }
    }
}

fn gone(names: &Names, found: &KeyValue) -> Option<CastChange> {
    let claim = names.key(Place::Claim, found.key()).map(CastChange::Free);
    claim.or_else(|| names.key(Place::Head, found.key()).map(CastChange::Left))
}
