//! One member of etcd, and how it is connected to.

use std::{sync::Arc, time::Duration};

use etcd_client::{Client as Connection, ConnectOptions, Error};
use tokio::time::timeout;

use super::access::Tls;

/// From one HTTP/2 ping to the next on a connection with calls in flight on
/// which nothing else is heard. etcd hangs up on whoever pings more often than
/// every 5 s (`--grpc-keepalive-min-time`); so this is but a safety net.
const PING: Duration = Duration::from_secs(10);

/// A member of etcd.
#[derive(Clone)]
pub(super) struct Member {
    address: String,
    options: ConnectOptions,
    tls: Option<Arc<Tls>>,
}

impl Member {
    pub(super) fn new(address: &str, options: ConnectOptions, tls: Option<Arc<Tls>>) -> Self {
        Self { address: address.to_owned(), options, tls }
    }

    /// Where it is, `host:port`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// A connection, logged in. It connects when it is used, and again when it
    /// broke, with the same certificates; the runtime that this is called on drives it.
    pub(super) async fn connect(&self, within: Duration) -> Result<Connection, Error> {
        let options = match &self.tls {
            Some(tls) => self.options.clone().with_tls(tls.options().await),
            None => self.options.clone(),
        };
        let login = Connection::connect([&self.address], Some(options));
        let made = timeout(within, login).await;
        made.map_err(|_| Error::EndpointError("it does not let this host in".into()))?
    }
}

/// How connections to one of `members` are made.
pub(super) fn options(
    login: Option<(String, String)>,
    request_timeout: Duration,
    members: u32,
) -> ConnectOptions {
    let options = ConnectOptions::new()
        // So that one call has the time to find the member that answers.
        .with_connect_timeout(request_timeout / members)
        .with_keep_alive(PING, request_timeout)
        // Without calls in flight etcd tolerates a ping every 2 hours only.
        .with_keep_alive_while_idle(false)
        .with_tcp_keepalive(PING)
        // A member that is cut off from its peers says so at once.
        .with_require_leader(true)
        .with_auto_token_refresh(true);
    match login {
        Some((user, password)) => options.with_user(user, password),
        None => options,
    }
}
