//! The headers of a request from host to host that name both.

use ::http::Request;
use bytes::Bytes;

/// The header that names the forwarding host. A request that has it is not forwarded again.
pub const PASSED_ON: &str = "soloist-passed-on";
/// The header that names the host that a request is meant for.
pub(crate) const PASSED_TO: &str = "soloist-passed-to";

/// Adds a header, unless the value contains what a header cannot carry.
pub(super) fn put_header(request: &mut Request<Bytes>, name: &'static str, value: &str) {
    if let Ok(value) = value.parse() {
        request.headers_mut().insert(name, value);
    }
}
