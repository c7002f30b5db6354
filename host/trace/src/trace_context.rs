//! Where something belongs in a trace (W3C Trace Context).

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

/// The span that what follows hangs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext(SpanContext);

impl TraceContext {
    /// What the headers of a message say, if they say it well.
    pub fn extract(headers: &HeaderMap) -> Option<Self> {
        if !Self::is_present(headers) {
            return None;
        }
        // From nothing: whatever this thread is doing is no part of it.
        let none = Context::new();
        let read =
            TraceContextPropagator::new().extract_with_context(&none, &HeaderExtractor(headers));
        Self::of(read.span().span_context())
    }

    /// Says it in the headers of a message, instead of what stood there.
    pub fn write(&self, headers: &mut HeaderMap) {
        headers.remove(STATE);
        let injector = &mut HeaderInjector(headers);
        TraceContextPropagator::new().inject_context(&self.to_parent(), injector);
        // A state of nothing is none (W3C Trace Context, section 3.3).
        if headers.get(STATE).is_some_and(HeaderValue::is_empty) {
            headers.remove(STATE);
        }
    }

    /// The trace, as `traceparent` writes it.
    pub fn trace_id(&self) -> String {
        self.0.trace_id().to_string()
    }

    /// Whether a message has one.
    pub fn is_present(headers: &HeaderMap) -> bool {
        headers.contains_key(PARENT)
    }

    /// That of a span.
    pub(super) fn of(span: &SpanContext) -> Option<Self> {
        span.is_valid().then(|| Self(span.clone()))
    }

    /// As the parent of a span.
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
            context.write(&mut written);
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
