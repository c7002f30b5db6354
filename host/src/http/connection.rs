//! The connections of clients, each from its first byte to its end.
//!
//! Guarantee: no client holds a connection by doing nothing. Starting, sending a request and being
//! idle between requests each have a time limit. (Over HTTP/2 a connection may be idle as long as
//! the client answers pings. That also ends a connection that stays in the middle of a further
//! head, in which no other frame may come: RFC 9113, section 4.3.) A client that reads nothing of a response for that
//! long loses it: over HTTP/2 the stream alone, otherwise the connection.

use std::{
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
};

use bytes::Bytes;
use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    client_stream::ClientStream,
    connection_context::ConnectionContext,
    connection_info::ConnectionInfo,
    connection_slots::ConnectionSlot,
    http_version::{HttpVersion, detect_version, negotiated_version},
    limits::{HTTP1_BUFFER, HTTP2_HEADER_LIST, HTTP2_WINDOW, LAST_RESPONSE},
    request_handler::RequestHandler,
    request_service::RequestService,
    stream_executor::StreamExecutor,
};

/// A connection that is being served.
pub(super) struct Connection<A> {
    context: ConnectionContext<A>,
    info: ConnectionInfo,
    slot: ConnectionSlot,
    /// Cancelled when the connection must end at once.
    cut: CancellationToken,
}

impl<A: RequestHandler> Connection<A> {
    /// The connection `stream` of the client at `peer`, which holds `slot`.
    pub(super) fn new(
        context: ConnectionContext<A>,
        stream: &TcpStream,
        peer: SocketAddr,
        slot: ConnectionSlot,
        cut: CancellationToken,
    ) -> Self {
        let local = stream.local_addr().unwrap_or(peer);
        let secure = context.tls.is_some();
        let info = ConnectionInfo { peer, local, secure, has_certificate: false };
        Self { context, info, slot, cut }
    }

    /// Serves the client until it is gone, or the address is closed and nothing is in flight, or
    /// the slot is needed and the connection is idle, or it is `cut`.
    pub(super) async fn serve(mut self, mut stream: TcpStream) {
        let ended = match self.context.tls.clone() {
            None => {
                let start = self.await_start(detect_version(&mut stream)).await;
                let Some((version, first)) = start else { return };
                self.serve_version(version, self.wrap(stream, first)).await
            }
            Some(tls) => {
                let start = self.await_start(tls.accept(stream)).await;
                let Some(stream) = start else { return };
                self.info.has_certificate = stream.get_ref().1.peer_certificates().is_some();
                let version = negotiated_version(&stream);
                self.serve_version(version, self.wrap(stream, Bytes::new())).await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended early");
        }
    }

    /// Waits for `first`, for as long as the client may take to start.
    async fn await_start<T>(&self, first: impl Future<Output = io::Result<T>>) -> Option<T> {
        let first = tokio::select! {
            // What the client has sent already gets a response, even if only a refusal.
            biased;
            first = timeout(self.context.client_timeout, first) => first.ok()?,
            () = self.cut.cancelled() => return None,
            () = self.context.closing.cancelled() => return None,
            () = self.slot.evicted() => return None,
        };
        let refused = |error: &io::Error| tracing::debug!(%error, "a connection did not begin");
        first.inspect_err(refused).ok()
    }

    /// The byte stream for hyper; `first` was read from it already.
    fn wrap<S>(&self, stream: S, first: Bytes) -> ClientStream<S> {
        let state = Arc::clone(self.slot.state());
        ClientStream::new(stream, first, state, self.context.closing.clone())
    }

    /// Serves the connection in `version`.
    async fn serve_version<S>(
        &self,
        version: HttpVersion,
        stream: ClientStream<S>,
    ) -> hyper::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let context = &self.context;
        let service = RequestService::new(context, self.info, version, self.slot.state());
        let service = service_fn(move |request| service.call(request));
        match version {
            HttpVersion::Http1 => {
                let io = TokioIo::new(stream.allow_half_close());
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(context.client_timeout);
                if let Some(headers) = context.max_headers {
                    builder.max_headers(headers);
                }
                builder.max_buf_size(HTTP1_BUFFER);
                let connection = builder.serve_connection(io, service).with_upgrades();
                self.drive(connection, http1::UpgradeableConnection::graceful_shutdown).await
            }
            HttpVersion::Http2 => {
                let executor = StreamExecutor {
                    scope: context.scope.clone(),
                    client_timeout: context.client_timeout,
                };
                let mut builder = http2::Builder::new(executor);
                builder.timer(TokioTimer::new()).max_concurrent_streams(context.max_streams);
                builder.keep_alive_interval(context.client_timeout);
                builder.initial_connection_window_size(HTTP2_WINDOW);
                builder.initial_stream_window_size(HTTP2_WINDOW);
                builder.max_header_list_size(HTTP2_HEADER_LIST);
                let connection = builder.serve_connection(TokioIo::new(stream), service);
                self.drive(connection, http2::Connection::graceful_shutdown).await
            }
        }
    }

    /// Polls hyper's connection to its end. Even one that is cut has a short time for a last
    /// response, which the gate turns into a refusal: a host that was frozen and wakes up does not
    /// just hang up on waiting clients.
    async fn drive<C: Future<Output = hyper::Result<()>>>(
        &self,
        connection: C,
        shut_down: impl Fn(Pin<&mut C>),
    ) -> hyper::Result<()> {
        let mut connection = pin!(connection);
        // hyper has no such limit for HTTP/2: half a head is not what its pings are about.
        let mut first_request = pin!(sleep(self.context.client_timeout));
        let (mut waiting, mut draining, mut evicted) = (true, false, false);
        loop {
            tokio::select! {
                biased;
                ended = connection.as_mut() => return ended,
                () = self.cut.cancelled() => {
                    // If the time is over, the client sees the connection end.
                    let _ = timeout(LAST_RESPONSE, connection.as_mut()).await;
                    return Ok(());
                }
                () = self.context.closing.cancelled(), if !draining => {
                    shut_down(connection.as_mut());
                    draining = true;
                }
                () = self.slot.evicted(), if !evicted => {
                    shut_down(connection.as_mut());
                    (draining, evicted) = (true, true);
                }
                () = first_request.as_mut(), if waiting => {
                    if !self.slot.state().has_begun() {
                        return Ok(());
                    }
                    waiting = false;
                }
                // A client that has sent half a request is not waited for.
                () = sleep(LAST_RESPONSE), if evicted && self.slot.state().is_idle() => {
                    if self.slot.state().is_idle() {
                        return Ok(());
                    }
                }
            }
        }
    }
}
