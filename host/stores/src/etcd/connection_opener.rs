//! Opening a connection to a member: connect, log in, and check that it is the right etcd.
//!
//! Invariant: no request is made to a member before it is known to belong to the trusted cluster,
//! and that cluster to be unchanged. A single read checks both. A member that refuses that read, or
//! the login before it, is checked just like one that answers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use etcd_client::{Client as Connection, Error};
use tokio::time::{sleep, timeout};

use super::{
    cluster_trust::ClusterTrust, error_meaning::meaning, etcd_member::EtcdMember, identity,
    login_attempts::LoginAttempts,
};

/// What is needed to open a connection.
pub(super) struct ConnectionOpener {
    pub(super) members: Arc<[EtcdMember]>,
    /// The index of the member to connect to.
    pub(super) member: usize,
    pub(super) trust: Arc<ClusterTrust>,
    pub(super) logins: LoginAttempts,
    /// How long the member may answer nothing, if the connection before was not given up.
    pub(super) within: Duration,
    /// How many in a row were given up.
    pub(super) slow_openings: Arc<AtomicU32>,
}

/// Each connection that is given up doubles the time for the next one, up to this many times: a
/// machine may be so busy that even a member that lives answers late.
const DOUBLED: u32 = 4;

impl ConnectionOpener {
    /// Opens a connection, unless the member is not to be trusted or a login was refused recently.
    pub(super) async fn connect(&self) -> Result<Connection, Error> {
        self.logins.attempt(self.open_or_explain()).await
    }

    /// Checks the member's cluster also if it refuses this host, since a member of another cluster
    /// may not know this login.
    async fn open_or_explain(&self) -> Result<Connection, Error> {
        match self.open_in_time().await {
            Err(error) if !meaning(&error).is_member_specific() => {
                Err(self.foreign_member_error().await.unwrap_or(error))
            }
            opened => opened,
        }
    }

    /// Why the member is not to be trusted, if so, judging by what it tells a client without login.
    async fn foreign_member_error(&self) -> Option<Error> {
        let member = &self.members[self.member];
        let look = async {
            let mut etcd = member.connect_without_login().await.ok()?;
            let cluster = etcd.member_list().await.ok()?.header()?.cluster_id();
            self.trust.check_first_answer(&self.members, self.member, &etcd, cluster).await.err()
        };
        timeout(self.within, look).await.ok().flatten()
    }

    /// Gives up only a member that answers nothing else either. etcd hashes a password to the end
    /// even if nobody waits for it any more: logins that are begun again and again would keep each
    /// other from ever being answered.
    async fn open_in_time(&self) -> Result<Connection, Error> {
        let within = self.within * (1 << self.slow_openings.load(Ordering::Relaxed).min(DOUBLED));
        let opened = tokio::select! {
            opened = self.open() => opened,
            () = self.member_falls_silent(within) => {
                self.slow_openings.fetch_add(1, Ordering::Relaxed);
                return Err(Error::EndpointError(format!(
                    "it answered neither the login nor anything else within {} ms",
                    within.as_millis()
                )));
            }
        };
        if opened.is_ok() {
            self.slow_openings.store(0, Ordering::Relaxed);
        }
        opened
    }

    /// Resolves when the member has not answered another request for `within`.
    async fn member_falls_silent(&self, within: Duration) {
        let member = &self.members[self.member];
        let waits = within / 3;
        loop {
            sleep(waits).await;
            if !timeout(within - waits, member.answers()).await.unwrap_or(false) {
                return;
            }
        }
    }

    async fn open(&self) -> Result<Connection, Error> {
        let member = &self.members[self.member];
        let etcd = member.connect().await?;
        let believe = async |cluster| {
            self.trust.check_first_answer(&self.members, self.member, &etcd, cluster).await
        };
        if !identity::check(&etcd, member.keys(), &self.trust, believe).await? {
            identity::ensure_identity(&etcd, member.keys(), &self.trust).await?;
        }
        Ok(etcd)
    }
}
