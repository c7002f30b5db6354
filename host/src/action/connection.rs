//! The connections of clients, each from its first byte to its end.
//!
//! Guarantee: no client holds a connection by doing nothing. Starting, sending a request and being
//! idle between requests each have a time limit. A client that reads nothing of a response for that
//! long loses it: over HTTP/2 the stream alone, otherwise the connection.

use std::{
    convert::Infallible,
    error::Error,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use ::http::{Method, Request, Response, StatusCode};
use bytes::Bytes;
use http_body::Body;
use hyper::{
    body::Incoming,
    rt::Executor,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::net::sockopt;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::{
    TaskScope,
    client_stream::ClientStream,
    connection_slots::{ConnectionSlot, ConnectionSlots},
    limits::{ACCEPT_PAUSE, BUFFER, HEADER_LIST, LAST_WORD, WINDOW},
    response_body::has_no_body,
    tracked_body::{StallTimer, TrackedBody, UPTAKE},
    validation::{self, EarlyResponse},
};
use soloist_telemetry::log_throttle::LogThrottle;
use soloist_tls::{H2, ReloadingAcceptor};

/// Answers the requests that come to an address.
pub(crate) trait RequestHandler: Send + Sync + 'static {
    /// The body of its responses.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static;

    /// Answers `request`; errors become responses as well.
    fn respond(
        &self,
        request: Request<Incoming>,
        caller: ConnectionInfo,
    ) -> impl Future<Output = Result<Response<Self::Body>, Infallible>> + Send;

    /// The response to a request that no action needs to see.
    fn respond_early(&self, why: EarlyResponse) -> Response<Self::Body>;
}

/// The connection that a request came on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionInfo {
    /// The client's address.
    pub(crate) peer: SocketAddr,
    /// The host's address that the client connected to.
    pub(crate) local: SocketAddr,
    /// Whether the connection uses TLS.
    pub(crate) secure: bool,
    /// Whether the client has shown a certificate that the address trusts.
    pub(crate) has_certificate: bool,
}

/// What every connection to one address works with.
pub(crate) struct ConnectionContext<A> {
    /// Answers the requests.
    pub(crate) handler: Arc<A>,
    /// Accepts connections, if the address uses TLS.
    pub(crate) tls: Option<ReloadingAcceptor>,
    /// Cancelled when the address is closed: idle connections then end.
    pub(crate) closing: CancellationToken,
    /// Owns the connections, and the streams of HTTP/2.
    pub(crate) tasks: TaskScope,
    /// The open connections.
    pub(crate) slots: Arc<ConnectionSlots>,
    /// How many requests one HTTP/2 connection may have open at a time.
    pub(crate) max_streams: u32,
    /// How many headers a request over HTTP/1 may have, if that differs from hyper's limit (100).
    pub(crate) headers: Option<usize>,
    /// How long a client may take for the head of a request, be idle before it, or read nothing of
    /// a response.
    pub(crate) client_timeout: Duration,
}

impl<A> Clone for ConnectionContext<A> {
    fn clone(&self) -> Self {
        Self {
            handler: Arc::clone(&self.handler),
            tls: self.tls.clone(),
            closing: self.closing.clone(),
            tasks: self.tasks.clone(),
            slots: Arc::clone(&self.slots),
            max_streams: self.max_streams,
            headers: self.headers,
            client_timeout: self.client_timeout,
        }
    }
}

/// The version of HTTP that a client has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HttpVersion {
    Http1,
    Http2,
}

/// Marks requests that came over TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OverTls;

