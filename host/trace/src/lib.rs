//! Traces: connects what hosts and plugins do for one request, across hosts (W3C Trace Context),
//! and exports it (OpenTelemetry).
//!
//! ```text
//!  client ── traceparent ──► host ──► guest ── traceparent ──► server
//!                             │ span "GET /web"   │ span "GET"
//!                             └────── OTLP ───────┴──► collector
//! ```
//!
//! Invariants:
//! - Without an exporter, contexts are passed on unchanged, and none are created.
//! - A `traceparent` that a guest sets itself is not touched.
//! - A collector that is slow or gone delays nothing: spans wait in a queue of bounded length, and
//!   are dropped when it is full.

mod collector_client;
mod http_attributes;
mod trace_context;
mod trace_exporter;
mod trace_span;

pub use opentelemetry::KeyValue;

pub use self::http_attributes::{SpanDescription, sent_request, served_request};
pub use self::{trace_context::TraceContext, trace_exporter::TracesError};
pub use self::{
    trace_exporter::TraceExporter,
    trace_span::{SpanRole, TraceSpan},
};
