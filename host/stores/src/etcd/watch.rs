//! Watching the cluster: a read returns the current state, a watch then each change.
//!
//! A watch begins right after a read, so it rarely asks for history that may have been compacted;
//! if it does, it ends, and the next read begins another one. A change costs each host only what
//! has changed, however large the cluster is.
//!
//! Invariant: no roster is silently outdated for long. Once per [`recheck
//! interval`](super::client::EtcdClient::recheck_interval) the cluster is read again, and if that
//! shows something that the watch has not reported, another watch begins from there.

use std::{borrow::Cow, str};

use etcd_client::{EventType, KeyValue, WatchResponse};
use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep_until};

use super::{
    client::{EtcdClient, SharedClient},
    has_header::WithHeader,
    identity,
    keys::{EtcdKeys, KeySubject},
    range,
    watch_events::WatchEvents,
};
use crate::{
    Roster, RosterStream, StoreError, foreign_candidate::shell_quote, identity::KnownBefore,
    ignored_entry::warn_ignored,
};
use soloist_heart::{LeaderKey, LeaseId};

/// The attempted action while reading, for error texts.
const READ: &str = "read the cluster";

/// The current state of the cluster, and then the state after each change.
pub(super) async fn watch(
    client: SharedClient,
    keys: EtcdKeys,
) -> Result<RosterStream, StoreError> {
    let roster = read(&client, &keys).await?;
    let watch = RosterWatch::from(client, keys, roster.clone()).await?;
    let later = stream::try_unfold(watch, |mut watch| async {
        let roster = watch.next().await?;
        Ok(Some((roster, watch)))
    });
    Ok(stream::iter([Ok(roster)]).chain(later).boxed())
}

struct RosterWatch {
    client: SharedClient,
    keys: EtcdKeys,
    events: WatchEvents,
    /// The cluster as the watch has reported it.
    reported: RosterBuilder,
    /// When to read the cluster again.
    recheck_at: Instant,
}

impl RosterWatch {
    /// A watch for the changes after `roster`.
    async fn from(
        client: SharedClient,
        keys: EtcdKeys,
        roster: Roster,
    ) -> Result<Self, StoreError> {
        let events = WatchEvents::after(roster.revision, &keys.roster_range(), &client).await?;
        let recheck_at = Instant::now() + client.recheck_interval();
        let reported = RosterBuilder { roster, ..RosterBuilder::default() };
        Ok(Self { client, keys, events, reported, recheck_at })
    }

    /// The roster after the next changes; a burst of changes is delivered once.
    async fn next(&mut self) -> Result<Roster, StoreError> {
        loop {
            let changed = tokio::select! {
                first = self.events.next() => {
                    let first = self.apply(&first?);
                    self.apply_pending()? | first
                }
                () = sleep_until(self.recheck_at) => self.recheck().await?,
            };
            if let Some(found) = self.reported.identity.take() {
                keep_identity(&self.client, &self.keys, found.as_deref()).await?;
            }
            if let Some(floor) = self.reported.floor.take() {
                let before = self.client.trust().history.known_before();
                compare_floor(&self.client, before, floor)?;
            }
            if changed {
                return Ok(self.reported.roster.clone());
            }
        }
    }

    /// Applies the changes that have arrived in the meantime. Returns whether there were any.
    fn apply_pending(&mut self) -> Result<bool, StoreError> {
        let mut changed = false;
        while let Some(more) = self.events.try_next() {
            changed |= self.apply(&more?);
        }
        Ok(changed)
    }

    /// Compares what the watch has reported with the cluster, and begins another watch if it is
    /// behind. Returns whether there is anything new.
    async fn recheck(&mut self) -> Result<bool, StoreError> {
        let fresh = read(&self.client, &self.keys).await?;
        let changed = self.apply_pending()?;
        self.recheck_at = Instant::now() + self.client.recheck_interval();
        let reported = &self.reported.roster;
        if reported.revision > fresh.revision || reported.same_content(&fresh) {
            return Ok(changed);
        }
        tracing::debug!(revision = fresh.revision, "the watch is behind: another one begins");
        *self = Self::from(self.client.clone(), self.keys.clone(), fresh).await?;
        Ok(true)
    }

    /// Applies the events. Returns whether there were any.
    fn apply(&mut self, events: &WatchResponse) -> bool {
        for event in events.events() {
            let Some(key) = event.kv() else { continue };
            let revision = &mut self.reported.roster.revision;
            *revision = key.mod_revision().max(*revision);
            match event.event_type() {
                EventType::Put => self.reported.put(&self.keys, &self.client, key),
                EventType::Delete => self.reported.delete(&self.keys, key),
            }
        }
        !events.events().is_empty()
    }
}

