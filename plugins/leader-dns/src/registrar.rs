//! Keeps the record true for as long as the term lasts.

use kit::{
    Pollable, TermInfo,
    clock::{Moment, pause, wall_ms},
    state::{State, StateError},
};
use serde::{Deserialize, Serialize};

use crate::record::Record;

/// Where the settings are.
pub(crate) const RECORD: &str = "record";
/// Where it says how it stands.
pub(crate) const REGISTRATION: &str = "registration";

/// From one look at the settings to the next, in milliseconds.
const LOOK: u64 = 1_000;
/// The pause after a first failure, in milliseconds; it doubles each time.
const RETRY: u64 = 250;
/// The longest of them.
const RETRY_MAX: u64 = 60_000;
/// How often a removal is tried; the host bounds it in time (`lease.drain_timeout`).
const REMOVALS: u32 = 5;

/// How it stands with the record.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Registration {
    host: String,
    fencing_token: u64,
    registered: bool,
    /// When that was, in milliseconds since 1970.
    at: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Works until the term is ending, and removes the record then.
pub(crate) fn perform(term: &TermInfo, ending: &Pollable, state: &State) {
    let mut registrar =
        Registrar { term, state, sent: None, failures: 0, due: Moment::now(), told: None };
    loop {
        if let Err(error) = registrar.step() {
            registrar.tell(String::from(error));
        }
        if !pause(registrar.rest(), ending) {
            break;
        }
    }
    registrar.leave();
}

struct Registrar<'a> {
    term: &'a TermInfo,
    state: &'a State,
    /// What was sent last. It may have come through whatever the answer was.
    sent: Option<Record>,
    failures: u32,
    /// When to send again.
    due: Moment,
    told: Option<String>,
}

impl Registrar<'_> {
    fn step(&mut self) -> Result<(), StateError> {
        let record: Option<Record> = self.state.read(RECORD)?;
        if self.sent.is_some() && self.sent != record {
            self.leave();
            self.due = Moment::now();
        }
        let Some(record) = record else {
            self.tell("there is no record to keep: PUT one to /record".to_owned());
            return Ok(());
        };
        if Moment::now() < self.due {
            return Ok(());
        }
        self.sent = Some(record.clone());
        let error = record.send(&record.register, self.term).err();
        self.plan(&record, error.is_none());
        match &error {
            Some(error) => self.tell(format!("not registered: {error}")),
            None => self.tell(format!("registered {}", self.term.host)),
        }
        self.stand(error.is_none(), error)
    }

    /// When to send the next time.
    fn plan(&mut self, record: &Record, done: bool) {
        self.failures = if done { 0 } else { self.failures.saturating_add(1) };
        let wait = match (done, record.refresh) {
            (false, _) => retry(self.failures),
            (true, Some(seconds)) => seconds.saturating_mul(1_000),
            (true, None) => u64::MAX,
        };
        self.due = Moment::now().plus(wait);
    }

    /// How long there is nothing to do.
    fn rest(&self) -> u64 {
        if self.sent.is_none() {
            return LOOK;
        }
        self.due.since(Moment::now()).clamp(RETRY, LOOK)
    }

    /// Removes what was sent, if the settings say how.
    fn leave(&mut self) {
        let Some(record) = self.sent.take() else { return };
        let Some(remove) = &record.remove else { return };
        for failures in 0..REMOVALS {
            if failures > 0 {
                Moment::now().plus(retry(failures)).pollable().block();
            }
            match record.send(remove, self.term) {
                Ok(()) => {
                    self.tell(format!("removed {}", self.term.host));
                    break;
                }
                Err(error) => self.tell(format!("not removed: {error}")),
            }
        }
        // Who it stood for is known by now, and nothing depends on this.
        let _ = self.stand(false, None);
    }

    fn stand(&self, registered: bool, error: Option<String>) -> Result<(), StateError> {
        let (host, fencing_token) = (self.term.host.clone(), self.term.fencing_token);
        self.state.write(
            REGISTRATION,
            &Registration { host, fencing_token, registered, at: wall_ms(), error },
        )
    }

    /// Tells people, and the same only once.
    fn tell(&mut self, text: String) {
        if self.told.as_ref() != Some(&text) {
            println!("{text} (fencing token {})", self.term.fencing_token);
            self.told = Some(text);
        }
    }
}

/// The pause after so many failures, in milliseconds.
fn retry(failures: u32) -> u64 {
    let doublings = failures.saturating_sub(1);
    RETRY.saturating_mul(2_u64.saturating_pow(doublings)).min(RETRY_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        assert_eq!([1, 2, 3, 9].map(retry), [250, 500, 1_000, RETRY_MAX]);
        assert_eq!(retry(u32::MAX), RETRY_MAX);
    }
}
