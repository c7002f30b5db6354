//! From one host to another: connections that are kept open.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use ::http::{Request, Response, header};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{self, Client, connect::HttpConnector},
    rt::TokioTimer,
};

use super::{
    forward_error::ForwardError,
    http2_pool::{Http2Connection, Http2Pool},
    limits::{BUFFER, CONNECT, HEADERS, IDLE, IDLE_EACH},
};
use crate::{
    cluster::PeerClient,
    http::{RequestBody, accepts_trailers},
    task_scope::TaskScope,
};
use soloist_tls::{HttpProtocol, MaybeTlsConnector};

/// The client of other hosts' control addresses.
pub(super) struct RelayClient {
    client: Client<MaybeTlsConnector, RequestBody>,
    http2_pool: Http2Pool,
    peers: PeerClient,
    received: AtomicBool,
}

/// What another host answers, and the connection that it comes by if that carries nothing else.
pub(super) type ForwardedResponse = (Response<Incoming>, Option<Http2Connection>);

impl RelayClient {
    /// No connections yet; what they will be belongs to `tasks`.
    pub(super) fn new(peers: PeerClient, tasks: &TaskScope) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_keepalive(Some(Duration::from_secs(15)));
        let client = Client::builder(tasks.clone())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_EACH)
            .http1_max_headers(HEADERS)
            .http1_max_buf_size(BUFFER)
            .build(peers.connector(connector.clone(), HttpProtocol::Http1));
        let http2_pool = Http2Pool::new(peers.connector(connector, HttpProtocol::Http2), tasks);
        Self { client, http2_pool, peers, received: AtomicBool::new(false) }
    }

    /// Sends `request` by a connection that is open or a new one. One that was closed
    /// before anything was sent on it is no failure: then another is taken.
    pub(super) async fn send(
        &self,
        mut request: Request<RequestBody>,
    ) -> Result<ForwardedResponse, ForwardError> {
        self.peers.add_credential(request.headers_mut());
        if may_have_trailers(&request) {
            let (response, line) = self.http2_pool.send(request).await?;
            return Ok((response, Some(line)));
        }
        let sent = self.client.request(request).await;
        sent.map(|response| (response, None)).map_err(|error: legacy::Error| {
            let text = soloist_text::with_causes(&error);
            if error.is_connect() {
                ForwardError::Unreachable(text)
            } else {
                ForwardError::Broken(text)
            }
        })
    }

    /// Another host has sent one here.
    pub(super) fn note_received(&self) {
        self.received.store(true, Ordering::Relaxed);
    }

    /// Whether another host has ever sent one here.
    pub(super) fn were_received(&self) -> bool {
        self.received.load(Ordering::Relaxed)
    }
}

/// Whether trailers may follow that HTTP/1 would not send: those of an answer to whoever takes
/// them, and those of a body of which it is not said how long it is. What becomes something else
/// than HTTP can do so by HTTP/1 alone.
fn may_have_trailers(request: &Request<RequestBody>) -> bool {
    let headers = request.headers();
    let open = !request.body().is_end_stream() && !headers.contains_key(header::CONTENT_LENGTH);
    !headers.contains_key(header::UPGRADE) && (open || accepts_trailers(headers))
}
