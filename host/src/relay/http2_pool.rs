//! A pool of HTTP/2 connections to other hosts, each of which carries one request at a time.
//!
//! They carry the requests for which HTTP/1 is not enough: with trailers, which HTTP/1 sends only
//! where they were announced, and with bodies that stream in both directions. Each connection
//! carries one request at a time, since flow control limits all streams of a connection together:
//! a client that does not read its response would hold up all others.

use std::{collections::HashMap, sync::Arc};

use ::http::{Request, Response, Uri, Version};
use hyper::{
    body::Incoming,
    client::conn::http2::{self, SendRequest},
};
use hyper_util::rt::TokioTimer;
use parking_lot::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep};
use tower_service::Service;

use super::{
    forward_error::ForwardError,
    limits::{HEADER_LIST, IDLE, IDLE_EACH, PING, WINDOW},
};
use crate::{http::RequestBody, task_scope::TaskScope};
use soloist_text::with_causes;
use soloist_tls::MaybeTlsConnector;

/// The idle connections by target, and what makes new ones. Clones share the pool.
#[derive(Clone)]
pub(super) struct Http2Pool(Arc<Http2PoolInner>);

struct Http2PoolInner {
    connector: MaybeTlsConnector,
    scope: TaskScope,
    idle: Mutex<HashMap<String, Vec<IdleConnection>>>,
}

struct IdleConnection {
    sender: SendRequest<RequestBody>,
    since: Instant,
}

/// A connection in use. Dropping it closes it; [`Http2Connection::release`] returns it to the pool.
pub(super) struct Http2Connection {
    pool: Http2Pool,
    target: String,
    sender: SendRequest<RequestBody>,
}

impl Http2Connection {
    /// Returns the connection to the pool, after its request was answered in full.
    pub(super) fn release(self) {
        let Self { pool: lines, target: to, sender } = self;
        if sender.is_closed() {
            return;
        }
        let mut idle = lines.idle();
        let none = idle.is_empty();
        let here = idle.entry(to).or_default();
        if here.len() < IDLE_EACH {
            here.push(IdleConnection { sender, since: Instant::now() });
        }
        drop(idle);
        if none {
            let own = lines.clone();
            lines.0.scope.spawn(async move { own.prune().await });
        }
    }
}

impl Http2Pool {
    /// An empty pool. `scope` owns the connections that it will make.
    pub(super) fn new(connector: MaybeTlsConnector, scope: &TaskScope) -> Self {
        Self(Arc::new(Http2PoolInner { connector, scope: scope.clone(), idle: Mutex::default() }))
    }

    /// Sends `request` on an idle connection or a new one. If an idle one turns out to be closed
    /// before anything was sent on it, another one is tried.
    pub(super) async fn send(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Http2Connection), ForwardError> {
        *request.version_mut() = Version::HTTP_2;
        let uri = request.uri().clone();
        let to = format!("{:?} {:?}", uri.scheme(), uri.authority());
        loop {
            let (mut sender, fresh) = match self.take(&to) {
                Some(sender) => (sender, false),
                None => (self.connect(uri.clone()).await.map_err(ForwardError::Unreachable)?, true),
            };
            match sender.try_send_request(request).await {
                Ok(response) => {
                    return Ok((
                        response,
                        Http2Connection { pool: self.clone(), target: to, sender },
                    ));
                }
                Err(mut error) => {
                    let unsent = error.take_message();
                    let text = with_causes(&error.into_error());
                    match unsent {
                        Some(unsent) if !fresh => request = unsent,
                        Some(_) => return Err(ForwardError::Unreachable(text)),
                        None => return Err(ForwardError::Broken(text)),
                    }
                }
            }
        }
    }

    /// The idle connection to `to` that was used last, if there is one that still works.
    fn take(&self, to: &str) -> Option<SendRequest<RequestBody>> {
        let mut idle = self.idle();
        let here = idle.get_mut(to)?;
        let found = std::iter::from_fn(|| here.pop()).find(IdleConnection::is_usable);
        if here.is_empty() {
            idle.remove(to);
        }
        Some(found?.sender)
    }

    async fn connect(&self, uri: Uri) -> Result<SendRequest<RequestBody>, String> {
        let stream = self.0.connector.clone().call(uri).await;
        let stream = stream.map_err(|error| with_causes(&*error))?;
        let mut builder = http2::Builder::new(self.0.scope.clone());
        builder
            .timer(TokioTimer::new())
            .initial_connection_window_size(WINDOW)
            .initial_stream_window_size(WINDOW)
            .max_header_list_size(HEADER_LIST)
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING);
        let (sender, connection) =
            builder.handshake(stream).await.map_err(|error| with_causes(&error))?;
        self.0.scope.spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "a connection to another host broke off");
            }
        });
        Ok(sender)
    }

    /// Closes connections that were idle for [`IDLE`], until the pool is empty.
    async fn prune(self) {
        loop {
            sleep(IDLE).await;
            let mut idle = self.idle();
            idle.retain(|_, here| {
                here.retain(IdleConnection::is_usable);
                !here.is_empty()
            });
            if idle.is_empty() {
                return;
            }
        }
    }

    /// Not to be held across an await.
    fn idle(&self) -> MutexGuard<'_, HashMap<String, Vec<IdleConnection>>> {
        self.0.idle.lock()
    }
}

impl IdleConnection {
    fn is_usable(&self) -> bool {
        !self.sender.is_closed() && self.since.elapsed() < IDLE
    }
}
