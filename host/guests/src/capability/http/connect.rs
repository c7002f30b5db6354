//! From a name to a connection: resolve, check, connect to what was checked.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use ::http::Uri;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use tower_service::Service;
use tracing::warn;
use wasmtime_wasi_http::Error;

use super::{Target, stream::Gated};
use crate::capability::{BlockingPool, log::Console, machine};
use soloist_config::Grants;
use soloist_leadership::{Gate, Shut};
use soloist_telemetry::repeats::Repeats;

/// The longest that a connection may take, whatever the guest asks for.
pub(super) const CONNECT_MAX: Duration = Duration::from_secs(60);
/// How long one address may take where others are left to try.
const CONNECT_EACH: Duration = Duration::from_secs(3);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoConnection {
    #[error("the request's URI names no host")]
    NoHost,
    #[error("the name was not resolved")]
    Name(#[source] io::Error),
    #[error("no address of the name may be reached")]
    Prohibited,
    #[error("nobody answered in time")]
    Late,
    #[error("no connection")]
    Refused(#[source] io::Error),
    #[error("{0}")]
    Shut(#[from] Shut),
}

impl NoConnection {
    /// As the guest is told.
    pub(super) fn tell(&self) -> Error {
        match self {
            Self::NoHost => Error::HttpRequestUriInvalid,
            Self::Name(_) => Error::DnsError { rcode: None, info_code: None },
            Self::Prohibited => Error::DestinationIpProhibited,
            Self::Late => Error::ConnectionTimeout,
            Self::Refused(error) => Error::Connect(error.kind().into()),
            Self::Shut(shut) => Error::InternalError(Some(shut.to_string())),
        }
    }
}

/// Makes the connections of one action in one term.
#[derive(Clone)]
pub(super) struct Connector {
    pub(super) action: Arc<str>,
    pub(super) grants: Arc<Grants>,
    pub(super) gate: Arc<Gate>,
    pub(super) denied: Arc<Repeats>,
    pub(super) console: Arc<Console>,
    pub(super) blocking: Arc<BlockingPool>,
}

impl Service<Uri> for Connector {
    type Response = TokioIo<Gated>;
    type Error = NoConnection;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, NoConnection>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoConnection>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let connected = timeout(CONNECT_MAX, connector.connect(&uri)).await;
            connected.unwrap_or(Err(NoConnection::Late)).map(TokioIo::new)
        })
    }
}

impl Connector {
    async fn connect(&self, uri: &Uri) -> Result<Gated, NoConnection> {
        let target = Target::of(uri).ok_or(NoConnection::NoHost)?;
        let addresses = resolve(&target, &self.blocking).await.map_err(NoConnection::Name)?;
        let allowed: Vec<_> =
            addresses.iter().copied().filter(|to| self.allows(&target, to.ip())).collect();
        if allowed.is_empty() {
            self.tell_prohibited(&target, &addresses);
            return Err(NoConnection::Prohibited);
        }
        self.gate.pass()?;
        let stream = first(&allowed).await?;
        // It only fails on a connection that is broken already.
        let _ = stream.set_nodelay(true);
        Ok(Gated::new(stream, self.gate.clone()))
    }

    fn allows(&self, target: &Target, ip: IpAddr) -> bool {
        let private = self.grants.outbound_private;
        target.entries(&self.grants).any(|entry| entry.reaches(ip, private, machine::is_own))
    }

    fn tell_prohibited(&self, target: &Target, addresses: &[SocketAddr]) {
        let name = &self.action;
        let found: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
        self.denied.said(&target.to_string(), |told| {
            let found = found.join(" ");
            let what = format!(
                "request denied: {target} stands for no public address of another machine ({found}); `outbound_private = true` in [action.{name}] lets names stand for private networks, and this machine is named by its address or as localhost{told}"
            );
            let token = self.gate.term().token.0;
            warn!(action = %name, token, to = %target, addresses = found, "{what}");
            self.console.note(&what);
        });
    }
}

async fn resolve(target: &Target, threads: &BlockingPool) -> io::Result<Vec<SocketAddr>> {
    let host = target.host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![(ip, target.port).into()]);
    }
    let name = (host.to_owned(), target.port);
    let found: Vec<_> = threads.call(move || name.to_socket_addrs()).await??.collect();
    if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) }
}

/// A connection to the first of `addresses` that answers.
async fn first(addresses: &[SocketAddr]) -> Result<TcpStream, NoConnection> {
    let mut failure = NoConnection::Late;
    for (i, address) in addresses.iter().enumerate() {
        let last = i + 1 == addresses.len();
        let patience = if last { CONNECT_MAX } else { CONNECT_EACH };
        match timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = NoConnection::Refused(error),
            Err(_) => failure = NoConnection::Late,
        }
    }
    Err(failure)
}
