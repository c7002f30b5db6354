//! Responses that the host gives before any action sees the request.

use ::http::{HeaderValue, Response, StatusCode, header};

use super::{
    limits::{REQUEST_HEAD_SIZE, REQUEST_HEADERS, TARGET_MAX},
    plain_response::plain_response,
};

/// Why the host answers a request itself, before any action sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EarlyResponse {
    /// The client asks whether there is a server (RFC 9110, section 9.3.7).
    #[error("there is one")]
    Asterisk,
    #[error("the request names no valid host, or more than one; send one `host` header")]
    InvalidHost,
    #[error("the target of the request is none; ask for a path, such as `/`")]
    InvalidTarget,
    #[error(
        "the target of the request is longer than {TARGET_MAX} bytes; send less of it, or a body"
    )]
    TargetTooLong,
    #[error("the request has more than {REQUEST_HEADERS} headers; send fewer")]
    TooManyHeaders,
    #[error("the head of the request is larger than {REQUEST_HEAD_SIZE} bytes; send less of it")]
    HeadersTooLarge,
    #[error("`transfer-encoding` names a coding twice; send `chunked` once")]
    DuplicateCoding,
    #[error("`transfer-encoding` names a coding that nobody knows here; send `chunked` alone")]
    UnknownCoding,
    #[error("`expect` asks for what nobody does here; `100-continue` is done, or leave it out")]
    Expectation,
    #[error("no tunnels are made here: `CONNECT` is for proxies")]
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

    /// The response; `text` makes its body.
    pub(crate) fn response<B>(self, text: impl FnOnce(String) -> B) -> Response<B> {
        if self == Self::Asterisk {
            let mut response = Response::new(text(String::new()));
            *response.status_mut() = self.status();
            return response;
        }
        let mut response = plain_response(self.status(), text(format!("{self}\n")));
        // Where an invalid request ends is not reliable.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}
