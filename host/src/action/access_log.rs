//! The access log: one line for each request, and how requests are named in the log.

use std::{fmt, sync::Arc};

use ::http::{Method, Request, StatusCode, Uri};

use soloist_heart::clock::BootTime;
use soloist_text::sanitize;
use soloist_trace::TraceContext;

/// The longest path that is logged, in bytes.
const PATH_MAX: usize = 1024;

/// A request, by its method and path. The query is left out, because people put secrets there.
#[derive(Clone, Debug)]
pub(super) struct RequestLine {
    pub(super) method: Method,
    uri: Uri,
}

impl RequestLine {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        Self { method: request.method().clone(), uri: request.uri().clone() }
    }

    fn path(&self) -> String {
        let path = self.uri.path();
        sanitize(&path[..path.floor_char_boundary(PATH_MAX)])
    }
}

impl fmt::Display for RequestLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path())
    }
}

/// A line of the access log. It is written on drop, when the response has been sent or the client
/// is gone.
pub(super) struct AccessLogEntry {
    pub(super) action: Arc<str>,
    pub(super) fencing_token: i64,
    pub(super) request: RequestLine,
    pub(super) trace: Option<TraceContext>,
    pub(super) started: BootTime,
    /// `None` if the client was gone before there was a response.
    pub(super) status: Option<StatusCode>,
    /// How many bytes of the body were handed to the client.
    pub(super) bytes: u64,
}

impl Drop for AccessLogEntry {
    fn drop(&mut self) {
        let trace = self.trace.as_ref().map(TraceContext::trace_id);
        tracing::info!(
            event = "request",
            action = %self.action, fencing_token = self.fencing_token,
            method = %self.request.method, path = self.request.path(),
            status = self.status.map(|status| status.as_u16()), bytes = self.bytes,
            ms = u64::try_from(BootTime::now().since(self.started).as_millis()).unwrap_or(u64::MAX),
            trace, "a request was answered",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_named_by_its_path_alone_and_not_at_any_length() {
        let asked = |uri: &str| RequestLine::of(&Request::post(uri).body(()).unwrap()).to_string();
        assert_eq!(asked("/a/b?fencing_token=secret"), "POST /a/b");
        let long = asked(&format!("/{}", "\u{e4}".repeat(PATH_MAX)));
        assert!(long.len() <= "POST ".len() + PATH_MAX, "{}", long.len());
    }
}
