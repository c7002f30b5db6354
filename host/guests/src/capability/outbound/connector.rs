//! From a name to a connection: resolves it, checks the addresses, and connects to a checked one.

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

use super::{gated_connection::GatedConnection, request_target::RequestTarget};
use crate::capability::{BlockingPool, action_log::ActionLog, own_address};
use soloist_config::Grants;
use soloist_leadership::{Gate, GateShut};
use soloist_telemetry::log_throttle::LogThrottle;

/// The longest that connecting may take, whatever the guest asks for.
pub(crate) const CONNECT_MAX: Duration = Duration::from_secs(60);
/// How long a single address may take if there are others to try.
const CONNECT_EACH: Duration = Duration::from_secs(3);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("the request's URI names no host")]
    NoHost,
    #[error("the name was not resolved")]
    Name(#[source] io::Error),
    #[error("no address of the name may be reached")]
    Prohibited,
    #[error("nobody answered in time")]
    TimedOut,
    #[error("no connection")]
    Refused(#[source] io::Error),
    #[error("{0}")]
    GateShut(#[from] GateShut),
}

impl ConnectError {
    /// The error as the guest sees it.
    pub(crate) fn to_guest_error(&self) -> Error {
        match self {
            Self::NoHost => Error::HttpRequestUriInvalid,
            Self::Name(_) => Error::DnsError { rcode: None, info_code: None },
            Self::Prohibited => Error::DestinationIpProhibited,
            Self::TimedOut => Error::ConnectionTimeout,
            Self::Refused(error) => Error::Connect(error.kind().into()),
            Self::GateShut(shut) => Error::InternalError(Some(shut.to_string())),
        }
    }
}

/// Opens the connections of one action in one term.
#[derive(Clone)]
pub(crate) struct GatedConnector {
    /// The name of the action, for the log.
    pub(crate) action: Arc<str>,
    /// Where it may connect to.
    pub(crate) grants: Arc<Grants>,
    /// The gate of the term.
    pub(crate) gate: Arc<Gate>,
    /// Throttles the warnings about denied addresses.
    pub(crate) denied: Arc<LogThrottle>,
    /// Shows the warnings to readers of the action's log.
    pub(crate) log: Arc<ActionLog>,
    /// Runs name lookups.
    pub(crate) blocking: Arc<BlockingPool>,
}

impl Service<Uri> for GatedConnector {
    type Response = TokioIo<GatedConnection>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let connected = timeout(CONNECT_MAX, connector.connect(&uri)).await;
            connected.unwrap_or(Err(ConnectError::TimedOut)).map(TokioIo::new)
        })
    }
}

impl GatedConnector {
    async fn connect(&self, uri: &Uri) -> Result<GatedConnection, ConnectError> {
        let target = RequestTarget::of(uri).ok_or(ConnectError::NoHost)?;
        let addresses = resolve(&target, &self.blocking).await.map_err(ConnectError::Name)?;
        let allowed: Vec<_> =
            addresses.iter().copied().filter(|to| self.allows(&target, to.ip())).collect();
        if allowed.is_empty() {
            self.warn_prohibited(&target, &addresses);
            return Err(ConnectError::Prohibited);
        }
        self.gate.pass()?;
        let stream = connect_first(&allowed).await?;
        // This fails only on a broken connection.
        let _ = stream.set_nodelay(true);
        Ok(GatedConnection::new(stream, self.gate.clone()))
    }

    fn allows(&self, target: &RequestTarget, ip: IpAddr) -> bool {
        let private = self.grants.outbound_private;
        target
            .entries(&self.grants)
            .any(|entry| entry.reaches(ip, private, own_address::is_own_address))
    }

    fn warn_prohibited(&self, target: &RequestTarget, addresses: &[SocketAddr]) {
        let (name, place) = (&self.action, &self.grants.written_in);
        let found: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
        let found = found.join(" ");
        let denial = format!(
            "request denied: {target} stands for no public address of another machine ({found}); \
             `outbound_private = true` in {place} lets names stand for private networks, and this \
             machine is named by its address or as localhost"
        );
        self.denied.report_text(&target.to_string(), |repeats| {
            let what = format!("{denial}{repeats}");
            let fencing_token = self.gate.term().fencing_token.0;
            warn!(action = %name, fencing_token, to = %target, addresses = found, "{what}");
            self.log.add_host_line(&what);
        });
        self.log.note_denial(denial);
    }
}

async fn resolve(target: &RequestTarget, threads: &BlockingPool) -> io::Result<Vec<SocketAddr>> {
    let host = target.host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![(ip, target.port).into()]);
    }
    let name = (host.to_owned(), target.port);
    let found: Vec<_> = threads.call(move || name.to_socket_addrs()).await??.collect();
    if found.is_empty() { Err(io::ErrorKind::NotFound.into()) } else { Ok(found) }
}

/// Connects to the first of `addresses` that answers.
async fn connect_first(addresses: &[SocketAddr]) -> Result<TcpStream, ConnectError> {
    let mut failure = ConnectError::TimedOut;
    for (i, address) in addresses.iter().enumerate() {
        let last = i + 1 == addresses.len();
        let patience = if last { CONNECT_MAX } else { CONNECT_EACH };
        match timeout(patience, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failure = ConnectError::Refused(error),
            Err(_) => failure = ConnectError::TimedOut,
        }
    }
    Err(failure)
}
