//! Traces: what belongs together of what hosts and plugins do, across hosts (W3C Trace
//! Context), and its export (OpenTelemetry).
//!
//! ```text
//!  client ── traceparent ──► host ──► guest ── traceparent ──► server
//!                             │ span "GET hello"  │ span "GET"
//!                             └────── OTLP ───────┴──► collector
//! ```
//!
//! Invariants:
//! - Where nothing is exported, a context goes through as it came, and what comes without
//!   one stays without.
//! - A guest that sets `traceparent` itself is left alone.
//! - A collector that is slow or gone holds nothing up: spans wait in a queue of bounded
//!   length, and are dropped when that is full.

mod collector_client;
mod trace_context;
mod trace_exporter;
mod trace_span;

pub use opentelemetry::KeyValue;

pub use self::{trace_context::TraceContext, trace_exporter::TracesError};
pub use self::{
    trace_exporter::TraceExporter,
    trace_span::{SpanRole, TraceSpan},
};
