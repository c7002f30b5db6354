//! Error responses of the host itself: RFC 9457, "Problem Details for HTTP APIs".

use ::http::{HeaderValue, Response, StatusCode, header};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The media type of an error response.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";

/// The body of an error response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProblemDetails {
    /// The phrase of the status code, as in `Not Found`.
    pub title: String,
    /// The status code.
    pub status: u16,
    /// What is wrong.
    pub detail: String,
    /// What to do next.
    pub help: String,
}

impl ProblemDetails {
    /// The problem for which a request is answered with `status`.
    pub(crate) fn new(
        status: StatusCode,
        detail: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        let title = status.canonical_reason().unwrap_or_default().to_owned();
        Self { title, status: status.as_u16(), detail: detail.into(), help: help.into() }
    }

    /// The response; `text` makes its body.
    pub(crate) fn response<B>(&self, text: impl FnOnce(String) -> B) -> Response<B> {
        let json = serde_json::to_string(self).unwrap_or_default();
        let mut response = Response::new(text(json + "\n"));
        let status = StatusCode::from_u16(self.status);
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let form = HeaderValue::from_static(PROBLEM_JSON);
        response.headers_mut().insert(header::CONTENT_TYPE, form);
        response
    }

    /// The response at the address of an action, where a client that meets no leader may try again
    /// after a second.
    pub(crate) fn action_response<B>(&self, text: impl FnOnce(String) -> B) -> Response<B> {
        let mut response = self.response(text);
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_response_is_problem_details() {
        let problem =
            ProblemDetails::new(StatusCode::NOT_FOUND, "there is no \"x\"", "look elsewhere");
        let response = problem.response(|text| text);
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = r#"{"title":"Not Found","status":404,"detail":"there is no \"x\"","help":"look elsewhere"}"#;
        assert_eq!(response.body(), &format!("{body}\n"));
        assert_eq!(serde_json::from_str::<ProblemDetails>(response.body()).unwrap(), problem);
        let busy = ProblemDetails::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "ask again");
        assert_eq!(busy.action_response(|text| text).headers()["retry-after"], "1");
        assert!(!problem.action_response(|text| text).headers().contains_key("retry-after"));
    }
}
