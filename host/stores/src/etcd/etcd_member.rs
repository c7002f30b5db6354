//! One member of etcd, and how to connect to it.

use std::{sync::Arc, time::Duration};

use etcd_client::{Channel, Client as Connection, ConnectOptions, Error};
use tokio::time::timeout;
use tonic::transport::Endpoint;

use super::{
    access::{EtcdAccess, EtcdTls},
    error_meaning::meaning,
    keys::EtcdKeys,
    once_connector::OnceConnector,
};
use crate::StoreError;

/// The interval of HTTP/2 pings on a connection with calls in flight on which nothing else arrives.
/// etcd closes the connection of a client that pings more often than every 5 s
/// (`--grpc-keepalive-min-time`), so this is only a safety net.
const PING: Duration = Duration::from_secs(10);

/// A member of etcd.
#[derive(Clone)]
pub(super) struct EtcdMember {
    address: String,
    login: Option<(String, String)>,
    tls: Option<Arc<EtcdTls>>,
    /// The keys of the soloist cluster.
    keys: EtcdKeys,
    request_timeout: Duration,
    /// Short enough for one call to have the time to find a member that answers.
    connect_timeout: Duration,
}

impl EtcdMember {
    /// All listed members.
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
        let member = |address: &String| Self {
            address: address.clone(),
            login: login.clone(),
            tls: tls.clone(),
            keys: keys.clone(),
            request_timeout,
            connect_timeout: request_timeout / count,
        };
        Ok(endpoints.iter().map(member).collect())
    }

    /// The address, `host:port`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// The keys of the soloist cluster.
    pub(super) const fn keys(&self) -> &EtcdKeys {
        &self.keys
    }

    /// How long to wait for this member while others may be asked as well.
    pub(super) const fn patience(&self) -> Duration {
        self.connect_timeout
    }

    /// The id of its etcd cluster, requested over a separate connection.
    pub(super) async fn cluster_id(&self) -> Result<u64, Error> {
        let etcd = self.in_time(self.connect()).await?;
        let found = etcd.kv_client().get(self.keys.identity(), None).await?;
        let header = found.header().ok_or_else(|| Error::Internal("no header".into()))?;
        Ok(header.cluster_id())
    }

    /// A connection that is logged in, and that ends for good when it breaks. It is driven by the
    /// runtime that this is called on. The caller limits how long a login may take.
    pub(super) async fn connect(&self) -> Result<Connection, Error> {
        self.connect_as(self.login.clone()).await
    }

    /// A connection that is not logged in, for what etcd tells anybody.
    pub(super) async fn connect_without_login(&self) -> Result<Connection, Error> {
        self.in_time(self.connect_as(None)).await
    }

    /// Whether it answers a request that needs the other members as well. A refusal is an answer.
    pub(super) async fn answers(&self) -> bool {
        let answer = async {
            let etcd = self.connect_without_login().await?;
            etcd.kv_client().get(self.keys.identity(), None).await
        };
        match answer.await {
            Ok(_) => true,
            Err(error) => !meaning(&error).is_member_specific(),
        }
    }

    async fn in_time(
        &self,
        made: impl Future<Output = Result<Connection, Error>>,
    ) -> Result<Connection, Error> {
        let made = timeout(self.request_timeout, made).await;
        made.map_err(|_| Error::EndpointError("it refuses this host's login".into()))?
    }

    async fn connect_as(&self, login: Option<(String, String)>) -> Result<Connection, Error> {
        // With `require_leader`, a member that is cut off from its peers says so at once. A login
        // must not be renewed automatically, because a renewal ends the turn.
        let options =
            ConnectOptions::new().with_require_leader(true).with_auto_token_refresh(false);
        let options = match login {
            Some((user, password)) => options.with_user(user, password),
            None => options,
        };
        let channel = self.endpoint().await?.connect_with_connector_lazy(OnceConnector::new(PING));
        Connection::from_channel(Channel::Tonic(channel), Some(options)).await
    }

    /// How the member is reached, with the certificate files as they are now.
    async fn endpoint(&self) -> Result<Endpoint, Error> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let endpoint = Endpoint::from_shared(format!("{scheme}://{}", self.address))?
            .connect_timeout(self.connect_timeout)
            .http2_keep_alive_interval(PING)
            .keep_alive_timeout(self.request_timeout)
            // etcd tolerates a ping without calls in flight only every 2 hours.
            .keep_alive_while_idle(false);
        match &self.tls {
            Some(tls) => Ok(endpoint.tls_config(tls.options().await)?),
            None => Ok(endpoint),
        }
    }
}