/// Accepts connections until the address is closed; the connections themselves go on.
pub(crate) async fn accept_all<A: RequestHandler>(
    listener: &TcpListener,
    hall: &ConnectionContext<A>,
) {
    let trouble = LogThrottle::default();
    let next = || async {
        hall.slots.wait_for_closing().await;
        listener.accept().await
    };
    while let Some(accepted) = hall.closing.run_until_cancelled(next()).await {
        match accepted {
            Ok((stream, peer)) => {
                trouble.over(|told| tracing::info!("connections are accepted again{told}"));
                // A client over its limit finds the connection closed and may try again.
                if let Some(place) = hall.slots.acquire(peer.ip()) {
                    let own = hall.clone();
                    hall.tasks
                        .spawn_cancellable(|cut| serve_connection(stream, peer, place, own, cut));
                }
            }
            Err(error) => {
                trouble.report(|told| {
                    tracing::warn!(%error, "cannot accept a connection{told}");
                });
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Serves one client until it is gone, or the address is closed and nothing is in flight, or the
/// slot is needed and the connection is idle, or it is `cut`.
async fn serve_connection<A: RequestHandler>(
    stream: TcpStream,
    peer: SocketAddr,
    place: ConnectionSlot,
    hall: ConnectionContext<A>,
    cut: CancellationToken,
) {
    let local = stream.local_addr().unwrap_or(peer);
    let mut caller =
        ConnectionInfo { peer, local, secure: hall.tls.is_some(), has_certificate: false };
    set_socket_options(&stream, hall.client_timeout);
    let ended = match hall.tls.clone() {
        None => match hall.await_start(detect_protocol(&stream), &place, &cut).await {
            Some(protocol) => hall.serve_protocol(protocol, stream, caller, &place, &cut).await,
            None => return,
        },
        Some(tls) => match hall.await_start(tls.accept(stream), &place, &cut).await {
            Some(stream) => {
                caller.has_certificate = stream.get_ref().1.peer_certificates().is_some();
                hall.serve_protocol(negotiated_protocol(&stream), stream, caller, &place, &cut)
                    .await
            }
            None => return,
        },
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

impl<A: RequestHandler> ConnectionContext<A> {
    /// Waits for `first`, for as long as the client may take to start.
    async fn await_start<T>(
        &self,
        first: impl Future<Output = io::Result<T>>,
        place: &ConnectionSlot,
        cut: &CancellationToken,
    ) -> Option<T> {
        let first = tokio::select! {
            // What the client has sent already gets a response, even if only a refusal.
            biased;
            first = timeout(self.client_timeout, first) => first.ok()?,
            () = cut.cancelled() => return None,
            () = self.closing.cancelled() => return None,
            () = place.evicted() => return None,
        };
        let refused = |error: &io::Error| tracing::debug!(%error, "a connection did not begin");
        first.inspect_err(refused).ok()
    }

    /// Serves the connection in `protocol`.
    async fn serve_protocol<S>(
        &self,
        protocol: HttpVersion,
        stream: S,
        caller: ConnectionInfo,
        place: &ConnectionSlot,
        cut: &CancellationToken,
    ) -> hyper::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (routes, seat) = (Arc::clone(&self.handler), Arc::clone(place.state()));
        let hosts = self.headers.is_some();
        let service = service_fn(move |request: Request<Incoming>| {
            let (routes, seat) = (Arc::clone(&routes), Arc::clone(&seat));
            let visit = seat.begin_request();
            let head = request.method() == Method::HEAD;
            async move {
                let response = match validation::validate(request, caller, hosts) {
                    Ok(request) => routes.respond(request, caller).await?,
                    Err(why) => routes.respond_early(why),
                };
                if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                    seat.set_upgraded();
                }
                // Over HTTP/1 hyper itself leaves out a body that must not be sent.
                let has_body =
                    protocol == HttpVersion::Http1 || !(head || has_no_body(response.status()));
                let handed = |body| TrackedBody::new(has_body.then_some(body), visit);
                Ok::<_, Infallible>(response.map(handed))
            }
        });
        let wire = ClientStream::new(stream, Arc::clone(place.state()), self.closing.clone());
        let io = TokioIo::new(wire.allow_half_close(protocol == HttpVersion::Http1));
        match protocol {
            HttpVersion::Http1 => {
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(self.client_timeout);
                if let Some(headers) = self.headers {
                    builder.max_headers(headers);
                }
                builder.max_buf_size(BUFFER);
                let connection = builder.serve_connection(io, service).with_upgrades();
                let end = http1::UpgradeableConnection::graceful_shutdown;
                drive_connection(connection, end, &self.closing, place, cut).await
            }
            HttpVersion::Http2 => {
                let streams = StreamExecutor {
                    tasks: self.tasks.clone(),
                    client_timeout: self.client_timeout,
                };
                let mut builder = http2::Builder::new(streams);
                builder.timer(TokioTimer::new()).max_concurrent_streams(self.max_streams);
                builder.keep_alive_interval(self.client_timeout);
                builder.initial_connection_window_size(WINDOW);
                builder.initial_stream_window_size(WINDOW);
                builder.max_header_list_size(HEADER_LIST);
                let connection = builder.serve_connection(io, service);
                let end = http2::Connection::graceful_shutdown;
                drive_connection(connection, end, &self.closing, place, cut).await
            }
        }
    }
}

/// Polls a connection to its end. Even one that is cut has a short time for a last response, which
/// the gate turns into a refusal: a host that was frozen and wakes up does not just hang up on
/// waiting clients.
async fn drive_connection<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    shut_down: impl Fn(Pin<&mut C>),
    closing: &CancellationToken,
    place: &ConnectionSlot,
    cut: &CancellationToken,
) -> hyper::Result<()> {
    let mut connection = pin!(connection);
    let (mut draining, mut wanted) = (false, false);
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended,
            () = cut.cancelled() => {
                // If the time is over, the client sees the connection end.
                let _ = timeout(LAST_WORD, connection.as_mut()).await;
                return Ok(());
            }
            () = closing.cancelled(), if !draining => {
                shut_down(connection.as_mut());
                draining = true;
            }
            () = place.evicted(), if !wanted => {
                shut_down(connection.as_mut());
                (draining, wanted) = (true, true);
            }
            // A client that has sent half a request is not waited for.
            () = sleep(LAST_WORD), if wanted && place.state().is_idle() => {
                if place.state().is_idle() {
                    return Ok(());
                }
            }
        }
    }
}

/// Sends small pieces at once, and has the kernel break off a connection whose client reads nothing
/// for that long, even if it reads too little to make room for more (tcp(7): `TCP_USER_TIMEOUT`).
/// Both calls fail only on a connection that is broken already.
fn set_socket_options(stream: &TcpStream, patience: Duration) {
    let _ = stream.set_nodelay(true);
    let patience = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
    let _ = sockopt::set_tcp_user_timeout(stream, patience);
}

/// Looks at the first bytes without taking them. HTTP/2 without TLS begins with a method
/// that no request of HTTP/1 has (RFC 9113, section 3.4).
async fn detect_protocol(stream: &TcpStream) -> io::Result<HttpVersion> {
    let mut first = [0; 3];
    let seen = stream.peek(&mut first).await?;
    Ok(if &first[..seen] == b"PRI" { HttpVersion::Http2 } else { HttpVersion::Http1 })
}

/// The version that was negotiated with TLS (ALPN).
fn negotiated_protocol(stream: &TlsStream<TcpStream>) -> HttpVersion {
    let agreed = stream.get_ref().1.alpn_protocol();
    if agreed == Some(H2) { HttpVersion::Http2 } else { HttpVersion::Http1 }
}

/// Runs the streams of HTTP/2 connections. A stream that is cut has a short time for a last
/// response as well; one whose client reads nothing is reset.
#[derive(Clone)]
struct StreamExecutor {
    tasks: TaskScope,
    client_timeout: Duration,
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for StreamExecutor {
    fn execute(&self, stream: F) {
        let (patience, uptake) = (self.client_timeout, StallTimer::default());
        // Boxed, because the futures around it would otherwise contain its full size, more than
        // once.
        let mut stream = Box::pin(UPTAKE.scope(uptake.clone(), stream));
        self.tasks.spawn_cancellable(|cut| async move {
            tokio::select! {
                biased;
                _ = stream.as_mut() => {}
                () = cut.cancelled() => drop(timeout(LAST_WORD, stream).await),
                () = uptake.stalled(patience) => tracing::debug!("a stream was not taken"),
            }
        });
    }
}
