//! A topic: where its webhooks go, and how the first of them stands.

use serde::{Deserialize, Serialize};

/// How often a webhook is tried, where nobody says.
pub(crate) const ATTEMPTS: u32 = 16;
/// The most that can be asked for.
pub(crate) const ATTEMPTS_MAX: u32 = 100;

/// The pause after the first failure, in milliseconds; it doubles each time.
const PAUSE: u64 = 1_000;
/// The pause while the settings let nothing out, in milliseconds.
const PAUSE_UNGRANTED: u64 = 10_000;
/// The longest pause, in milliseconds: an hour.
const PAUSE_MAX: u64 = 3_600_000;

/// What people set.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Topic {
    /// Where its webhooks go; none: they wait, and no others are taken.
    pub(crate) target: Option<String>,
    /// How often each is tried.
    pub(crate) attempts: u32,
}

/// How it stands with the webhook whose turn it is.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Turn {
    /// The webhook.
    pub(crate) id: String,
    /// How often it was tried.
    pub(crate) attempts: u32,
    /// When it is tried next, in milliseconds since 1970.
    pub(crate) next: u64,
    /// What came of the last attempt.
    pub(crate) last_error: String,
}

impl Turn {
    /// The turn of `id`: this one, if it is that, else a new one.
    pub(crate) fn of(self, id: &str) -> Self {
        if self.id == id { self } else { Self { id: id.to_owned(), ..Self::default() } }
    }

    /// How long it still has to wait, in milliseconds.
    pub(crate) fn wait(&self, now: u64) -> u64 {
        kit::clock::until(self.next, now, pause(self.attempts).max(PAUSE_UNGRANTED))
    }

    /// Takes down that it could not be tried at all, which is no attempt.
    pub(crate) fn postpone(&mut self, error: String, now: u64) {
        self.next = now + PAUSE_UNGRANTED;
        self.last_error = error;
    }

    /// Takes down a failure.
    pub(crate) fn fail(&mut self, error: String, now: u64) {
        self.attempts = self.attempts.saturating_add(1);
        self.next = now + pause(self.attempts);
        self.last_error = error;
    }
}

/// The pause after so many failures, in milliseconds.
fn pause(failures: u32) -> u64 {
    let Some(doublings) = failures.checked_sub(1) else { return 0 };
    PAUSE.saturating_mul(2_u64.saturating_pow(doublings)).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        assert_eq!([0, 1, 2, 3, 12].map(pause), [0, 1_000, 2_000, 4_000, 2_048_000]);
        assert_eq!([13, 100, u32::MAX].map(pause), [PAUSE_MAX; 3]);
    }

    #[test]
    fn a_turn_is_of_one_webhook() {
        let mut turn = Turn::default().of("1");
        assert_eq!(turn.wait(10_000), 0);
        turn.fail("503".to_owned(), 10_000);
        turn.fail("503".to_owned(), 10_000);
        assert_eq!((turn.attempts, turn.wait(10_500)), (2, 1_500));
        // The clock of the next leader is far behind.
        assert_eq!(turn.wait(0), PAUSE_UNGRANTED);
        turn.postpone("not granted".to_owned(), 20_000);
        assert_eq!((turn.attempts, turn.wait(20_000)), (2, PAUSE_UNGRANTED));
        assert_eq!(turn.clone().of("1").attempts, 2);
        assert_eq!(turn.of("2").attempts, 0);
    }
}
