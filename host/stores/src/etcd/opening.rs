//! How a line to a member is opened: connected, logged in, and found to be what is meant.
//!
//! Invariant: nothing is asked of a member before it is known to be one of the etcd that
//! is believed, and that etcd to be the one that it was. All of it is one read. And who
//! refuses that read, or the login before it, is believed no more than who answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use etcd_client::{Client as Connection, Error};
use tokio::time::timeout;

use super::{
    headed::headless, identity, logins::Logins, member::Member, refusal::meaning, trust::Trust,
};

/// What it takes to open a line.
pub(super) struct Opening {
    pub(super) members: Arc<[Member]>,
    /// Which of them it is.
    pub(super) place: usize,
    pub(super) trust: Arc<Trust>,
    pub(super) logins: Logins,
    /// How long it may take, where none was late before.
    pub(super) within: Duration,
    /// How many were, one after the other.
    pub(super) late: Arc<AtomicU32>,
}

/// Each that is late doubles the time that the next one has, so many times at the most: a login
/// that is given up has cost etcd as much as one that is waited for.
const DOUBLED: u32 = 4;

impl Opening {
    /// A connection to the member, if it is to be believed, and was not refused just now.
    pub(super) async fn connect(&self) -> Result<Connection, Error> {
        self.logins.attempt(self.connect_now()).await
    }

    /// The member is looked at also where it has something against this host, for a stranger
    /// knows no login, or another one.
    async fn connect_now(&self) -> Result<Connection, Error> {
        match self.open_in_time().await {
            Err(error) if !meaning(&error).is_a_member_s() => {
                Err(self.stranger().await.unwrap_or(error))
            }
            opened => opened,
        }
    }

    /// What is wrong with the member, if it is not to be believed, by what it tells anybody.
    async fn stranger(&self) -> Option<Error> {
        let member = &self.members[self.place];
        let look = async {
            let mut etcd = member.connect_as_nobody().await.ok()?;
            let cluster = etcd.member_list().await.ok()?.header()?.cluster_id();
            self.trust.meet(&self.members, self.place, &etcd, cluster).await.err()
        };
        timeout(self.within, look).await.ok().flatten()
    }

    async fn open_in_time(&self) -> Result<Connection, Error> {
        let within = self.within * (1 << self.late.load(Ordering::Relaxed).min(DOUBLED));
        let Ok(opened) = timeout(within, self.open()).await else {
            self.late.fetch_add(1, Ordering::Relaxed);
            return Err(Error::EndpointError(format!(
                "it does not let this host in within {} ms",
                within.as_millis()
            )));
        };
        if opened.is_ok() {
            self.late.store(0, Ordering::Relaxed);
        }
        opened
    }

    async fn open(&self) -> Result<Connection, Error> {
        let member = &self.members[self.place];
        let etcd = member.connect().await?;
        let before = self.trust.memory.before();
        // Linearizable, so it shows all that anybody was told before.
        let found = etcd.kv_client().get(member.identity_key(), None).await?;
        let header = found.header().ok_or_else(headless)?;
        self.trust.meet(&self.members, self.place, &etcd, header.cluster_id()).await?;
        let identity = identity::of(&found);
        identity::compare(&self.trust, before, identity.clone(), header.revision())?;
        if identity.is_none() {
            identity::give(&etcd, member.identity_key(), &self.trust).await?;
        }
        Ok(etcd)
    }
}
