//! The HTTP client of one action in one term, with its idle connections.

use std::time::Duration;

use ::http::Request;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, ResponseFuture},
    rt::TokioTimer,
};
use wasmtime_wasi_http::WasiBody;

use super::GatedConnector;
use crate::capability::Spawner;

/// How long an idle connection is kept: shorter than servers keep theirs (gunicorn 2 s, Node and
/// Apache 5 s). A request that meets a server as it closes the connection is lost, and only the
/// plugin may decide to send it again.
const IDLE: Duration = Duration::from_secs(1);
/// How many idle connections are kept per destination.
const IDLE_EACH: usize = 32;

/// The most bytes that a connection buffers, for reading and for writing each. The head of a
/// response cannot be longer.
pub(crate) const CLIENT_BUFFER: usize = 64 << 10;

/// Sends requests over http or https.
pub(crate) struct HttpClient(Client<HttpsConnector<GatedConnector>, WasiBody>);

impl HttpClient {
    /// A client that connects by `connector`. Its connections are tasks of `spawner`.
    pub(crate) fn new(connector: GatedConnector, spawner: Spawner) -> Result<Self, rustls::Error> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_webpki_roots(rustls::crypto::ring::default_provider())?
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        let client = Client::builder(spawner)
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_EACH)
            .http1_max_buf_size(CLIENT_BUFFER)
            .build(connector);
        Ok(Self(client))
    }

    /// Sends `request` over an idle connection or a new one.
    pub(crate) fn request(&self, request: Request<WasiBody>) -> ResponseFuture {
        self.0.request(request)
    }
}
