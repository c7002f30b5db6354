//! Which version of HTTP a client speaks.

use std::io;

use tokio::net::TcpStream;
use tokio_rustls::server::TlsStream;

use soloist_tls::H2;

/// The version of HTTP that a client has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HttpVersion {
    Http1,
    Http2,
}

/// Looks at the first bytes without taking them. HTTP/2 without TLS begins with a method
/// that no request of HTTP/1 has (RFC 9113, section 3.4).
pub(super) async fn detect_protocol(stream: &TcpStream) -> io::Result<HttpVersion> {
    let mut first = [0; 3];
    let seen = stream.peek(&mut first).await?;
    Ok(if &first[..seen] == b"PRI" { HttpVersion::Http2 } else { HttpVersion::Http1 })
}

/// The version that was negotiated with TLS (ALPN).
pub(super) fn negotiated_protocol(stream: &TlsStream<TcpStream>) -> HttpVersion {
    let agreed = stream.get_ref().1.alpn_protocol();
    if agreed == Some(H2) { HttpVersion::Http2 } else { HttpVersion::Http1 }
}