/// The cluster's keys at one revision.
async fn read(client: &SharedClient, keys: &EtcdKeys) -> Result<Roster, StoreError> {
    let (mut seen, range) = (RosterBuilder::default(), keys.roster_range());
    let before = client.trust().history.known_before();
    let revision =
        range::read(client, READ, &range, |key: &KeyValue| seen.put(keys, client, key)).await?;
    keep_identity(client, keys, seen.identity.flatten().as_deref()).await?;
    compare_floor(client, before, seen.roster.floor)?;
    Ok(Roster { revision, ..seen.roster })
}

/// The content of the cluster's keys.
#[derive(Default)]
struct RosterBuilder {
    roster: Roster,
    /// The new value of the cluster's identity, if it changed; `Some(None)` if it was deleted.
    identity: Option<Option<String>>,
    /// The new floor, if it changed.
    floor: Option<i64>,
}

impl RosterBuilder {
    fn put(&mut self, keys: &EtcdKeys, client: &EtcdClient, key: &KeyValue) {
        let (lease, value) = (LeaseId(key.lease()), key.value());
        match keys.subject(key.key()) {
            Some(KeySubject::Candidate { group }) => {
                let remove = || format!("{} del {}", client.etcdctl, shell_quote(key.key()));
                let candidate =
                    LeaderKey::new(group.into(), key_text(key), lease, key.create_revision());
                self.roster.put_candidate(candidate, value, remove);
            }
            Some(KeySubject::Member { host }) => self.roster.put_member(host, lease, value),
            Some(KeySubject::Note { name }) => self.roster.set_note(name, Some(value)),
            Some(KeySubject::Identity) => self.identity = Some(Some(identity::identity_text(key))),
            Some(KeySubject::Floor) => self.set_floor(identity::floor_of(key)),
            Some(KeySubject::Grace) => self.roster.grace = true,
            None => warn_ignored("key", &shell_quote(key.key()), "the name does not exist"),
        }
    }

    fn delete(&mut self, keys: &EtcdKeys, key: &KeyValue) {
        match keys.subject(key.key()) {
            Some(KeySubject::Candidate { group }) => {
                self.roster.drop_candidate(&group.into(), &key_text(key));
            }
            Some(KeySubject::Member { host }) => self.roster.drop_member(host),
            Some(KeySubject::Note { name }) => self.roster.set_note(name, None),
            Some(KeySubject::Identity) => self.identity = Some(None),
            Some(KeySubject::Floor) => self.set_floor(0),
            Some(KeySubject::Grace) => self.roster.grace = false,
            None => {}
        }
    }

    /// Candidates that are there need no other fencing token: a raise of the floor removes them
    /// all, and where it was changed by hand, this watch ends.
    fn set_floor(&mut self, floor: i64) {
        self.floor = Some(floor);
        self.roster.floor = floor;
    }
}

/// The name of a key as text. One that is not UTF-8 was not written by soloist.
fn key_text(key: &KeyValue) -> Cow<'_, str> {
    let text = str::from_utf8(key.key()).map(Cow::Borrowed);
    text.unwrap_or_else(|_| key.key().escape_ascii().to_string().into())
}

/// Compares the floor that a watch or a read that began at `before` has just shown.
fn compare_floor(client: &EtcdClient, before: KnownBefore, floor: i64) -> Result<(), StoreError> {
    let compared = client.trust().history.compare_floor(before, floor);
    compared.map_err(|mismatch| client.unavailable("follow the fencing tokens", mismatch.seen))
}

/// Ensures that the store keeps its identity. `found` is the one that a watch or a read has just
/// shown.
async fn keep_identity(
    client: &EtcdClient,
    keys: &EtcdKeys,
    found: Option<&str>,
) -> Result<(), StoreError> {
    let attempted = "keep the store's identity";
    let trust = client.trust();
    if let Some(found) = found {
        let compared = trust.history.compare_identity(found);
        return compared.map_err(|mismatch| client.unavailable(attempted, mismatch.seen));
    }
    let give = |etcd: etcd_client::Client| async move {
        identity::ensure_identity(&etcd, keys, trust).await.map(|()| WithHeader::without_header(()))
    };
    client.call(attempted, give).await.map(drop)
}
