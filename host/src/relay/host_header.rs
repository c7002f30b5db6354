//! Which host a request is for that another host has passed on.

use ::http::{HeaderValue, Request, header};

use crate::http::is_host;

/// Says for which host a request is: the one that its client has `asked` for, which the host
/// that passes it on says of every request.
pub(super) fn restore_host<B>(request: &mut Request<B>, asked: HeaderValue) {
    if asked.to_str().is_ok_and(is_host) {
        request.headers_mut().insert(header::HOST, asked);
    }
}
