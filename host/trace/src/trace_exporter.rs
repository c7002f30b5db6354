//! Exports spans to a collector.

use std::{sync::Arc, time::Duration};

use opentelemetry::{KeyValue, trace::TracerProvider};
use opentelemetry_otlp::{ExporterBuildError, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{Sampler, SdkTracerProvider},
};
use tokio::{runtime, task::spawn_blocking};
use tracing::{info, warn};

use super::{collector_client::CollectorClient, trace_span::TRACER};
use soloist_config::TracesConfig;
use soloist_tls::{ClientTls, TlsError};

/// How long the last spans may take to be sent when the host stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(3);

/// Why traces cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// The `ca` in the settings cannot be used.
    #[error("traces cannot be exported over TLS: check `ca` in [traces]")]
    Tls(#[source] TlsError),
    /// The exporter refuses its configuration.
    #[error("traces cannot be exported to {endpoint}: check `endpoint` in [traces]")]
    Setup {
        /// The configured endpoint.
        endpoint: String,
        /// What the exporter reports.
        source: ExporterBuildError,
    },
}

/// Exports the spans of this process.
pub struct TraceExporter(SdkTracerProvider);

impl TraceExporter {
    /// Starts to record spans of `host` of `cluster`, which are sent according to `config`.
    pub fn start(
        config: &TracesConfig,
        cluster: &str,
        host: &Arc<str>,
    ) -> Result<Self, TracesError> {
        let endpoint = format!("{}/v1/traces", config.endpoint);
        let trust = ClientTls::new(config.ca.clone(), None).map_err(TracesError::Tls)?;
        let headers = config.headers.iter();
        let headers = headers.map(|(name, value)| (name.clone(), value.reveal().to_owned()));
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(CollectorClient::new(&trust, runtime::Handle::current()))
            .with_endpoint(&endpoint)
            .with_headers(headers.collect())
            .build();
        let exporter =
            exporter.map_err(|source| TracesError::Setup { endpoint: endpoint.clone(), source })?;
        // A trace that began elsewhere is sampled as its origin has decided.
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.ratio)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_resource(resource(cluster, host))
            .build();
        // There is only one host per process.
        let _ = TRACER.set(provider.tracer("soloist"));
        info!(event = "traces", endpoint, "traces go to {endpoint}");
        Ok(Self(provider))
    }

    /// Sends the remaining spans, for at most 3 s.
    pub async fn stop(self) {
        // Shutting down blocks, since it waits for the exporter's thread.
        let stopped = spawn_blocking(move || self.0.shutdown_with_timeout(SHUTDOWN_TIMEOUT)).await;
        if let Ok(Err(error)) = stopped {
            warn!(%error, "the last traces were not delivered");
        }
    }
}

/// The attributes of this process on every span. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES add
/// to them, or override them (OpenTelemetry Specification, "Resource SDK").
fn resource(cluster: &str, host: &Arc<str>) -> Resource {
    let named = std::env::var_os("OTEL_SERVICE_NAME").is_some();
    let name = (!named).then(|| KeyValue::new("service.name", "soloist"));
    Resource::builder()
        .with_attributes(name)
        .with_attributes([
            KeyValue::new("service.namespace", cluster.to_owned()),
            KeyValue::new("service.instance.id", Arc::clone(host)),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ])
        .build()
}
