//! The least of an HTTP client: one GET, on a connection of its own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Long beside an answer, short beside what is measured for want of one.
const TIMEOUT: Duration = Duration::from_millis(250);

/// What came back.
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

    /// What follows the headers, as it was sent.
    pub(super) fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }
}

/// Asks `address` for `path`. No answer is nothing to report: while a leader
/// changes, that is what clients get.
pub(super) fn get(address: SocketAddr, path: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT).ok()?;
    // Where nobody listens, the kernel may give a socket its own target as its
    // source: it then is connected to itself (TCP's simultaneous open).
    if stream.local_addr().ok() == stream.peer_addr().ok() {
        return None;
    }
    stream.set_read_timeout(Some(TIMEOUT)).ok()?;
    // HTTP/1.0: the answer ends with the connection, and comes in one piece.
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
