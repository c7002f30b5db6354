//! Watching: a watch tells *that* something changed, a read what there is.
//!
//! A watch begins right after a read, so it rarely asks for history, which may
//! have been compacted; when it does, it ends, and the next read begins it anew.

use etcd_client::{
    Error, GetOptions, SortOrder, SortTarget, WatchOptions, WatchResponse, WatchStream,
};
use futures::{StreamExt, stream};

use super::{
    client::{Line, Shared},
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
    let (range, next) = (keys.roster(), roster.revision + 1);
    let options = WatchOptions::new().with_range(range.end);
    let events = Events::from(&client, WATCH, &range.first, options, next).await?;
    let watch = Watch { client, keys, events, seen: roster.revision };
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
    events: Events,
    /// The revision of the roster that was read last.
    seen: i64,
}

impl Watch {
    /// The roster after the next change.
    async fn next(&mut self) -> Result<Roster, StoreError> {
        loop {
            let events = self.events.next(&self.client).await?;
            // A burst is read once: the read that answered its first event has seen the others.
            if self.news(&events) {
                let roster = read(&self.client, &self.keys).await?;
                self.seen = roster.revision;
                return Ok(roster);
            }
        }
    }

    /// Whether `events` tell of anything after the last read.
    fn news(&self, events: &WatchResponse) -> bool {
        let revisions = events.events().iter().filter_map(|event| event.kv());
        revisions.into_iter().any(|key| key.mod_revision() > self.seen)
    }
}

/// What etcd tells of a range of keys, as long as the turn lasts.
pub(super) struct Events {
    attempted: &'static str,
    line: Line,
    stream: WatchStream,
}

impl Events {
    /// The events of the range that begins with `first`, from a revision on.
    pub(super) async fn from(
        client: &Shared,
        attempted: &'static str,
        first: &str,
        options: WatchOptions,
        revision: i64,
    ) -> Result<Self, StoreError> {
        let options = options.with_start_revision(revision);
        let watch = |line: Line| {
            let options = options.clone();
            async move {
                let stream = line.etcd.watch_client().watch(first, Some(options)).await?;
                Ok(Self { attempted, line, stream })
            }
        };
        client.call_on_line(attempted, watch).await
    }

    pub(super) async fn next(&mut self, client: &Shared) -> Result<WatchResponse, StoreError> {
        let ended = |why: &str| Err(client.unavailable(self.attempted, why));
        tokio::select! {
            answer = self.stream.message() => match answer {
                Ok(Some(events)) if !events.canceled() => Ok(events),
                // The history was compacted, the member lost its leader, or the login went
                // stale, which etcd tells from a missing permission by nothing; but the read
                // before the watch would have met that.
                Ok(Some(events)) => ended(events.cancel_reason()),
                Ok(None) => ended("etcd ended the watch"),
                Err(error) => Err(client.told(self.attempted, error)),
            },
            () = client.left(self.line.turn) => ended("its member of etcd failed"),
        }
    }
}

/// The cluster's keys at one revision.
async fn read(client: &Shared, keys: &Keys) -> Result<Roster, StoreError> {
    let range = keys.roster();
    let sorted = GetOptions::new().with_sort(SortTarget::Create, SortOrder::Ascend);
    let options = sorted.with_range(range.end);
    let get = |etcd: etcd_client::Client| {
        let (first, options) = (range.first.as_str(), options.clone());
        async move { etcd.kv_client().get(first, Some(options)).await }
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
