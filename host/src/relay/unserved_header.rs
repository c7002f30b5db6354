//! The response header `soloist-unserved`, by which one host tells another why it did not answer a
//! forwarded request: `not-begun` or `lost`, where another leader may answer, and `unauthorized`, where
//! the forwarding host was not authorized. Clients never get it.

use ::http::{HeaderMap, HeaderName, HeaderValue};

use crate::action::Unserved;

const UNSERVED: HeaderName = HeaderName::from_static("soloist-unserved");

const NOT_BEGUN: HeaderValue = HeaderValue::from_static("not-begun");

const UNAUTHORIZED: HeaderValue = HeaderValue::from_static("unauthorized");

const LOST: HeaderValue = HeaderValue::from_static("lost");

/// Tells the forwarding host that another leader may answer.
pub(super) fn mark_unserved(headers: &mut HeaderMap, unserved: Unserved) {
    let value = match unserved {
        Unserved::NotBegun => NOT_BEGUN,
        Unserved::Lost => LOST,
    };
    headers.insert(UNSERVED, value);
}

/// Tells the forwarding host that it was not authorized.
pub(super) fn mark_unauthorized(headers: &mut HeaderMap) {
    headers.insert(UNSERVED, UNAUTHORIZED);
}

/// Whether the other host refused this one as unauthorized.
pub(super) fn is_unauthorized(headers: &HeaderMap) -> bool {
    headers.get(UNSERVED).is_some_and(|value| value == UNAUTHORIZED)
}

/// Why the other host did not answer the request, if it says so.
pub(super) fn unserved(headers: &HeaderMap) -> Option<Unserved> {
    match headers.get(UNSERVED)? {
        value if value == NOT_BEGUN => Some(Unserved::NotBegun),
        value if value == LOST => Some(Unserved::Lost),
        _ => None,
    }
}
