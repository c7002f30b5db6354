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

mod context;
mod courier;
mod export;
mod span;

pub use opentelemetry::KeyValue;

pub use self::{context::TraceContext, export::TracesError};
pub use self::{
    export::Exporter,
    span::{Role, Span},
};
