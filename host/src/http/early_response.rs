//! Responses that the host gives before any action sees the request.

use ::http::{HeaderValue, Response, StatusCode, header};

use super::{
    limits::{REQUEST_HEAD_SIZE, REQUEST_HEADERS, TARGET_MAX},
    problem::ProblemDetails,
};

/// Why the host answers a request itself, before any action sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EarlyResponse {
    /// The client asks whether there is a server (RFC 9110, section 9.3.7).
    #[error("`OPTIONS *` is answered by the server itself, without a body")]
    Asterisk,
    #[error("the request names no valid host, or more than one")]
    InvalidHost,
    #[error("the request target is invalid")]
    InvalidTarget,
    #[error("the target of the request is longer than {TARGET_MAX} bytes")]
    TargetTooLong,
    #[error("the request has more than {REQUEST_HEADERS} headers")]
    TooManyHeaders,
    #[error("the head of the request is larger than {REQUEST_HEAD_SIZE} bytes")]
    HeadersTooLarge,
    #[error("`transfer-encoding` names a coding twice")]
    DuplicateCoding,
    #[error("`transfer-encoding` names a coding that this server does not support")]
    UnknownCoding,
    #[error("`expect` asks for something that this server does not support")]
    Expectation,
    #[error("`CONNECT` is not supported: this server is not a proxy")]
    Connect,
}

impl EarlyResponse {
    fn status(self) -> StatusCode {
        match self {
            Self::Asterisk => StatusCode::NO_CONTENT,
            Self::InvalidHost | Self::InvalidTarget | Self::DuplicateCoding => {
                StatusCode::BAD_REQUEST
            }
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::TooManyHeaders | Self::HeadersTooLarge => {
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
            }
            Self::UnknownCoding | Self::Connect => StatusCode::NOT_IMPLEMENTED,
            Self::Expectation => StatusCode::EXPECTATION_FAILED,
        }
    }

    /// What the client can do.
    const fn help(self) -> &'static str {
        match self {
            Self::Asterisk => "",
            Self::InvalidHost => "send one `host` header",
            Self::InvalidTarget => "request a path, such as `/`",
            Self::TargetTooLong => "use a shorter path or query, or send the data in the body",
            Self::TooManyHeaders => "send fewer headers",
            Self::HeadersTooLarge => "send fewer or shorter headers",
            Self::DuplicateCoding => "send `transfer-encoding: chunked` once",
            Self::UnknownCoding => "send `transfer-encoding: chunked` and no other coding",
            Self::Expectation => "leave the `expect` header out, or send `expect: 100-continue`",
            Self::Connect => "send the request itself, without `CONNECT`",
        }
    }

    /// The response; `text` makes its body.
    pub(crate) fn response<B>(self, text: impl FnOnce(String) -> B) -> Response<B> {
        if self == Self::Asterisk {
            let mut response = Response::new(text(String::new()));
            *response.status_mut() = self.status();
            return response;
        }
        let mut response =
            ProblemDetails::new(self.status(), self.to_string(), self.help()).response(text);
        // Where an invalid request ends is not reliable.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}
