//! Requests of the clients: when each was sent, when its answer came, and what that was.

use soloist_devtools::http::Connection;

use super::clock;
use super::history::Outcome;

/// A finished request.
pub(super) struct CompletedRequest {
    pub(super) sent: u64,
    pub(super) received: u64,
    pub(super) outcome: Outcome,
    /// Whether the connection can carry another request.
    pub(super) keep: bool,
}

/// Sends a GET for `path` and waits for the answer.
pub(super) fn ask(connection: &mut Connection, path: &str) -> CompletedRequest {
    let sent = clock::now();
    let answer = connection.get(path);
    let received = clock::now();
    let (outcome, keep) = match answer {
        Ok((answer, keep)) => (Outcome::Answer(answer), keep),
        Err(error) => (Outcome::Lost(error.to_string()), false),
    };
    CompletedRequest { sent, received, outcome, keep }
}
