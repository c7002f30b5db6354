//! One thing that was done, from its beginning to its end.

use std::{borrow::Cow, sync::OnceLock};

use ::http::{HeaderMap, StatusCode};
use opentelemetry::{
    Context, KeyValue, Value,
    trace::{Span as _, SpanBuilder, SpanKind, Status, Tracer},
};
use opentelemetry_sdk::trace::{SdkTracer, Span as Recorded};

use super::TraceContext;

/// Where spans are recorded, once somebody exports them.
pub(super) static TRACER: OnceLock<SdkTracer> = OnceLock::new();

/// What a span is to its parent.
#[derive(Clone, Copy, Debug)]
pub enum SpanRole {
    /// It answers what somebody else has sent.
    Server,
    /// It asks somebody else.
    Client,
    /// Neither.
    Internal,
}

/// Something that is being done. It ends when this is dropped.
pub struct TraceSpan {
    /// Nothing, where nobody exports.
    recorded: Option<Box<Recorded>>,
    context: Option<TraceContext>,
}

impl TraceSpan {
    /// Begins one below `parent`, or a trace of its own. `about` says what it is called,
    /// and more about it; it is asked only where somebody exports.
    pub fn begin(
        role: SpanRole,
        parent: Option<TraceContext>,
        about: impl FnOnce() -> (Cow<'static, str>, Vec<KeyValue>),
    ) -> Self {
        let Some(tracer) = TRACER.get() else { return Self { recorded: None, context: parent } };
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
        Self { recorded: Some(recorded.into()), context }
    }

    /// Nothing that anybody records.
    pub const fn disabled() -> Self {
        Self { recorded: None, context: None }
    }

    /// What follows from it hangs on this.
    pub fn context(&self) -> Option<&TraceContext> {
        self.context.as_ref()
    }

    /// Says so in the headers of what follows; where nobody records, they stay as they came.
    pub fn write(&self, headers: &mut HeaderMap) {
        if let (Some(_), Some(context)) = (&self.recorded, &self.context) {
            context.write(headers);
        }
    }

    /// Says more about it.
    pub fn set_attribute(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(span) = &mut self.recorded {
            span.set_attribute(KeyValue::new(key, value));
        }
    }

    /// How a request was answered (OpenTelemetry Semantic Conventions, "HTTP Spans"): what
    /// is the server's fault has failed.
    pub fn answered(&mut self, status: StatusCode) {
        self.set_attribute("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            self.fail("");
        }
    }

    /// It came to nothing, and why.
    pub fn fail(&mut self, why: impl Into<Cow<'static, str>>) {
        if let Some(span) = &mut self.recorded {
            span.set_status(Status::error(why));
        }
    }
}
