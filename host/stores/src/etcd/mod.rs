//! The etcd store, for etcd 3.4 or later. It uses the queues of etcd's own elections.
//!
//! What shaped this module:
//!
//! - The queues are those of etcd's elections, but the Election service is not used: it waits
//!   inside etcd, and badly (see [`campaign`] and [`leadership`]). The host reads, writes and waits
//!   itself.
//! - A win may be outdated when the host learns of it, so it is verified.
//! - A watch stays open indefinitely, so only single calls have time-outs, never the connection.

mod access;
mod backup;
mod call_queue;
mod campaign;
mod candidacy;
mod client;
mod cluster_trust;
mod connection_opener;
mod error_meaning;
mod etcd_member;
mod first_contact;
mod has_header;
mod identity;
mod join;
mod keys;
mod leadership;
mod lease_renewals;
mod login_attempts;
mod lookout;
mod member_turn;
mod once_connector;
mod raise;
mod range;
mod requests;
mod state_store;
mod state_transaction;
mod txn_reads;
mod version;
mod watch;
mod watch_events;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use etcd_client::{Client as Connection, GetOptions};
use tokio::sync::watch::Receiver;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(super) use self::access::EtcdAccess;
use self::{
    backup::EtcdBackupStore,
    call_queue::EtcdCallQueueStore,
    campaign::{CampaignSpec, EtcdCampaign},
    candidacy::EtcdCandidacy,
    client::{EtcdClient, SharedClient},
    keys::EtcdKeys,
    lease_renewals::LeaseRenewals,
    lookout::Lookout,
    state_store::EtcdStateStore,
};
use super::{
    BackupStore, CallQueueStore, Candidate, Lease, Member, Note, NoteTopic, RosterStream,
    StateStore, Store, StoreError, StoreMismatch, keyed_locks::KeyedLocks, state_store::StateArea,
};
use soloist_heart::{FencingToken, Group, LeaderKey, LeaseId};

/// One soloist cluster in an etcd.
pub(super) struct EtcdStore {
    client: SharedClient,
    keys: EtcdKeys,
    /// For the separate connections of state and queued calls.
    access: EtcdAccess,
    request_timeout: Duration,
    renewals: LeaseRenewals,
    candidacy_locks: KeyedLocks<(Group, LeaseId)>,
    lookout: Lookout,
    stop: CancellationToken,
    /// Ends the withdrawals that are under way when the store is dropped.
    _stop_on_drop: DropGuard,
}

impl EtcdStore {
    /// The store reached through `access`; the first call connects.
    pub(super) fn open(
        access: EtcdAccess,
        cluster: &str,
        request_timeout: Duration,
    ) -> Result<Self, StoreError> {
        let keys = EtcdKeys::new(cluster);
        let client = EtcdClient::new(&access, &keys, request_timeout)?;
        let (client, stop) = (Arc::new(client), CancellationToken::new());
        Ok(Self {
            lookout: Lookout::start(&client, stop.clone()),
            client,
            keys,
            access,
            request_timeout,
            renewals: LeaseRenewals::default(),
            candidacy_locks: KeyedLocks::default(),
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
        })
    }

    /// A client with connections of its own, driven by the current runtime.
    fn another_client(&self) -> Result<EtcdClient, StoreError> {
        EtcdClient::new(&self.access, &self.keys, self.request_timeout)
    }
}

#[async_trait]
impl Store for EtcdStore {
    fn label(&self) -> &str {
        &self.client.label
    }

    async fn check(&self) -> Result<(), StoreError> {
        self.client.get("reach the store", &self.keys.root, &GetOptions::new()).await?;
        let status = |etcd: Connection| async move { etcd.maintenance_client().status().await };
        // Not every user may ask for the status; the check is skipped then.
        if let Ok(status) = self.client.call("ask for its version", status).await {
            version::warn_if_affected(status.version());
        }
        Ok(())
    }

    async fn grant(&self, ttl: Duration) -> Result<Lease, StoreError> {
        let granted = self.client.grant_lease("open a session", ttl).await?;
        self.renewals.granted(LeaseId(granted.id()), granted.ttl());
        Ok(Lease { id: LeaseId(granted.id()), ttl: seconds(granted.ttl()) })
    }

    async fn renew(&self, lease: LeaseId) -> Result<Duration, StoreError> {
        let renew = |connection| self.renewals.renew(connection, lease);
        let ttl = self.client.call_on_connection("renew the session's lease", renew).await?;
        Ok(seconds(ttl.value))
    }

