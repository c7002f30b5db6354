//! The connection that a request came on.

use std::net::SocketAddr;

use ::http::Request;

/// The connection that a request came on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ConnectionInfo {
    /// The client's address.
    pub(crate) peer: SocketAddr,
    /// The host's address that the client connected to.
    pub(crate) local: SocketAddr,
    /// Whether the connection uses TLS.
    pub(crate) secure: bool,
    /// Whether the client has shown a certificate that the address trusts.
    pub(crate) has_certificate: bool,
}

/// Marks requests that came over TLS.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OverTls;

/// Whether the request came over TLS.
pub(crate) fn is_over_tls<B>(request: &Request<B>) -> bool {
    request.extensions().get::<OverTls>().is_some()
}
