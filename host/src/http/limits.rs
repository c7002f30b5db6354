//! The durations and sizes that connections and requests are held to and that are not settings.

use std::time::Duration;

/// The longest target of a request, in bytes: RFC 9110, section 4.1, recommends 8000.
pub(super) const TARGET_MAX: usize = 32 << 10;
/// How many headers a client's request may have.
pub(super) const REQUEST_HEADERS: usize = 100;
/// Their total size in bytes, names and values. Forwarding a request adds to it, and the result
/// must still fit into a [`HTTP1_BUFFER`].
pub(super) const REQUEST_HEAD_SIZE: usize = 24 << 10;
/// The read and write buffer of an HTTP/1 connection, in bytes. The head of a request must fit into
/// it as well.
pub(super) const HTTP1_BUFFER: usize = 64 << 10;
/// The longest head of a request over HTTP/2, in bytes; each header counts for 32 more (RFC 9113,
/// section 6.5.2).
pub(super) const HTTP2_HEADER_LIST: u32 = 72 << 10;
/// The flow-control window of an HTTP/2 connection and of each of its streams, in bytes: how much
/// of a body may lie here unread.
pub(super) const HTTP2_WINDOW: u32 = 256 << 10;
/// How many requests one HTTP/2 connection may have open at a time.
pub(super) const HTTP2_STREAMS: u32 = 256;
/// How many connections one address keeps open. Each client has its share of them; idle ones are
/// closed to make room.
pub(super) const CONNECTIONS: usize = 4096;
/// The kernel's backlog: connections that wait to be accepted.
pub(super) const BACKLOG: u32 = 1024;
/// How long a client may take for the head of a request, be idle before it, or read nothing of a
/// response.
pub(super) const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may take to send a last refusal when a term ends at once. It is part of
/// the stop, and a small part of its time budget.
pub(super) const LAST_RESPONSE: Duration = Duration::from_millis(20);
/// How long a client that has sent its last byte is still assumed to listen: a client that is gone
/// looks the same.
pub(super) const HALF_CLOSED_TIMEOUT: Duration = Duration::from_secs(1);
/// How long input after the last response is still read, so that the client gets to read that
/// response (RFC 9112, section 9.6).
pub(super) const LINGER: Duration = Duration::from_secs(5);
/// The same while the address is being closed.
pub(super) const LINGER_CLOSING: Duration = Duration::from_millis(250);
/// The pause after a failed accept: usually the process is out of file descriptors.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long to wait for an address that is in use: the previous holder may be the former leader on
/// this machine.
pub(super) const BIND_TIMEOUT: Duration = Duration::from_secs(3);
/// The pause between two attempts to bind such an address.
pub(super) const BIND_RETRY_PAUSE: Duration = Duration::from_millis(10);
/// The pause between attempts at an address on which every host listens.
pub(super) const BIND_AGAIN_PAUSE: Duration = Duration::from_secs(1);
