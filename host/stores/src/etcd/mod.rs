//! etcd, 3.4 or later, by the queues of its own Election API.
//!
//! Facts that shape this room:
//! - The queues are etcd's, and its Election service is not used: it waits inside etcd, and badly
//!   (see [`campaign`] and [`leadership`]). The host reads, writes and waits itself.
//! - A win may be stale when it is learnt. So it is verified.
//! - A watch stays open as long as it takes, so only single calls have
//!   time-outs, never the connection.

mod access;
mod campaign;
mod casts;
mod client;
mod headed;
mod identity;
mod join;
mod keys;
mod leadership;
mod logins;
mod lookout;
mod meeting;
mod member;
mod opening;
mod plan;
mod range;
mod refusal;
mod session;
mod state;
mod trust;
mod turn;
mod version;
mod watch;
mod wire;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use etcd_client::Client as Connection;
use tokio::sync::watch::Receiver;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(super) use self::access::Access;
use self::{
    campaign::{Campaign, Seats, Stand},
    casts::EtcdCasts,
    client::{Client, Shared},
    keys::{Keys, Room},
    lookout::Lookout,
    session::Renewals,
    state::EtcdState,
};
use super::{
    Candidate, Casts, Lease, Member, Mismatch, Note, RosterStream, State, Store, StoreError, Topic,
};
use soloist_heart::{Group, LeaderKey, LeaseId};

/// A cluster in etcd.
pub(super) struct Etcd {
    client: Shared,
    keys: Keys,
    /// For the connections of state and casts, which are others.
    access: Access,
    request_timeout: Duration,
    renewals: Renewals,
    seats: Seats,
    lookout: Lookout,
    stop: CancellationToken,
    /// Ends the withdrawals that are under way when the store is dropped.
    _stop_on_drop: DropGuard,
}

impl Etcd {
    /// The store behind `access`, which the first call connects to.
    pub(super) fn open(
        access: Access,
        cluster: &str,
        request_timeout: Duration,
    ) -> Result<Self, StoreError> {
        let keys = Keys::new(cluster);
        let client = Client::new(&access, &keys, request_timeout)?;
        let (client, stop) = (Arc::new(client), CancellationToken::new());
        Ok(Self {
            lookout: Lookout::start(&client, stop.clone()),
            client,
            keys,
            access,
            request_timeout,
            renewals: Renewals::default(),
            seats: Seats::default(),
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
        })
    }

    /// A client with connections of its own, which the current runtime drives.
    fn another_client(&self) -> Result<Client, StoreError> {
        Client::new(&self.access, &self.keys, self.request_timeout)
    }

    fn json(
        &self,
        attempted: &'static str,
        value: &impl serde::Serialize,
    ) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec(value).map_err(|error| self.client.unavailable(attempted, error))
    }
}

#[async_trait]
impl Store for Etcd {
    fn label(&self) -> &str {
        &self.client.label
    }

    async fn check(&self) -> Result<(), StoreError> {
        let root = self.keys.root.as_str();
        let get = |etcd: Connection| async move { etcd.kv_client().get(root, None).await };
        self.client.call("reach the store", get).await?;
        let status = |etcd: Connection| async move { etcd.maintenance_client().status().await };
        // Not every user may ask; then there is nothing to say.
        if let Ok(status) = self.client.call("ask for its version", status).await {
            version::judge(status.version());
        }
        Ok(())
    }

    async fn grant(&self, ttl: Duration) -> Result<Lease, StoreError> {
        let ttl = i64::try_from(ttl.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
        let grant = |mut etcd: Connection| async move { etcd.lease_grant(ttl, None).await };
        let granted = self.client.call("open a session", grant).await?;
        self.renewals.granted(LeaseId(granted.id()), granted.ttl());
        Ok(Lease { id: LeaseId(granted.id()), ttl: seconds(granted.ttl()) })
    }

    async fn renew(&self, lease: LeaseId) -> Result<Duration, StoreError> {
        let renew = |line| self.renewals.renew(line, lease);
        let ttl = self.client.call_on_line("renew the session's lease", renew).await?;
        Ok(seconds(ttl.it))
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
        let stand = Stand {
            queue: format!("{}/", self.keys.election(group)?),
            key: self.keys.candidate(group, lease)?,
            group: group.clone(),
            lease,
            value: self.json("campaign", candidate)?,
        };
        let seat = self.seats.take(group, lease).await;
        let (client, lookout) = (self.client.clone(), self.lookout.clone());
        // Before there is anything to withdraw.
        let place = client.place().await;
        Campaign::new(client, stand, seat, place, lookout, self.stop.clone()).won().await
    }

    async fn verify(&self, key: &LeaderKey) -> Result<bool, StoreError> {
        let queue = format!("{}/", self.keys.election(&key.group)?);
        leadership::verify(&self.client, &queue, key).await
    }

    async fn proclaim(&self, key: &LeaderKey, candidate: &Candidate) -> Result<(), StoreError> {
        let attempted = "proclaim the leader";
        let value = self.json(attempted, candidate)?;
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
        campaign::rehearse(&self.client, &key, lease).await
    }

    async fn note(&self, topic: &Topic, note: &Note) -> Result<(), StoreError> {
        let attempted = "write a note";
        let key = self.keys.note(topic)?;
        let value = note.json().map_err(|error| self.client.unavailable(attempted, error))?;
        let put = |etcd: Connection| {
            let (key, value) = (key.clone(), value.clone());
            async move { etcd.kv_client().put(key, value, None).await }
        };
        self.client.call(attempted, put).await.map(drop)
    }

    async fn erase(&self, topic: &Topic) -> Result<bool, StoreError> {
        let key = self.keys.note(topic)?;
        let delete = |etcd: Connection| {
            let key = key.clone();
            async move { etcd.kv_client().delete(key, None).await }
        };
        Ok(self.client.call("erase a note", delete).await?.deleted() > 0)
    }

    fn mismatches(&self) -> Receiver<Option<Mismatch>> {
        self.access.trust.memory.mismatches()
    }

    async fn watch(&self) -> Result<RosterStream, StoreError> {
        watch::watch(self.client.clone(), self.keys.clone()).await
    }

    fn state(&self) -> Result<Arc<dyn State>, StoreError> {
        let client = self.another_client()?;
        Ok(Arc::new(EtcdState::new(client, self.keys.clone(), Room::State)))
    }

    fn ledger(&self) -> Result<Arc<dyn State>, StoreError> {
        let client = self.another_client()?;
        Ok(Arc::new(EtcdState::new(client, self.keys.clone(), Room::Ledger)))
    }

    fn casts(&self) -> Result<Arc<dyn Casts>, StoreError> {
        Ok(Arc::new(EtcdCasts::new(self.another_client()?, &self.keys)))
    }
}

fn seconds(ttl: i64) -> Duration {
    Duration::from_secs(ttl.unsigned_abs())
}
