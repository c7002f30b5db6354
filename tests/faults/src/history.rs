//! What clients have seen: one record a request.
//!
//! `sent` is taken before the first byte is written, `received` after the last
//! one is read. So what is true of the times that are recorded is true of the
//! request itself.

use serde_json::{Value, json};
use soloist_devtools::http::Answer;

/// One request and what became of it.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// Which client has asked.
    pub(super) client: Client,
    /// What it asked.
    pub(super) action: Action,
    /// The name of the host that was asked.
    pub(super) asked: &'static str,
    /// Before it was sent, on the machine's one clock, in nanoseconds.
    pub(super) sent: u64,
    /// After it was answered, or given up.
    pub(super) received: u64,
    /// What came back.
    pub(super) outcome: Outcome,
}

/// An action that all hosts have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// It needs nothing but its host: a leader that is cut off from the store
    /// could go on answering.
    Web,
    /// It counts its requests in the store.
    Register,
    /// It reads files. Clients leave it alone, for that they hang is a fault.
    Files,
}

/// How a client asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Client {
    /// Over one connection, as often as possible, with a short time-out.
    Steady,
    /// Over a new connection each time, with a short time-out.
    Fresh,
    /// Over a new connection each time, and waits until long after a frozen
    /// host has woken up: what does that one answer?
    Patient,
    /// Over a connection that was opened long before, each after seconds of
    /// silence: many of them ask a frozen host that nobody can ask any more over
    /// a new one, and are heard first when it wakes up.
    Held,
}

/// What became of a request.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// It was answered.
    Answer(Answer),
    /// It was sent, and no answer came: whether it had an effect is not known.
    Lost(String),
    /// There was no connection: it had no effect.
    Unreached,
}

/// The token and the value of the register, which its plugin answers with.
pub(super) fn read_write(answer: &Answer) -> Option<(u64, u64)> {
    let (token, value) = answer.body.trim().split_once(' ')?;
    Some((token.parse().ok()?, value.parse().ok()?))
}

impl Record {
    /// The answer, if it is a good one.
    pub(super) fn good(&self) -> Option<&Answer> {
        match &self.outcome {
            Outcome::Answer(answer) if answer.status == 200 => Some(answer),
            _ => None,
        }
    }

    /// The token of a good answer.
    pub(super) fn token(&self) -> Option<u64> {
        self.good()?.token
    }

    /// One line of the history.
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
                line["soloist_token"] = json!(answer.token);
                line["body"] = json!(answer.body.trim_end());
            }
            Outcome::Lost(error) => line["error"] = json!(error),
            Outcome::Unreached => line["error"] = json!("no connection"),
        }
        line
    }
}

/// Records of good answers, for tests.
#[cfg(test)]
pub(super) mod made {
    use super::*;

    /// A good answer under `token`, to a request that took from `sent` to `received`.
    pub(crate) fn good(token: u64, sent: u64, received: u64) -> Record {
        let record = answered(200, token, sent, received, "hello");
        Record { action: Action::Web, ..record }
    }

    /// A write that was acknowledged.
    pub(crate) fn write(token: u64, value: u64, sent: u64, received: u64) -> Record {
        answered(200, token, sent, received, &format!("{token} {value}\n"))
    }

    /// A request without an answer.
    pub(crate) fn lost(sent: u64, received: u64) -> Record {
        let outcome = Outcome::Lost("timed out".into());
        made(sent, received, outcome)
    }

    pub(crate) fn answered(
        status: u16,
        token: u64,
        sent: u64,
        received: u64,
        body: &str,
    ) -> Record {
        let (host, body) = (Some("a".into()), body.into());
        let answer = Answer { status, host, token: Some(token), body };
        made(sent, received, Outcome::Answer(answer))
    }

    fn made(sent: u64, received: u64, outcome: Outcome) -> Record {
        let (client, action) = (Client::Steady, Action::Register);
        Record { client, action, asked: "a", sent, received, outcome }
    }
}
