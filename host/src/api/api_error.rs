//! The error responses of the control API: a status code, what is wrong, and what to do next.
//!
//! Every error of the layers below is turned into one [`ApiError`] (`error_sources.rs`).

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::http::ProblemDetails;

const BASIC: HeaderValue = HeaderValue::from_static("Basic realm=\"soloist\", charset=\"UTF-8\"");

/// The error response to a request that was not carried out.
#[derive(Clone, Debug)]
pub(super) struct ApiError {
    code: StatusCode,
    /// What is wrong.
    detail: String,
    /// What to do next.
    help: String,
    /// After how many seconds the client may try again (RFC 9110, section 10.2.3).
    retry_after: Option<HeaderValue>,
    /// Asks for credentials, with these further parameters of the challenge (RFC 9110, section
    /// 11.6.1).
    challenge: Option<&'static str>,
}

impl ApiError {
    pub(super) fn new(code: StatusCode, error: impl Into<String>, help: impl Into<String>) -> Self {
        let (detail, help) = (error.into(), help.into());
        Self { code, detail, help, retry_after: None, challenge: None }
    }

    /// The request is malformed.
    pub(super) fn bad_request(error: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, "GET / lists all routes")
    }

    /// What was to be kept in the state of an action is larger than the store allows.
    pub(super) fn too_large(error: impl Into<String>) -> Self {
        let help =
            "state is for small things that must outlive a leader: store large data elsewhere";
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, error, help)
    }

    /// Adds after how many seconds the client may try again.
    pub(super) fn retry_after(mut self, seconds: HeaderValue) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Asks for other credentials; `more` are further parameters of the challenge.
    pub(super) fn with_challenge(mut self, more: &'static str) -> Self {
        self.challenge = Some(more);
        self
    }

    /// Appends `more` to the description of what is wrong.
    pub(super) fn append(mut self, more: &str) -> Self {
        self.detail += more;
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response =
            ProblemDetails::new(self.code, self.detail, self.help).response(Body::from);
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, seconds);
        }
        if let Some(more) = self.challenge {
            let headers = response.headers_mut();
            let bearer = HeaderValue::from_str(&format!("Bearer realm=\"soloist\"{more}"));
            headers.extend(bearer.into_iter().map(|it| (header::WWW_AUTHENTICATE, it)));
            // Browsers only support basic authentication.
            headers.append(header::WWW_AUTHENTICATE, BASIC);
        }
        response
    }
}
