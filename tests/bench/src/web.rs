//! A minimal HTTP client: one GET on a connection of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Much longer than an answer takes, and much shorter than the outages that are measured.
const TIMEOUT: Duration = Duration::from_millis(250);

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    text: String,
}

impl Answer {
    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let (head, _) = self.text.split_once("\r\n\r\n")?;
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The body, as it was sent.
    pub(super) fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

/// Sends a GET for `path`. None if there is no answer: while the leader changes, that is normal.
pub(super) fn get(address: SocketAddr, path: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).ok()?;
    // Where nobody listens, the kernel may choose the destination's own port as the source port:
    // the socket is then connected to itself (TCP's simultaneous open).
    if stream.local_addr().ok() == stream.peer_addr().ok() {
        return None;
    }
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    // With HTTP/1.0 the answer ends with the connection and is not chunked.
    let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, text })
}

/// Whether `address` answers with 200.
pub(super) fn is_ok(address: SocketAddr, path: &str) -> bool {
    get(address, path).is_some_and(|answer| answer.status == 200)
}
