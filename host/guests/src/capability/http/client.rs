//! The HTTP client of one action in one term, with its idle connections.

use std::time::Duration;

use ::http::Request;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, ResponseFuture},
    rt::TokioTimer,
};
use wasmtime_wasi_http::WasiBody;

use super::connect::GatedConnector;
use crate::capability::ActionAccess;

/// How long an idle connection is kept: shorter than servers keep theirs (gunicorn 2 s, Node and
/// Apache 5 s). A request that meets a server as it closes the connection is lost, and only the
/// plugin may decide to send it again.
const IDLE: Duration = Duration::from_secs(1);
/// How many idle connections are kept per destination.
const IDLE_EACH: usize = 32;

/// The most bytes that a connection buffers, for reading and for writing each. The head of a
/// response cannot be longer.
pub(super) const CLIENT_BUFFER: usize = 64 << 10;

/// Sends requests over http or https.
pub(crate) struct HttpClient(Client<HttpsConnector<GatedConnector>, WasiBody>);

impl HttpClient {
    /// Sends `request` over an idle connection or a new one.
    pub(super) fn request(&self, request: Request<WasiBody>) -> ResponseFuture {
        self.0.request(request)
    }
}

/// A client that connects by `connector`. Its connections are tasks of the action.
pub(crate) fn new_client(access: &ActionAccess) -> Result<HttpClient, rustls::Error> {
    let connector = GatedConnector {
        action: access.action.clone(),
        grants: access.grants.clone(),
        denied: access.requests_denied.clone(),
        console: access.log.clone(),
        blocking: access.blocking.clone(),
        gate: access.gate().clone(),
    };
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())?
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    Ok(HttpClient(
        Client::builder(access.spawner.clone())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_EACH)
            .http1_max_buf_size(CLIENT_BUFFER)
            .build(connector),
    ))
}
