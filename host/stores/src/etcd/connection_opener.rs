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
    cluster_trust::ClusterTrust, error_meaning::meaning, etcd_member::EtcdMember,
    has_header::missing_header, identity, login_attempts::LoginAttempts,
};

/// What it takes to open a line.
pub(super) struct ConnectionOpener {
    pub(super) members: Arc<[EtcdMember]>,
    /// Which of them it is.
    pub(super) member: usize,
    pub(super) trust: Arc<ClusterTrust>,
    pub(super) logins: LoginAttempts,
    /// How long it may take, where none was late before.
    pub(super) within: Duration,
    /// How many were, one after the other.
    pub(super) slow_openings: Arc<AtomicU32>,
}

/// Each that is late doubles the time that the next one has, so many times at the most: a login
/// that is given up has cost etcd as much as one that is waited for.
const DOUBLED: u32 = 4;

impl ConnectionOpener {
    /// A connection to the member, if it is to be believed, and was not refused just now.
    pub(super) async fn connect(&self) -> Result<Connection, Error> {
        self.logins.attempt(self.open_or_explain()).await
    }

    /// The member is looked at also where it has something against this host, for a stranger
    /// knows no login, or another one.
    async fn open_or_explain(&self) -> Result<Connection, Error> {
        match self.open_in_time().await {
            Err(error) if !meaning(&error).is_member_specific() => {
                Err(self.foreign_member_error().await.unwrap_or(error))
            }
            opened => opened,
        }
    }

    /// What is wrong with the member, if it is not to be believed, by what it tells anybody.
    async fn foreign_member_error(&self) -> Option<Error> {
        let member = &self.members[self.member];
        let look = async {
            let mut etcd = member.connect_without_login().await.ok()?;
            let cluster = etcd.member_list().await.ok()?.header()?.cluster_id();
            self.trust.check_first_answer(&self.members, self.member, &etcd, cluster).await.err()
        };
        timeout(self.within, look).await.ok().flatten()
    }

    async fn open_in_time(&self) -> Result<Connection, Error> {
        let within = self.within * (1 << self.slow_openings.load(Ordering::Relaxed).min(DOUBLED));
        let Ok(opened) = timeout(within, self.open()).await else {
            self.slow_openings.fetch_add(1, Ordering::Relaxed);
            return Err(Error::EndpointError(format!(
                "it does not let this host in within {} ms",
                within.as_millis()
            )));
        };
        if opened.is_ok() {
            self.slow_openings.store(0, Ordering::Relaxed);
        }
        opened
    }

    async fn open(&self) -> Result<Connection, Error> {
        let member = &self.members[self.member];
        let etcd = member.connect().await?;
        let before = self.trust.history.revision_before();
        // Linearizable, so it shows all that anybody was told before.
        let found = etcd.kv_client().get(member.identity_key(), None).await?;
        let header = found.header().ok_or_else(missing_header)?;
        self.trust
            .check_first_answer(&self.members, self.member, &etcd, header.cluster_id())
            .await?;
        let identity = identity::identity_of(&found);
        identity::compare(&self.trust, before, identity.clone(), header.revision())?;
        if identity.is_none() {
            identity::ensure_identity(&etcd, member.identity_key(), &self.trust).await?;
        }
        Ok(etcd)
    }
}