    async fn revoke(&self, lease: LeaseId) -> Result<(), StoreError> {
        let revoke = |mut etcd: Connection| async move { etcd.lease_revoke(lease.0).await };
        match self.client.call("end the session", revoke).await {
            Ok(_) | Err(StoreError::LeaseGone) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn campaign(
        &self,
        group: &Group,
        lease: LeaseId,
        candidate: &Candidate,
    ) -> Result<LeaderKey, StoreError> {
        let candidacy = EtcdCandidacy {
            queue: format!("{}/", self.keys.election(group)?),
            key: self.keys.candidate(group, lease)?,
            floor: self.keys.floor(),
            grace: self.keys.grace(),
            group: group.clone(),
            lease,
            value: self.client.json("campaign", candidate)?,
        };
        let lock = self.candidacy_locks.acquire((group.clone(), lease)).await;
        // Acquired before there is anything to withdraw.
        let permit = self.client.group_call_permit().await;
        let (client, lookout, stop) =
            (self.client.clone(), self.lookout.clone(), self.stop.clone());
        let spec = CampaignSpec { candidacy, lock, permit };
        EtcdCampaign::new(client, lookout, stop, spec).win().await
    }

    async fn verify(&self, key: &LeaderKey) -> Result<bool, StoreError> {
        let queue = format!("{}/", self.keys.election(&key.group)?);
        leadership::verify(&self.client, &queue, key).await
    }

    async fn proclaim(&self, key: &LeaderKey, candidate: &Candidate) -> Result<(), StoreError> {
        let attempted = "proclaim the leader";
        let value = self.client.json(attempted, candidate)?;
        leadership::proclaim(&self.client, attempted, key, &value).await
    }

    async fn resign(&self, key: &LeaderKey) -> Result<(), StoreError> {
        leadership::resign(&self.client, key).await
    }

    async fn join(&self, lease: LeaseId, member: &Member) -> Result<(), StoreError> {
        join::join(&self.client, &self.keys, lease, member).await
    }

    async fn rehearse(&self, group: &Group, lease: LeaseId) -> Result<(), StoreError> {
        let key = self.keys.candidate(group, lease)?;
        candidacy::rehearse(&self.client, &key, lease).await
    }

    async fn raise_tokens(&self, above: FencingToken, grace: Duration) -> Result<(), StoreError> {
        raise::raise_tokens(&self.client, &self.keys, above, grace).await
    }

    async fn write_note(&self, topic: &NoteTopic, note: &Note) -> Result<(), StoreError> {
        let attempted = "write a note";
        let key = self.keys.note(topic)?;
        let value = note.json().map_err(|error| self.client.unavailable(attempted, error))?;
        let put = |etcd: Connection| {
            let (key, value) = (key.clone(), value.clone());
            async move { etcd.kv_client().put(key, value, None).await }
        };
        self.client.call(attempted, put).await.map(drop)
    }

    async fn erase_note(&self, topic: &NoteTopic) -> Result<bool, StoreError> {
        let key = self.keys.note(topic)?;
        let delete = |etcd: Connection| {
            let key = key.clone();
            async move { etcd.kv_client().delete(key, None).await }
        };
        Ok(self.client.call("erase a note", delete).await?.deleted() > 0)
    }

    fn mismatches(&self) -> Receiver<Option<StoreMismatch>> {
        self.access.trust.history.mismatches()
    }

    async fn watch(&self) -> Result<RosterStream, StoreError> {
        watch::watch(self.client.clone(), self.keys.clone()).await
    }

    fn state(&self) -> Result<Arc<dyn StateStore>, StoreError> {
        let client = self.another_client()?;
        Ok(Arc::new(EtcdStateStore::new(client, self.keys.clone(), StateArea::State)))
    }

    fn ledger(&self) -> Result<Arc<dyn StateStore>, StoreError> {
        let client = self.another_client()?;
        Ok(Arc::new(EtcdStateStore::new(client, self.keys.clone(), StateArea::Ledger)))
    }

    fn call_queue(&self) -> Result<Arc<dyn CallQueueStore>, StoreError> {
        Ok(Arc::new(EtcdCallQueueStore::new(self.another_client()?, &self.keys)))
    }

    fn backup(&self) -> Result<Arc<dyn BackupStore>, StoreError> {
        Ok(Arc::new(EtcdBackupStore::new(self.another_client()?, self.keys.clone())))
    }
}

fn seconds(ttl: i64) -> Duration {
    Duration::from_secs(ttl.unsigned_abs())
}
