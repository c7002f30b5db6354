//! Sends exported spans to the collector.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use tokio::{runtime, time::timeout};
use tracing::{info, warn};

use soloist_text::with_causes;
use soloist_tls::{ClientTls, HttpProtocol, MaybeTlsConnector};

/// The longest that a collector may take for one batch.
const BATCH_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest response of a collector that is read, in bytes.
const RESPONSE_MAX: usize = 64 << 10;

/// An HTTP client for the exporter, which runs in a thread without a runtime: the requests run in
/// the host's runtime.
pub(super) struct CollectorClient {
    client: Client<MaybeTlsConnector, Full<Bytes>>,
    runtime: runtime::Handle,
    /// Whether the last batch failed, so that this is logged once.
    failing: AtomicBool,
}

impl CollectorClient {
    /// A client that runs in `runtime`, with TLS according to `tls`.
    pub(super) fn new(trust: &ClientTls, runtime: runtime::Handle) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(BATCH_TIMEOUT));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .build(trust.connector(connector, HttpProtocol::Http1));
        Self { client, runtime, failing: AtomicBool::new(false) }
    }

    async fn deliver(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        let sent = async move {
            let response = client.request(request.map(Full::new)).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, RESPONSE_MAX).collect().await?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        // The timeout needs a timer, so it is created in the runtime.
        self.runtime.spawn(async { timeout(BATCH_TIMEOUT, sent).await }).await??
    }

    /// Logs when the collector begins to fail, and when it accepts spans again.
    fn log_outcome(&self, delivered: &Result<Response<Bytes>, HttpError>) {
        let error = match delivered {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(format!("it answers with {}", response.status())),
            Err(error) => Some(with_causes(&**error)),
        };
        let failed = self.failing.swap(error.is_some(), Ordering::Relaxed);
        match error {
            Some(error) if !failed => {
                warn!(
                    event = "traces-lost",
                    error,
                    "the collector refuses traces: check [traces], and the collector; refused \
                     traces are dropped"
                );
            }
            None if failed => info!(event = "traces-back", "the collector accepts traces again"),
            _ => {}
        }
    }
}

impl fmt::Debug for CollectorClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Courier")
    }
}

#[async_trait]
impl HttpClient for CollectorClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let delivered = self.deliver(request).await;
        self.log_outcome(&delivered);
        delivered
    }
}
