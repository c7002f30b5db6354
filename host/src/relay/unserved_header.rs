//! What hosts say to each other of a request that was not answered: `soloist-unserved` beside the
//! answer is `not-begun` or `lost`, where another leader may answer, and `stranger`, where the host
//! that asks was not let in. Nobody else is told.

use ::http::{HeaderMap, HeaderName, HeaderValue};

use crate::action::Unserved;

const UNSERVED: HeaderName = HeaderName::from_static("soloist-unserved");

const NOT_BEGUN: HeaderValue = HeaderValue::from_static("not-begun");

const STRANGER: HeaderValue = HeaderValue::from_static("stranger");

const LOST: HeaderValue = HeaderValue::from_static("lost");

/// Tells the host that has asked that another leader may answer.
pub(super) fn mark_unserved(headers: &mut HeaderMap, unserved: Unserved) {
    let value = match unserved {
        Unserved::NotBegun => NOT_BEGUN,
        Unserved::Lost => LOST,
    };
    headers.insert(UNSERVED, value);
}

/// Tells the host that has asked that it was not let in.
pub(super) fn mark_unauthorized(headers: &mut HeaderMap) {
    headers.insert(UNSERVED, STRANGER);
}

/// Whether another host did not let this one in.
pub(super) fn is_unauthorized(headers: &HeaderMap) -> bool {
    headers.get(UNSERVED).is_some_and(|value| value == STRANGER)
}

/// What another host says of a request that it did not answer.
pub(super) fn unserved(headers: &HeaderMap) -> Option<Unserved> {
    match headers.get(UNSERVED)? {
        value if value == NOT_BEGUN => Some(Unserved::NotBegun),
        value if value == LOST => Some(Unserved::Lost),
        _ => None,
    }
}
