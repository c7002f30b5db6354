//! Trace contexts: where something belongs in a trace (W3C Trace Context).

use ::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::{
    Context,
    propagation::TextMapPropagator,
    trace::{SpanContext, TraceContextExt},
};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::TraceContextPropagator;

const PARENT: HeaderName = HeaderName::from_static("traceparent");
const STATE: HeaderName = HeaderName::from_static("tracestate");

/// The parent span of what follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext(SpanContext);

impl TraceContext {
    /// The context in the headers of a message, if it is valid.
    pub fn extract(headers: &HeaderMap) -> Option<Self> {
        if !Self::is_present(headers) {
            return None;
        }
        // From an empty context: the current span of this thread has nothing to do with it.
        let none = Context::new();
        let read =
            TraceContextPropagator::new().extract_with_context(&none, &HeaderExtractor(headers));
        Self::of(read.span().span_context())
    }

    /// Writes the context to headers, replacing existing ones.
    pub fn inject(&self, headers: &mut HeaderMap) {
        headers.remove(STATE);
        let injector = &mut HeaderInjector(headers);
        TraceContextPropagator::new().inject_context(&self.to_parent(), injector);
        // An empty state is left out (W3C Trace Context, section 3.3).
        if headers.get(STATE).is_some_and(HeaderValue::is_empty) {
            headers.remove(STATE);
        }
    }

    /// The trace id, as in `traceparent`.
    pub fn trace_id(&self) -> String {
        self.0.trace_id().to_string()
    }

    /// Whether the headers contain a trace context.
    pub fn is_present(headers: &HeaderMap) -> bool {
        headers.contains_key(PARENT)
    }

    /// The context of a span.
    pub(super) fn of(span: &SpanContext) -> Option<Self> {
        span.is_valid().then(|| Self(span.clone()))
    }

    /// The context as the parent of a new span.
    pub(super) fn to_parent(&self) -> Context {
        Context::new().with_remote_span_context(self.0.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(parent: &'static str, state: Option<&'static str>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(PARENT, HeaderValue::from_static(parent));
        headers.extend(state.map(|state| (STATE, HeaderValue::from_static(state))));
        headers
    }

    #[test]
    fn what_is_read_is_written() {
        for state in [None, Some("a=1,b=2")] {
            let given = headers(GIVEN, state);
            let context = TraceContext::extract(&given).unwrap();
            let mut written = headers("replaced", Some("gone=1"));
            context.inject(&mut written);
            assert_eq!(written, given);
        }
    }

    #[test]
    fn what_is_no_context_is_none() {
        assert_eq!(TraceContext::extract(&HeaderMap::new()), None);
        for broken in ["", "00-0-0-01", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01"] {
            assert_eq!(TraceContext::extract(&headers(broken, None)), None, "{broken}");
        }
    }
}
