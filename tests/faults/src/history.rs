//! What clients have seen: one record for each request.
//!
//! `sent` is measured before the first byte is written, and `received` after the last byte is read.
//! The request itself lies within these times.

use serde_json::{Value, json};
use soloist_devtools::http::Answer;

/// A request and its outcome.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// The client that sent it.
    pub(super) client: Client,
    /// The action that it was for.
    pub(super) action: Action,
    /// The name of the host that it was sent to.
    pub(super) asked: &'static str,
    /// When it was sent, in nanoseconds of the machine's boot-time clock.
    pub(super) sent: u64,
    /// When it was answered or given up, by the same clock.
    pub(super) received: u64,
    /// The outcome.
    pub(super) outcome: Outcome,
}

/// An action that all hosts have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It needs nothing but its host, so a leader that is cut off from the store could continue to
    /// answer.
    Web,
    /// It counts its requests in the store.
    Register,
    /// It reads files. The clients do not use it, because its requests hang on purpose.
    Files,
}

/// How a client sends requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// Over one connection, as often as possible, with a short time-out.
    Steady,
    /// Over a new connection each time, with a short time-out.
    Fresh,
    /// Over a new connection each time, waiting until long after a frozen host has woken up: what
    /// does that host answer?
    Patient,
    /// Over connections that were opened long before, each idle for seconds between requests. A
    /// frozen host accepts no new connections, but these requests reach it, and are the first that
    /// it reads when it wakes up.
    Held,
}

/// The outcome of a request.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// There was an answer.
    Answer(Answer),
    /// It was sent, but there was no answer: it may or may not have had an effect.
    Lost(String),
    /// There was no connection, so it had no effect.
    Unreached,
}

/// The fencing token and the value in an answer of the register.
pub(super) fn read_write(answer: &Answer) -> Option<(u64, u64)> {
    let (fencing_token, value) = answer.body.trim().split_once(' ')?;
    Some((fencing_token.parse().ok()?, value.parse().ok()?))
}

impl Record {
    /// The answer, if its status is 200.
    pub(super) fn good(&self) -> Option<&Answer> {
        match &self.outcome {
            Outcome::Answer(answer) if answer.status == 200 => Some(answer),
            _ => None,
        }
    }

    /// The fencing token of a good answer.
    pub(super) fn fencing_token(&self) -> Option<u64> {
        self.good()?.fencing_token
    }

    /// The line of the history file.
    pub(super) fn line(&self) -> Value {
        let mut line = json!({
            "client": format!("{:?}", self.client).to_lowercase(),
            "action": format!("{:?}", self.action).to_lowercase(),
            "asked": self.asked,
            "sent_ns": self.sent,
            "received_ns": self.received,
        });
        match &self.outcome {
            Outcome::Answer(answer) => {
                line["status"] = json!(answer.status);
                line["soloist_host"] = json!(answer.host);
                line["soloist_fencing_token"] = json!(answer.fencing_token);
                line["body"] = json!(answer.body.trim_end());
            }
            Outcome::Lost(error) => line["error"] = json!(error),
            Outcome::Unreached => line["error"] = json!("no connection"),
        }
        line
    }
}

/// Records for tests.
#[cfg(test)]
pub(super) mod made {
    use super::*;

    /// A good answer under `fencing_token`, to a request that took from `sent` to `received`.
    pub(crate) fn good(fencing_token: u64, sent: u64, received: u64) -> Record {
        let record = answered(200, fencing_token, sent, received, "hello");
        Record { action: Action::Web, ..record }
    }

    /// A write that was acknowledged.
    pub(crate) fn write(fencing_token: u64, value: u64, sent: u64, received: u64) -> Record {
        answered(200, fencing_token, sent, received, &format!("{fencing_token} {value}\n"))
    }

    /// A request without an answer.
    pub(crate) fn lost(sent: u64, received: u64) -> Record {
        let outcome = Outcome::Lost("timed out".into());
        made(sent, received, outcome)
    }

    pub(crate) fn answered(
        status: u16,
        fencing_token: u64,
        sent: u64,
        received: u64,
        body: &str,
    ) -> Record {
        let (host, body) = (Some("a".into()), body.into());
        let answer = Answer { status, host, fencing_token: Some(fencing_token), body };
        made(sent, received, Outcome::Answer(answer))
    }

    fn made(sent: u64, received: u64, outcome: Outcome) -> Record {
        let (client, action) = (Client::Steady, Action::Register);
        Record { client, action, asked: "a", sent, received, outcome }
    }
}
