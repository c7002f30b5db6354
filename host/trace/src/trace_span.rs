//! A span: one operation, from its beginning to its end.

use std::{borrow::Cow, sync::OnceLock};

use ::http::{HeaderMap, StatusCode};
use opentelemetry::{
    Context, KeyValue, Value,
    trace::{Span as _, SpanBuilder, SpanKind, Status, Tracer},
};
use opentelemetry_sdk::trace::{SdkTracer, Span as Recorded};

use super::TraceContext;

/// Records spans, once there is an exporter.
pub(super) static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// The role of a span in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanRole {
    /// Serves a request of a client.
    Server,
    /// Sends a request to a server.
    Client,
    /// Neither of the two.
    Internal,
}

/// An operation that is under way. The span ends when this is dropped.
pub struct TraceSpan {
    /// `None` without an exporter.
    recorded: Option<Box<Recorded>>,
    role: SpanRole,
    context: Option<TraceContext>,
}

impl TraceSpan {
    /// Begins a span below `parent`, or a new trace. `about` returns its name and attributes; it is
    /// called only if there is an exporter.
    pub fn begin(
        role: SpanRole,
        parent: Option<TraceContext>,
        about: impl FnOnce() -> (Cow<'static, str>, Vec<KeyValue>),
    ) -> Self {
        let Some(tracer) = TRACER.get() else {
            return Self { recorded: None, role, context: parent };
        };
        let (name, attributes) = about();
        let kind = match role {
            SpanRole::Server => SpanKind::Server,
            SpanRole::Client => SpanKind::Client,
            SpanRole::Internal => SpanKind::Internal,
        };
        let span = SpanBuilder::from_name(name).with_kind(kind).with_attributes(attributes);
        let parent = parent.map_or_else(Context::new, |parent| parent.to_parent());
        let recorded = tracer.build_with_context(span, &parent);
        let context = TraceContext::of(recorded.span_context());
        Self { recorded: Some(recorded.into()), role, context }
    }

    /// A span that is not recorded.
    pub const fn disabled() -> Self {
        Self { recorded: None, role: SpanRole::Internal, context: None }
    }

    /// The context for what this operation causes.
    pub fn context(&self) -> Option<&TraceContext> {
        self.context.as_ref()
    }

    /// Writes the context to the headers of a request that this operation causes. Without an
    /// exporter the headers are left as they are.
    pub fn inject(&self, headers: &mut HeaderMap) {
        if let (Some(_), Some(context)) = (&self.recorded, &self.context) {
            context.inject(headers);
        }
    }

    /// Adds an attribute.
    pub fn set_attribute(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.recorded {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// Records the status of the response (OpenTelemetry Semantic Conventions, "HTTP Spans"): for a
    /// server, its own errors are failures; for a client, all errors are.
    pub fn set_response_status(&mut self, status: StatusCode) {
        self.set_attribute("http.response.status_code", i64::from(status.as_u16()));
        let is_failed = match self.role {
            SpanRole::Client => status.is_client_error() || status.is_server_error(),
            SpanRole::Server | SpanRole::Internal => status.is_server_error(),
        };
        if is_failed {
            self.fail(status.as_str().to_owned(), "");
        }
    }

    /// Marks the operation as failed. `error` is one of a small number of words (`error.type`), and
    /// `why` a text for people.
    pub fn fail(&mut self, error: impl Into<Value>, why: impl Into<Cow<'static, str>>) {
        self.set_attribute("error.type", error);
        if let Some(span) = &mut self.recorded {
            span.set_status(Status::error(why));
        }
    }
}
