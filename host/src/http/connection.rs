//! The connections of clients, each from its first byte to its end.
//!
//! Guarantee: no client holds a connection by doing nothing. Starting, sending a request and being
//! idle between requests each have a time limit. A client that reads nothing of a response for that
//! long loses it: over HTTP/2 the stream alone, otherwise the connection.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use ::http::{Method, Request, StatusCode};
use hyper::{
    body::Incoming,
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
use tokio_util::sync::CancellationToken;

use super::{
    client_stream::ClientStream,
    connection_context::ConnectionContext,
    connection_info::ConnectionInfo,
    connection_slots::ConnectionSlot,
    http_version::{HttpVersion, detect_protocol, negotiated_protocol},
    limits::{ACCEPT_PAUSE, BUFFER, HEADER_LIST, LAST_WORD, WINDOW},
    plain_response::has_no_body,
    request_handler::RequestHandler,
    stream_executor::StreamExecutor,
    tracked_body::TrackedBody,
    validation::{self},
};
use soloist_telemetry::log_throttle::LogThrottle;

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
