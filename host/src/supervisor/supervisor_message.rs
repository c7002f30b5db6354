//! The messages of a host to its supervisor: one line when a session was opened, one when nothing
//! of it is left in the store, one when the store was reset, restored or replaced, and one when its
//! fencing tokens are high enough after that.

use std::{fmt, str::FromStr};

use soloist_heart::{FencingToken, LeaseId};

/// How many sessions are remembered: more than a host can leave in a store within a TTL.
const MOST: usize = 16;

/// One message, which is one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SupervisorMessage {
    /// A session was opened.
    Opened(LeaseId),
    /// The session has ended, and nothing of it is left in the store.
    Over(LeaseId),
    /// The store is another one, or an older state of it: this host leads nothing before the
    /// fencing tokens exceed this one.
    StoreChanged { above: FencingToken },
    /// They do.
    TokensRaised,
}

const TOKENS_RAISED: &str = "tokens-raised";

impl fmt::Display for SupervisorMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened(lease) => write!(f, "opened {}", lease.0),
            Self::Over(lease) => write!(f, "over {}", lease.0),
            Self::StoreChanged { above } => write!(f, "store-changed {above}"),
            Self::TokensRaised => f.write_str(TOKENS_RAISED),
        }
    }
}

impl FromStr for SupervisorMessage {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        if line == TOKENS_RAISED {
            return Ok(Self::TokensRaised);
        }
        let (word, number) = line.split_once(' ').ok_or(())?;
        let number = number.parse().map_err(drop)?;
        match word {
            "opened" => Ok(Self::Opened(LeaseId(number))),
            "over" => Ok(Self::Over(LeaseId(number))),
            "store-changed" => Ok(Self::StoreChanged { above: FencingToken(number) }),
            _ => Err(()),
        }
    }
}

/// The sessions of one host, by its messages.
#[derive(Debug, Default)]
pub(super) struct OpenSessions {
    /// The sessions that may be in the store, the newest first.
    open: Vec<LeaseId>,
    /// Whether there was any session.
    any: bool,
    /// Above what the store's fencing tokens are still to be raised, if the host has said anything
    /// of it.
    raise_above: Option<Option<FencingToken>>,
}

impl OpenSessions {
    /// Applies a message. Unknown ones, from a host of another version, are ignored.
    pub(super) fn note(&mut self, line: &str) {
        match line.parse() {
            Ok(SupervisorMessage::Opened(lease)) => {
                self.open.truncate(MOST - 1);
                self.open.insert(0, lease);
                self.any = true;
            }
            Ok(SupervisorMessage::Over(lease)) => self.open.retain(|open| *open != lease),
            Ok(SupervisorMessage::StoreChanged { above }) => {
                self.raise_above = Some(Some(above));
            }
            Ok(SupervisorMessage::TokensRaised) => self.raise_above = Some(None),
            Err(()) => {}
        }
    }

    /// The sessions that may be in the store, the newest first.
    pub(super) fn open(&self) -> Vec<LeaseId> {
        self.open.clone()
    }

    /// Above what the store's fencing tokens are still to be raised, if the host has said anything
    /// of it.
    pub(super) fn raise_above(&self) -> Option<Option<FencingToken>> {
        self.raise_above
    }

    /// Whether there was any session.
    pub(super) fn any(&self) -> bool {
        self.any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_after(lines: &[&str]) -> Vec<i64> {
        let mut sessions = OpenSessions::default();
        lines.iter().for_each(|line| sessions.note(line));
        sessions.open().iter().map(|lease| lease.0).collect()
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        for message in [
            SupervisorMessage::Opened(LeaseId(i64::MAX)),
            SupervisorMessage::Over(LeaseId(1)),
            SupervisorMessage::StoreChanged { above: FencingToken(7) },
            SupervisorMessage::TokensRaised,
        ] {
            assert_eq!(message.to_string().parse(), Ok(message));
        }
    }

    #[test]
    fn what_is_left_are_the_sessions_that_are_not_over() {
        assert_eq!(open_after(&["opened 1", "opened 2", "over 1", "opened 3"]), [3, 2]);
        assert_eq!(open_after(&["opened 1", "over 2", "opened", "closed 1", "over x", ""]), [1]);
    }

    #[test]
    fn what_is_to_be_raised_is_known_until_it_was() {
        let mut sessions = OpenSessions::default();
        assert_eq!(sessions.raise_above(), None);
        sessions.note("store-changed 52");
        assert_eq!(sessions.raise_above(), Some(Some(FencingToken(52))));
        sessions.note("tokens-raised");
        assert_eq!(sessions.raise_above(), Some(None));
    }

    #[test]
    fn a_host_that_never_says_over_fills_no_memory() {
        let lines: Vec<_> = (0..100).map(|lease| format!("opened {lease}")).collect();
        let left = open_after(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(left, (100 - MOST as i64..100).rev().collect::<Vec<_>>());
    }
}
