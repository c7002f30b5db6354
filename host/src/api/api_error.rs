//! How the control API says no: a status code, what is wrong, what to do next.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

/// The body of every refusal, as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What is wrong.
    pub error: String,
    /// What to do next.
    pub help: String,
}

const BASIC: HeaderValue = HeaderValue::from_static("Basic realm=\"soloist\", charset=\"UTF-8\"");

/// A request that was not carried out.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    code: StatusCode,
    reason: ErrorBody,
    /// When it may be asked again, in seconds (RFC 9110, section 10.2.3).
    retry_after: Option<HeaderValue>,
    /// What else is to be shown, as parameters of a challenge (RFC 9110, section 11.6.1).
    challenge: Option<&'static str>,
}

impl ApiError {
    pub(super) fn new(code: StatusCode, error: impl Into<String>, help: impl Into<String>) -> Self {
        let reason = ErrorBody { error: error.into(), help: help.into() };
        Self { code, reason, retry_after: None, challenge: None }
    }

    /// The request is not one that this server understands.
    pub(super) fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, "GET / lists what there is")
    }

    /// The same, to be asked again after so many seconds.
    pub(super) fn retry_after(mut self, seconds: HeaderValue) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The same; another credential may be shown. `more` are parameters of that.
    pub(super) fn with_challenge(mut self, more: &'static str) -> Self {
        self.challenge = Some(more);
        self
    }

    /// The same, with more to say of what happened.
    pub(super) fn append(mut self, more: &str) -> Self {
        self.reason.error += more;
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.code, Json(self.reason)).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if let Some(more) = self.challenge {
            let headers = response.headers_mut();
            let bearer = HeaderValue::from_str(&format!("Bearer realm=\"soloist\"{more}"));
            headers.extend(bearer.into_iter().map(|it| (header::WWW_AUTHENTICATE, it)));
            // Browsers ask for a password by this one, and know no other.
            headers.append(header::WWW_AUTHENTICATE, BASIC);
        }
        response
    }
}
