//! Watching: a read tells what there is, a watch each change of it.
//!
//! A watch begins right after a read, so it rarely asks for history, which may
//! have been compacted; when it does, it ends, and the next read begins it anew.
//! A change costs each host what has changed, however large the cluster is.

use etcd_client::{
    Error, EventType, GetOptions, KeyValue, SortOrder, SortTarget, WatchOptions, WatchResponse,
    WatchStream,
};
use futures::{FutureExt, StreamExt, stream};

use super::{
    client::{Line, Shared},
    headed::Made,
    keys::{Keys, Subject},
};
use crate::{
    election::{Group, LeaderKey, LeaseId, Token},
    store::{Roster, RosterStream, StoreError},
};

/// What watching attempts.
const WATCH: &str = "watch the cluster";

/// The largest message: etcd tells up to 1,000 revisions at once (etcd:
/// `watchBatchMaxRevs`), each of some keys that are short, but for long errors.
const MESSAGE_MAX: usize = 64 << 20;

/// The cluster now, and then after each change.
pub(super) async fn watch(client: Shared, keys: Keys) -> Result<RosterStream, StoreError> {
    let roster = read(&client, &keys).await?;
    let range = keys.roster();
    let options = WatchOptions::new().with_range(range.end);
    let events = Events::from(&client, &range.first, options, roster.revision + 1).await?;
    let watch = Watch { client, keys, events, roster: roster.clone() };
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
    roster: Roster,
}

impl Watch {
    /// The roster after the next changes; a burst is told once.
    async fn next(&mut self) -> Result<Roster, StoreError> {
        loop {
            let first = self.events.next(&self.client).await?;
            let mut news = self.take_in(&first);
            while let Some(more) = self.events.next(&self.client).now_or_never() {
                news |= self.take_in(&more?);
            }
            if news {
                return Ok(self.roster.clone());
            }
        }
    }

    /// Whether there was anything in it.
    fn take_in(&mut self, events: &WatchResponse) -> bool {
        for event in events.events() {
            let Some(key) = event.kv() else { continue };
            self.roster.revision = self.roster.revision.max(key.mod_revision());
            match event.event_type() {
                EventType::Put => put(&mut self.roster, &self.keys, key),
                EventType::Delete => delete(&mut self.roster, &self.keys, key),
            }
        }
        !events.events().is_empty()
    }
}

/// What etcd tells of a range of keys, as long as the turn lasts.
pub(super) struct Events {
    line: Line,
    stream: WatchStream,
}

impl Events {
    /// The events of the range that begins with `first`, from a revision on.
    pub(super) async fn from(
        client: &Shared,
        first: &str,
        options: WatchOptions,
        revision: i64,
    ) -> Result<Self, StoreError> {
        let options = options.with_start_revision(revision);
        let watch = |line: Line| {
            let options = options.clone();
            async move {
                let mut client = line.etcd.watch_client().max_decoding_message_size(MESSAGE_MAX);
                let stream = client.watch(first, Some(options)).await?;
                Ok(Made::of_none(Self { line, stream }))
            }
        };
        Ok(client.call_on_line(WATCH, watch).await?.it)
    }

    pub(super) async fn next(&mut self, client: &Shared) -> Result<WatchResponse, StoreError> {
        let ended = |why: &str| Err(client.unavailable(WATCH, why));
        tokio::select! {
            answer = self.stream.message() => match answer {
                Ok(Some(events)) if !events.canceled() => {
                    let heard = client.heard(self.line.turn, events.header());
                    heard.map(|()| events).map_err(|error| client.told(WATCH, error))
                }
                // The history was compacted, the member lost its leader, or the login went
                // stale, which etcd tells from a missing permission by nothing; but the read
                // before the watch would have met that.
                Ok(Some(events)) => ended(events.cancel_reason()),
                Ok(None) => ended("etcd ended the watch"),
                Err(error) => Err(client.told(WATCH, error)),
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
    let mut roster = Roster { revision, ..Roster::default() };
    found.kvs().iter().for_each(|key| put(&mut roster, keys, key));
    Ok(roster)
}

fn put(roster: &mut Roster, keys: &Keys, key: &KeyValue) {
    let (lease, value) = (LeaseId(key.lease()), key.value());
    match keys.subject(key.key()) {
        Some(Subject::Candidate { group, name }) => {
            let (group, token) = (Group::from(group), Token(key.create_revision()));
            roster.put_candidate(LeaderKey { group, key: name.into(), token, lease }, value);
        }
        Some(Subject::Member { host }) => roster.put_member(host, lease, value),
        Some(Subject::Note { name }) => roster.set_note(name, Some(value)),
        None => tracing::warn!(key = ?key.key_str(), "a key that soloist did not make"),
    }
}

fn delete(roster: &mut Roster, keys: &Keys, key: &KeyValue) {
    match keys.subject(key.key()) {
        Some(Subject::Candidate { group, name }) => roster.drop_candidate(&group.into(), name),
        Some(Subject::Member { host }) => roster.drop_member(host),
        Some(Subject::Note { name }) => roster.set_note(name, None),
        None => {}
    }
}
