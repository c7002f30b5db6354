//! A collector of traces (OTLP over HTTP), which stores every span.

use std::{collections::BTreeMap, net::SocketAddr};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    routing::post,
};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value},
    trace::v1 as wire,
};
use prost::Message;
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};

use super::{PATIENCE, at, own_address};

/// The authorization that it requires.
pub(crate) const PASSWORD: &str = "Bearer of-the-collector";

/// A received span. Ids are hexadecimal, and empty if they are missing.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// The host that sent it.
    pub(crate) host: String,
    /// The cluster of this host.
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) failed: bool,
    about: BTreeMap<String, String>,
}

impl Span {
    /// The value of an attribute.
    pub(crate) fn about(&self, key: &str) -> &str {
        self.about.get(key).map_or("", String::as_str)
    }
}

/// A collector. At first nothing listens at its address.
pub(crate) struct Collector {
    address: SocketAddr,
    came: watch::Sender<Vec<Span>>,
    server: Option<JoinHandle<()>>,
}

impl Collector {
    pub(crate) fn nobody() -> Self {
        let came = watch::Sender::new(Vec::new());
        Self { address: at(own_address(), 4318), came, server: None }
    }

    pub(crate) async fn started() -> Self {
        let mut collector = Self::nobody();
        collector.start().await;
        collector
    }

    pub(crate) async fn start(&mut self) {
        let listener = TcpListener::bind(self.address).await.expect("an address of its own");
        let router = Router::new().route("/v1/traces", post(take)).with_state(self.came.clone());
        self.server = Some(tokio::spawn(async {
            axum::serve(listener, router).await.expect("it goes on");
        }));
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The first span that `wanted` accepts.
    pub(crate) async fn find(&self, what: &str, wanted: impl Fn(&Span) -> bool) -> Span {
        let mut came = self.came.subscribe();
        let found = timeout(PATIENCE, came.wait_for(|came| came.iter().any(&wanted))).await;
        let came = match found {
            Ok(came) => came.expect("it is there").clone(),
            Err(_) => panic!("{what}: no such span in {:#?}", self.came.borrow()),
        };
        came.into_iter().find(wanted).expect("a span")
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(server) = &self.server {
            server.abort();
        }
    }
}

async fn take(
    State(came): State<watch::Sender<Vec<Span>>>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    if headers.get(header::AUTHORIZATION).is_none_or(|given| given != PASSWORD) {
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(export) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    for of_host in export.resource_spans {
        let resource = about(of_host.resource.unwrap_or_default().attributes);
        assert_eq!(resource["service.name"], "soloist");
        let of = [&*resource["service.instance.id"], &*resource["service.namespace"]];
        let spans = of_host.scope_spans.into_iter().flat_map(|scope| scope.spans);
        came.send_modify(|came| came.extend(spans.map(|span| read(of, span))));
    }
    StatusCode::OK
}

fn read([host, namespace]: [&str; 2], span: wire::Span) -> Span {
    let status = span.status.unwrap_or_default();
    Span {
        host: host.to_owned(),
        namespace: namespace.to_owned(),
        name: span.name,
        trace: hex(&span.trace_id),
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        failed: status.code() == wire::status::StatusCode::Error,
        about: about(span.attributes),
    }
}

fn about(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    attributes.into_iter().map(|pair| (pair.key, text(pair.value))).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
