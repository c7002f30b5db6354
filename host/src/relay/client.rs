//! The HTTP client by which the relay forwards requests to other hosts, over kept connections.

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

/// Sends requests to the control addresses of other hosts: by HTTP/1, or by HTTP/2 where trailers
/// may follow.
pub(super) struct RelayClient {
    client: Client<MaybeTlsConnector, RequestBody>,
    http2_pool: Http2Pool,
    peers: PeerClient,
    received: AtomicBool,
}

/// Another host's response, and the HTTP/2 connection that it arrives on, if it is one.
pub(super) type ForwardedResponse = (Response<Incoming>, Option<Http2Connection>);

impl RelayClient {
    /// A client without connections yet; `scope` owns those that it will make.
    pub(super) fn new(peers: PeerClient, scope: &TaskScope) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_keepalive(Some(Duration::from_secs(15)));
        let client = Client::builder(scope.clone())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_EACH)
            .http1_max_headers(HEADERS)
            .http1_max_buf_size(BUFFER)
            .build(peers.connector(connector.clone(), HttpProtocol::Http1));
        let http2_pool = Http2Pool::new(peers.connector(connector, HttpProtocol::Http2), scope);
        Self { client, http2_pool, peers, received: AtomicBool::new(false) }
    }

    /// Sends `request` on an idle connection or a new one. If an idle one turns out to be closed
    /// before anything was sent on it, another one is tried.
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

    /// Records that another host has forwarded a request to this one.
    pub(super) fn note_received(&self) {
        self.received.store(true, Ordering::Relaxed);
    }

    /// Whether another host has ever forwarded a request to this one.
    pub(super) fn were_received(&self) -> bool {
        self.received.load(Ordering::Relaxed)
    }
}

/// Whether trailers may follow that HTTP/1 would not send: in the response, if the client accepts
/// trailers, or after a request body of unknown length. An upgrade always goes by HTTP/1.
fn may_have_trailers(request: &Request<RequestBody>) -> bool {
    let headers = request.headers();
    let open = !request.body().is_end_stream() && !headers.contains_key(header::CONTENT_LENGTH);
    !headers.contains_key(header::UPGRADE) && (open || accepts_trailers(headers))
}
