//! Which version of HTTP a client speaks: negotiated with TLS, or told by its first bytes.
//!
//! hyper-util detects the version too (`server::conn::auto`), but cannot be used here:
//! - It has no time limit. A client that sends nothing, or half a preface, would hold its
//!   connection for ever; hyper's own limit on heads starts after the detection.
//! - [`ClientStream`](super::client_stream::ClientStream) needs the version before hyper reads:
//!   only over HTTP/1 may a client end its direction before the response.
//! - Where upgrades are possible, it ignores what was negotiated with TLS (`http1_only` and
//!   `http2_only` have no effect).

use std::io;

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use soloist_tls::H2;

/// What a client of HTTP/2 sends first (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The version of HTTP that a client has chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HttpVersion {
    Http1,
    Http2,
}

/// Reads until the version is certain, however small the segments are in which the preface of
/// HTTP/2 comes. Returns the version, and the bytes that were read.
pub(super) async fn detect_version(
    stream: &mut (impl AsyncRead + Unpin),
) -> io::Result<(HttpVersion, Bytes)> {
    let mut first = [0; PREFACE.len()];
    let mut length = 0;
    while length < PREFACE.len() {
        let read = stream.read(&mut first[length..]).await?;
        let matches = first[..length + read] == PREFACE[..length + read];
        length += read;
        if read == 0 || !matches {
            return Ok((HttpVersion::Http1, Bytes::copy_from_slice(&first[..length])));
        }
    }
    Ok((HttpVersion::Http2, Bytes::from_static(PREFACE)))
}

/// The version that was negotiated with TLS (ALPN).
pub(super) fn negotiated_version(stream: &TlsStream<TcpStream>) -> HttpVersion {
    let agreed = stream.get_ref().1.alpn_protocol();
    if agreed == Some(H2) { HttpVersion::Http2 } else { HttpVersion::Http1 }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::io::{AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn the_version_is_decided_as_soon_as_it_is_certain_and_not_before() {
        for (sent, told) in [
            (&b"P"[..], None),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r", None),
            (PREFACE, Some(HttpVersion::Http2)),
            (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04", Some(HttpVersion::Http2)),
            (b"G", Some(HttpVersion::Http1)),
            (b"POST / HTTP/1.1\r\n", Some(HttpVersion::Http1)),
            (b"PRINT / HTTP/1.1\r\n", Some(HttpVersion::Http1)),
        ] {
            for piece in [1, sent.len()] {
                let (mut near, mut far) = duplex(64);
                let mut detected = Box::pin(detect_version(&mut near));
                let mut outcome = None;
                for piece in sent.chunks(piece) {
                    far.write_all(piece).await.unwrap();
                    outcome = outcome.or_else(|| detected.as_mut().now_or_never());
                }
                let Some(outcome) = outcome else {
                    assert_eq!(told, None, "{sent:?}");
                    continue;
                };
                let (version, first) = outcome.unwrap();
                assert_eq!(Some(version), told, "{sent:?}");
                assert!(sent.starts_with(&first), "{sent:?}: {first:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_client_that_ends_within_the_preface_speaks_http1() {
        let (mut near, mut far) = duplex(64);
        far.write_all(b"PRI").await.unwrap();
        drop(far);
        let (version, first) = detect_version(&mut near).await.unwrap();
        assert_eq!((version, &*first), (HttpVersion::Http1, &b"PRI"[..]));
    }
}
