//! One connection of a client, from its first byte to its end.

use std::{
    convert::Infallible,
    error::Error,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use ::http::{Request, Response};
use bytes::Bytes;
use http_body::Body;
use hyper::{
    body::Incoming,
    rt::Executor,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::{Tasks, limits::LAST_WORD};
use crate::tls::{Acceptor, H2};

/// Answers the requests that come to an address.
pub(crate) trait Answers: Send + Sync + 'static {
    /// What its answers are made of.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static;

    /// Answers `request`, whatever happens.
    fn respond(
        &self,
        request: Request<Incoming>,
        caller: Caller,
    ) -> impl Future<Output = Result<Response<Self::Body>, Infallible>> + Send;
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    /// The other end of the connection.
    pub(crate) peer: SocketAddr,
    /// Whether it came by TLS.
    pub(crate) secure: bool,
    /// Whether it has shown a certificate of those that the address knows.
    pub(crate) certified: bool,
}

/// What every connection to one address works with.
pub(crate) struct Hall<A> {
    /// Who answers.
    pub(crate) routes: Arc<A>,
    /// What accepts connections, where that takes TLS.
    pub(crate) tls: Option<Acceptor>,
    /// Told when the address is let go: idle connections then end.
    pub(crate) closing: CancellationToken,
    /// Owns the streams of HTTP/2.
    pub(crate) tasks: Tasks,
    /// How many requests one connection of HTTP/2 may have open at a time.
    pub(crate) streams: u32,
    /// How long a client may take for the head of a request, or be idle before it.
    pub(crate) head: Duration,
}

impl<A> Clone for Hall<A> {
    fn clone(&self) -> Self {
        Self {
            routes: Arc::clone(&self.routes),
            tls: self.tls.clone(),
            closing: self.closing.clone(),
            tasks: self.tasks.clone(),
            streams: self.streams,
            head: self.head,
        }
    }
}

/// The protocol that a client has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Http1,
    Http2,
}

/// Marks requests that came by TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Secure;

/// Answers one client, until it goes, or the address is let go and nothing of it is in
/// flight any more, or it is `cut`.
pub(crate) async fn serve<A: Answers>(stream: TcpStream, hall: Hall<A>, cut: CancellationToken) {
    let Ok(peer) = stream.peer_addr() else { return };
    let mut caller = Caller { peer, secure: hall.tls.is_some(), certified: false };
    // It only fails on a connection that is broken already.
    let _ = stream.set_nodelay(true);
    let ended = match hall.tls.clone() {
        None => match hall.first(protocol(&stream), &cut).await {
            Some(protocol) => hall.speak(protocol, stream, caller, &cut).await,
            None => return,
        },
        Some(tls) => match hall.first(tls.accept(stream), &cut).await {
            Some(stream) => {
                caller.certified = stream.get_ref().1.peer_certificates().is_some();
                hall.speak(agreed(&stream), stream, caller, &cut).await
            }
            None => return,
        },
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

impl<A: Answers> Hall<A> {
    /// What a client begins with, if it does so in time.
    async fn first<T>(
        &self,
        first: impl Future<Output = io::Result<T>>,
        cut: &CancellationToken,
    ) -> Option<T> {
        let first = tokio::select! {
            // What has come is answered, be it by a refusal.
            biased;
            first = timeout(self.head, first) => first.ok()?,
            () = cut.cancelled() => return None,
            () = self.closing.cancelled() => return None,
        };
        let refused = |error: &io::Error| tracing::debug!(%error, "a connection did not begin");
        first.inspect_err(refused).ok()
    }

    /// Answers in `protocol`.
    async fn speak<S>(
        &self,
        protocol: Protocol,
        stream: S,
        caller: Caller,
        cut: &CancellationToken,
    ) -> hyper::Result<()>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let routes = Arc::clone(&self.routes);
        let service = service_fn(move |request: Request<Incoming>| {
            let routes = Arc::clone(&routes);
            async move { routes.respond(request, caller).await }
        });
        let io = TokioIo::new(stream);
        match protocol {
            Protocol::Http1 => {
                let mut builder = http1::Builder::new();
                builder.timer(TokioTimer::new()).header_read_timeout(self.head);
                let connection = builder.serve_connection(io, service).with_upgrades();
                drive(
                    connection,
                    http1::UpgradeableConnection::graceful_shutdown,
                    &self.closing,
                    cut,
                )
                .await
            }
            Protocol::Http2 => {
                let mut builder = http2::Builder::new(Streams(self.tasks.clone()));
                builder.timer(TokioTimer::new()).max_concurrent_streams(self.streams);
                builder.keep_alive_interval(self.head);
                let connection = builder.serve_connection(io, service);
                drive(connection, http2::Connection::graceful_shutdown, &self.closing, cut).await
            }
        }
    }
}

/// Polls a connection to its end. Even when it is cut there is time for a last word, and
/// the gate sees to it that it is a refusal: a host that was frozen and wakes does not just
/// hang up on who waited for it.
async fn drive<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    shut_down: impl Fn(Pin<&mut C>),
    closing: &CancellationToken,
    cut: &CancellationToken,
) -> hyper::Result<()> {
    let mut connection = pin!(connection);
    let mut draining = false;
    loop {
        tokio::select! {
            biased;
            ended = connection.as_mut() => return ended,
            () = cut.cancelled() => {
                // If it comes to that, the client learns as much from the end.
                let _ = timeout(LAST_WORD, connection.as_mut()).await;
                return Ok(());
            }
            () = closing.cancelled(), if !draining => {
                shut_down(connection.as_mut());
                draining = true;
            }
        }
    }
}

/// Looks at the first bytes without taking them. HTTP/2 without TLS begins with a method
/// that no request of HTTP/1 has (RFC 9113, section 3.4).
async fn protocol(stream: &TcpStream) -> io::Result<Protocol> {
    let mut first = [0; 3];
    let seen = stream.peek(&mut first).await?;
    Ok(if &first[..seen] == b"PRI" { Protocol::Http2 } else { Protocol::Http1 })
}

/// The protocol that was agreed upon with TLS.
fn agreed(stream: &TlsStream<TcpStream>) -> Protocol {
    let agreed = stream.get_ref().1.alpn_protocol();
    if agreed == Some(H2) { Protocol::Http2 } else { Protocol::Http1 }
}

/// Runs the streams of HTTP/2 connections. One that is cut has time for a last word, too.
#[derive(Clone)]
struct Streams(Tasks);

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        // Boxed, or what runs it would carry it along, and more than once.
        let mut stream = Box::pin(stream);
        self.0.spawn_told(|cut| async move {
            tokio::select! {
                biased;
                _ = stream.as_mut() => {}
                () = cut.cancelled() => drop(timeout(LAST_WORD, stream).await),
            }
        });
    }
}
