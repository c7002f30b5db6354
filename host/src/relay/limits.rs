//! Limits of the relay that are constants and not settings.

use std::time::Duration;

/// How many requests of one address may wait for a leader or be under way to another host at a
/// time; each client gets a share. Requests that this host answers itself have the limits of
/// their action instead.
pub(super) const IN_FLIGHT: usize = 512;
/// How many bytes of a request body are kept, so that it can be sent again. They are charged to
/// the action's memory; if that has no room, none are kept.
pub(super) const KEPT: usize = 64 << 10;
/// Buffer of an HTTP/1 connection to another host, in bytes, for reading and for writing each.
/// The head of a response cannot be longer either.
pub(super) const BUFFER: usize = 64 << 10;
/// Flow control window of an HTTP/2 connection to another host, in bytes, for its one request.
pub(super) const WINDOW: u32 = 256 << 10;
/// The longest head of an HTTP/2 response, in bytes; each header counts for 32 more (RFC 9113,
/// section 6.5.2).
pub(super) const HEADER_LIST: u32 = 72 << 10;
/// How long an HTTP/2 connection may be silent before it is pinged, and how long the answer to
/// that may take.
pub(super) const PING: Duration = Duration::from_secs(15);
/// How many hosts a request may pass.
pub(super) const HOPS: usize = 4;
/// How long connecting to another host may take.
pub(super) const CONNECT: Duration = Duration::from_secs(1);
/// How long an idle connection to another host is kept. The other host closes idle connections
/// later than that, so that none is closed just as it is used again.
pub(super) const IDLE: Duration = Duration::from_secs(5);
/// How many idle connections are kept to one host.
pub(super) const IDLE_EACH: usize = 128;
/// The pause between attempts to connect to a leader that cannot be reached. No event tells when
/// it can be reached again.
pub(super) const RETRY: Duration = Duration::from_millis(100);
/// How much longer to wait for a response after the leader's term has ended: it may be on its way.
pub(super) const LAST_WORD: Duration = Duration::from_millis(250);
/// How long a leader whose response broke off may take to say that its term goes on.
pub(super) const LAST_SIGN: Duration = Duration::from_secs(1);
/// How many headers a forwarded request or response may have: more than any action accepts or
/// sends, so that a request is treated the same with and without a relay.
pub(super) const HEADERS: usize = 256;
/// How much longer than its action's own limits a response may take: for the network.
pub(super) const SLACK: Duration = Duration::from_secs(5);
/// How long to read on in the body of a request that is refused.
pub(super) const SOAK: Duration = Duration::from_secs(1);
/// How long other hosts may still forward requests to this one after it has resigned.
pub(super) const LINGER: Duration = Duration::from_millis(250);
