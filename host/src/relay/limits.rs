//! Every duration and number that the relay is held to and that is no setting.

use std::time::Duration;

/// Requests of one address that wait for a leader or are answered by another host, at a
/// time, of which each client has its share. Those that this host answers itself have the
/// limits of their action.
pub(super) const IN_FLIGHT: usize = 512;
/// How much of the body of a request is kept, so that it can be sent again; it is charged to
/// its action, and where there is no room for it, none is kept.
pub(super) const KEPT: usize = 64 << 10;
/// What a connection to another host has read at most before the client takes it, and what it
/// has to write, in bytes; the head of an answer is not longer either.
pub(super) const BUFFER: usize = 64 << 10;
/// The same of a connection of HTTP/2, for its one request.
pub(super) const WINDOW: u32 = 256 << 10;
/// The head of an answer by such a one, in bytes, where each header counts for 32 more (RFC
/// 9113, section 6.5.2).
pub(super) const HEADER_LIST: u32 = 72 << 10;
/// How long such a one may be silent before it is asked whether it is alive, and how long it may
/// take to say so.
pub(super) const PING: Duration = Duration::from_secs(15);
/// Hosts that a request may pass.
pub(super) const HOPS: usize = 4;
/// How long to connect to another host.
pub(super) const CONNECT: Duration = Duration::from_secs(1);
/// How long a connection to another host is kept that nobody uses: less than that host
/// waits for a request.
pub(super) const IDLE: Duration = Duration::from_secs(5);
/// How many such connections are kept to one host.
pub(super) const IDLE_EACH: usize = 128;
/// From one try to reach a leader that does not answer to the next. Nothing tells when it
/// can be reached again.
pub(super) const RETRY: Duration = Duration::from_millis(100);
/// How long an answer may still be under way when the term that gave it is over.
pub(super) const LAST_WORD: Duration = Duration::from_millis(250);
/// How long a leader whose answer broke off may take to say that its term goes on.
pub(super) const LAST_SIGN: Duration = Duration::from_secs(1);
/// How many headers may be in an answer or a request that passes from host to host: more than
/// any action gives or gets, so that both are the same by every way.
pub(super) const HEADERS: usize = 256;
/// What an answer takes beside the times that its action is given.
pub(super) const SLACK: Duration = Duration::from_secs(5);
/// How long to take in the body of a request that is refused.
pub(super) const SOAK: Duration = Duration::from_secs(1);
/// How long other hosts may still believe that this one leads, after it has resigned.
pub(super) const LINGER: Duration = Duration::from_millis(250);
