//! The `host` header of a request that another host has forwarded.

use ::http::{HeaderValue, Request, header};

use crate::http::is_host;

/// Sets the `host` header back to the one that the client sent. The forwarding host replaced it
/// by this host's address and passed the client's along as `requested`.
pub(super) fn restore_host<B>(request: &mut Request<B>, requested: HeaderValue) {
    if requested.to_str().is_ok_and(is_host) {
        request.headers_mut().insert(header::HOST, requested);
    }
}
