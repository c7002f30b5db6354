//! Responses of the host itself: an error status with a plain text, and their common texts.

use ::http::{HeaderValue, Response, StatusCode, header};

/// The message for a body that cannot be read.
pub(crate) const BAD_BODY: &str =
    "the body of the request broke off, or was not sent as HTTP has it; send it again, whole";

/// The message for a body that is larger than the action's settings allow.
pub(crate) fn too_large(limit: u64) -> String {
    format!(
        "the body of the request is larger than {limit} bytes; `max_body_size` in the settings of the \
         action sets how much it takes"
    )
}

/// The message for a path without an action; `known` lists the paths that have one.
pub(crate) fn unknown_path(known: &str) -> String {
    format!(
        "no action answers under this path; there are {known}; `path = \"/\"` in the settings of \
         one of them gives it all others"
    )
}

/// An error response; `text` is plain text.
pub(crate) fn plain_response<B>(status: StatusCode, text: B) -> Response<B> {
    let mut response = Response::new(text);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// Whether responses of `status` never have a body (RFC 9110, 15.3.5 and 15.4.5).
pub(crate) fn has_no_body(status: StatusCode) -> bool {
    status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}
