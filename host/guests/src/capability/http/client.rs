//! The client of one action in one term, with the connections that it keeps open.

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

/// How long a connection that nobody uses is kept: less than servers keep theirs (gunicorn 2 s,
/// Node and Apache 5 s). A request that meets a server as it hangs up is lost, and may not be sent
/// again by anybody but the plugin.
const IDLE: Duration = Duration::from_secs(1);
/// How many such connections are kept to one place.
const IDLE_EACH: usize = 32;

/// What a connection reads at most before somebody takes it, and has to write, in bytes; the
/// head of an answer is not longer either.
pub(super) const CLIENT_BUFFER: usize = 64 << 10;

/// Sends requests, by http or https.
pub(crate) struct HttpClient(Client<HttpsConnector<GatedConnector>, WasiBody>);

impl HttpClient {
    /// Sends `request`, by a connection that is open or a new one.
    pub(super) fn request(&self, request: Request<WasiBody>) -> ResponseFuture {
        self.0.request(request)
    }
}

/// A client that reaches what `access` says. Its connections are tasks of the action's.
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
