//! Every duration and number that actions are held to and that is no setting.

use std::time::Duration;

/// How long a request waits for its turn before it is refused.
pub(super) const REQUEST_TURN: Duration = Duration::from_secs(1);
/// Requests that an instance of WASI 0.3 answers at once. Where each waits for
/// something, more share what an instance costs; where they compute, each waits
/// for all others.
pub(super) const AT_ONCE: usize = 16;

/// How long a new version of a plugin may take to come up before it is refused.
pub(super) const REHEARSAL: Duration = Duration::from_secs(5);

/// The headers that an answer may have. Others take fewer: many clients stop at a hundred.
pub(super) const ANSWER_HEADERS: usize = 200;
/// How long the target of a request may be, in bytes: RFC 9110, section 4.1, recommends 8000.
pub(super) const TARGET: usize = 32 << 10;
/// The headers that a client's request may have.
pub(super) const REQUEST_HEADERS: usize = 100;
/// How long they may be in all, in bytes, names and values. Whoever passes a request on adds to
/// it, and it still fits into a [`BUFFER`].
pub(super) const REQUEST_SIZE: usize = 24 << 10;
/// What a connection of HTTP/1 has read at most before somebody takes it, and what it has to
/// write, in bytes; the head of a request is not longer either.
pub(super) const BUFFER: usize = 64 << 10;
/// The longest head of a request of HTTP/2, in bytes, where each header counts for 32 more (RFC
/// 9113, section 6.5.2).
pub(super) const HEADER_LIST: u32 = 72 << 10;
/// The same of a connection of HTTP/2, and of each of its streams: bodies that nobody takes.
pub(super) const WINDOW: u32 = 256 << 10;
/// Requests that one connection of HTTP/2 may have open at a time.
pub(super) const STREAMS: u32 = 256;
/// Connections that one address keeps open. Each client has its share of them; those on which
/// nothing is asked for make room.
pub(super) const CONNECTIONS: usize = 4096;
/// The kernel's backlog: connections that wait to be accepted.
pub(super) const BACKLOG: u32 = 1024;
/// How long a client may take for the head of a request, be idle before it, or take nothing of
/// an answer.
pub(super) const REQUEST_HEAD: Duration = Duration::from_secs(30);
/// How long a connection has to refuse what has come, when a term ends at once. It
/// is part of the stop, and little of its budget.
pub(super) const LAST_WORD: Duration = Duration::from_millis(20);
/// How long a client that has sent its last byte is still taken for one that listens: whoever
/// has gone looks the same.
pub(super) const HALF_CLOSED: Duration = Duration::from_secs(1);
/// How long what a client sends after the last answer is still taken, so that it comes to read
/// that (RFC 9112, section 9.6); and when the address is let go.
pub(super) const LINGER: Duration = Duration::from_secs(5);
/// See [`LINGER`].
pub(super) const LINGER_CLOSING: Duration = Duration::from_millis(250);
/// A pause after a connection could not be accepted: mostly, files have run out.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long the last holder of an address, which may be the former leader on
/// this machine, has to let go of it.
pub(super) const ADDRESS: Duration = Duration::from_secs(3);
/// From one try for an address to the next.
pub(super) const ADDRESS_RETRY: Duration = Duration::from_millis(10);

/// From one attempt at an address that every host listens on to the next.
pub(super) const ADDRESS_AGAIN: Duration = Duration::from_secs(1);

/// How long what has failed for good is left alone: an action that is parked, or a new version
/// that nothing ran before.
pub(crate) const FAILED_AGAIN: Duration = Duration::from_secs(300);

/// The pause before a service is started again, at first; it doubles each time.
pub(super) const RESTART: Duration = Duration::from_secs(1);
/// A version on trial that ran for this long has shown that it runs.
pub(super) const GOOD_RUN: Duration = Duration::from_secs(10);
