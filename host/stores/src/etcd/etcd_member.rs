//! One member of etcd, and how it is connected to.

use std::{sync::Arc, time::Duration};

use etcd_client::{Channel, Client as Connection, ConnectOptions, Error};
use tokio::time::timeout;
use tonic::transport::Endpoint;

use super::{
    access::{EtcdAccess, EtcdTls},
    keys::EtcdKeys,
    once_connector::OnceConnector,
};
use crate::StoreError;

/// From one HTTP/2 ping to the next on a connection with calls in flight on
/// which nothing else is heard. etcd hangs up on whoever pings more often than
/// every 5 s (`--grpc-keepalive-min-time`); so this is but a safety net.
const PING: Duration = Duration::from_secs(10);

/// A member of etcd.
#[derive(Clone)]
pub(super) struct EtcdMember {
    address: String,
    login: Option<(String, String)>,
    tls: Option<Arc<EtcdTls>>,
    /// The key of the cluster's identity.
    identity: Arc<str>,
    request_timeout: Duration,
    /// So that one call has the time to find the member that answers.
    connect_timeout: Duration,
}

impl EtcdMember {
    /// The members that are listed.
    pub(super) fn all(
        access: &EtcdAccess,
        keys: &EtcdKeys,
        request_timeout: Duration,
    ) -> Result<Arc<[Self]>, StoreError> {
        let EtcdAccess { endpoints, login, tls, .. } = access;
        let count = u32::try_from(endpoints.len()).ok().filter(|count| *count > 0);
        let count = count.ok_or_else(|| {
            StoreError::refused("no etcd endpoint: write `store = \"etcd://HOST:2379\"`")
        })?;
        let identity: Arc<str> = keys.identity().into();
        let member = |address: &String| Self {
            address: address.clone(),
            login: login.clone(),
            tls: tls.clone(),
            identity: Arc::clone(&identity),
            request_timeout,
            connect_timeout: request_timeout / count,
        };
        Ok(endpoints.iter().map(member).collect())
    }

    /// Where it is, `host:port`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Where the identity is.
    pub(super) fn identity_key(&self) -> &str {
        &self.identity
    }

    /// How long it is waited for where others may be asked besides.
    pub(super) const fn patience(&self) -> Duration {
        self.connect_timeout
    }

    /// Which etcd it is of, asked for by a connection of its own.
    pub(super) async fn cluster_id(&self) -> Result<u64, Error> {
        let etcd = self.in_time(self.connect()).await?;
        let found = etcd.kv_client().get(self.identity_key(), None).await?;
        let header = found.header().ok_or_else(|| Error::Internal("no header".into()))?;
        Ok(header.cluster_id())
    }

    /// A connection, logged in, which ends for good when it breaks; the runtime that this is
    /// called on drives it. How long a login may take is for the caller to say.
    pub(super) async fn connect(&self) -> Result<Connection, Error> {
        self.connect_as(self.login.clone()).await
    }

    /// A connection that is not logged in, for what etcd tells anybody.
    pub(super) async fn connect_without_login(&self) -> Result<Connection, Error> {
        self.in_time(self.connect_as(None)).await
    }

    async fn in_time(
        &self,
        made: impl Future<Output = Result<Connection, Error>>,
    ) -> Result<Connection, Error> {
        let made = timeout(self.request_timeout, made).await;
        made.map_err(|_| Error::EndpointError("it does not let this host in".into()))?
    }

    async fn connect_as(&self, login: Option<(String, String)>) -> Result<Connection, Error> {
        // A member that is cut off from its peers says so at once. A login that is renewed ends
        // the turn: nobody may do that unseen.
        let options =
            ConnectOptions::new().with_require_leader(true).with_auto_token_refresh(false);
        let options = match login {
            Some((user, password)) => options.with_user(user, password),
            None => options,
        };
        let channel = self.endpoint().await?.connect_with_connector_lazy(OnceConnector::new(PING));
        Connection::from_channel(Channel::Tonic(channel), Some(options)).await
    }

    /// How it is reached, with the certificates of this moment.
    async fn endpoint(&self) -> Result<Endpoint, Error> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{}", self.address))?
            .connect_timeout(self.connect_timeout)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(self.request_timeout)
            // Without calls in flight etcd tolerates a ping every 2 hours only.
            .keep_alive_while_idle(false);
        match &self.tls {
            Some(tls) => Ok(endpoint.tls_config(tls.options().await)?),
            None => Ok(endpoint),
        }
    }
}
