//! The queue, and each change of it: a read of what there is, page by page at
//! one revision, and a watch from that revision on.

use etcd_client::{
    Client as Connection, Error, EventType, GetOptions, KeyValue, SortOrder, SortTarget,
    WatchOptions, WatchResponse,
};
use futures::{FutureExt, StreamExt, stream};

use super::{
    PAGE, kv,
    names::{Names, Place},
};
use crate::{
    election::LeaseId,
    store::{
        CastChange, CastStream, Queued, StoreError,
        etcd::{client::Shared, watch::Events},
    },
};

const READ: &str = "read the queue of casts";
/// How many changes are told at once, at most about.
const BURST: usize = 1000;

pub(super) async fn watch(client: Shared, names: Names) -> Result<CastStream, StoreError> {
    let (present, revision) = read(&client, &names).await?;
    let range = names.queue();
    let options = WatchOptions::new().with_range(range.end);
    let events = Events::from(&client, &range.first, options, revision + 1).await?;
    let watch = Watch { client, names, events };
    let later = stream::unfold(Some(watch), |watch| async {
        let mut watch = watch?;
        match watch.next().await {
            Ok(changes) => Some((Ok(changes), Some(watch))),
            Err(error) => Some((Err(error), None)),
        }
    });
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
    let range = names.queue();
    let (mut present, mut from, mut revision) = (Vec::new(), range.first, 0);
    loop {
        let options = GetOptions::new()
            .with_range(range.end.as_str())
            .with_sort(SortTarget::Key, SortOrder::Ascend)
            .with_limit(i64::try_from(PAGE).unwrap_or(i64::MAX))
            // Zero is the present one.
            .with_revision(revision);
        let get = |etcd: Connection| {
            let (from, options) = (from.as_str(), options.clone());
            async move { kv(&etcd).get(from, Some(options)).await }
        };
        let found = client.call(READ, get).await?;
        if revision == 0 {
            let headless = || Error::Internal("an answer without header".into());
            let header = found.header().ok_or_else(headless);
            revision = header.map_err(|error| client.told(READ, error))?.revision();
        }
        present.extend(found.kvs().iter().filter_map(|key| put(names, key)));
        match found.kvs().last() {
            Some(last) if found.more() => {
                from = format!("{}\0", String::from_utf8_lossy(last.key()));
            }
            _ => return Ok((present, revision)),
        }
    }
}

fn put(names: &Names, found: &KeyValue) -> Option<CastChange> {
    if let Some(key) = names.key(Place::Claim, found.key()) {
        return Some(CastChange::Claimed(key, LeaseId(found.lease())));
    }
    let key = names.key(Place::Head, found.key())?;
    match serde_json::from_slice(found.value()) {
        Ok(head) => Some(CastChange::Queued(Queued { key, version: found.mod_revision(), head })),
        Err(error) => {
            tracing::warn!(cast = %key, %error, "a cast that soloist did not write");
            None
        }
    }
}

fn gone(names: &Names, found: &KeyValue) -> Option<CastChange> {
    let claim = names.key(Place::Claim, found.key()).map(CastChange::Free);
    claim.or_else(|| names.key(Place::Head, found.key()).map(CastChange::Left))
}
