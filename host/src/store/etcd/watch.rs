//! Watching the cluster: a watch tells *that* something changed, a read what there is.

use etcd_client::{
    Error, GetOptions, SortOrder, SortTarget, WatchOptions, WatchResponse, WatchStream,
};
use futures::{StreamExt, stream};

use super::{
    client::Shared,
    keys::{Keys, Subject},
};
use crate::{
    election::{Group, LeaderKey, LeaseId, Token},
    store::{Roster, RosterStream, StoreError, roster::RosterBuilder},
};

/// What watching attempts.
const WATCH: &str = "watch the cluster";

/// The cluster now, and then after each change.
pub(super) async fn watch(client: Shared, keys: Keys) -> Result<RosterStream, StoreError> {
    let roster = read(&client, &keys).await?;
    let turn = client.turn();
    let events = subscribe(&client, &keys, roster.revision + 1).await?;
    let watch = Watch { client, keys, events, turn, seen: roster.revision };
    let later = stream::unfold(Some(watch), |watch| async {
        let mut watch = watch?;
        match watch.next().await {
            Ok(roster) => Some((Ok(roster), Some(watch))),
            Err(error) => Some((Err(error), None)),
        }
    });
    Ok(stream::iter([Ok(roster)]).chain(later).boxed())
}

struct Watch {
    client: Shared,
    keys: Keys,
    events: WatchStream,
    /// The turn of the member that sends the events.
    turn: usize,
    /// The revision of the roster that was read last.
    seen: i64,
}

impl Watch {
    /// The roster after the next change.
    async fn next(&mut self) -> Result<Roster, StoreError> {
        loop {
            let events = self.events().await?;
            // A burst is read once: the read that answered its first event has seen the others.
            if self.news(&events) {
                let roster = read(&self.client, &self.keys).await?;
                self.seen = roster.revision;
                return Ok(roster);
            }
        }
    }

    async fn events(&mut self) -> Result<WatchResponse, StoreError> {
        let Self { client, events, turn, .. } = self;
        tokio::select! {
            answer = events.message() => match answer {
                Ok(Some(events)) if !events.canceled() => Ok(events),
                // The history was compacted, the member lost its leader, or the login went
                // stale, which etcd tells from a missing permission by nothing; but the read
                // before the watch would have met that.
                Ok(Some(ended)) => Err(client.unavailable(WATCH, ended.cancel_reason())),
                Ok(None) => Err(client.unavailable(WATCH, "etcd ended the watch")),
                Err(error) => Err(client.told(WATCH, error)),
            },
            () = client.left(*turn) => Err(client.unavailable(WATCH, "its member of etcd failed")),
        }
    }

    /// Whether `events` tell of anything after the last read.
    fn news(&self, events: &WatchResponse) -> bool {
        let revisions = events.events().iter().filter_map(|event| event.kv());
        revisions.into_iter().any(|key| key.mod_revision() > self.seen)
    }
}

async fn subscribe(client: &Shared, keys: &Keys, from: i64) -> Result<WatchStream, StoreError> {
    let options = WatchOptions::new().with_prefix().with_start_revision(from);
    let watch = |etcd: etcd_client::Client| {
        let options = options.clone();
        async move { etcd.watch_client().watch(keys.root.as_str(), Some(options)).await }
    };
    client.call(WATCH, watch).await
}

/// The cluster's keys at one revision.
async fn read(client: &Shared, keys: &Keys) -> Result<Roster, StoreError> {
    let options = GetOptions::new().with_prefix().with_sort(SortTarget::Create, SortOrder::Ascend);
    let get = |etcd: etcd_client::Client| {
        let options = options.clone();
        async move { etcd.kv_client().get(keys.root.as_str(), Some(options)).await }
    };
    let found = client.call("read the cluster", get).await?;
    let header = found.header().ok_or_else(|| Error::Internal("an answer without header".into()));
    let revision = header.map_err(|error| client.told("read the cluster", error))?.revision();
    let mut roster = RosterBuilder::new(revision);
    for key in found.kvs() {
        let lease = LeaseId(key.lease());
        match keys.subject(key.key()) {
            Some(Subject::Candidate { group, name }) => {
                let (group, token) = (Group::from(group), Token(key.create_revision()));
                let value = key.value();
                roster.candidate(LeaderKey { group, key: name.into(), token, lease }, value);
            }
            Some(Subject::Member) => roster.member(lease, key.value()),
            None => tracing::warn!(key = ?key.key_str(), "a key that soloist did not make"),
        }
    }
    Ok(roster.build())
}
