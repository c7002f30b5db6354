//! The messages of a host to its supervisor: one line when a session was opened, one when nothing
//! of it is left in the store, and one when the store went back to an older state.

use std::{fmt, str::FromStr};

use soloist_heart::LeaseId;

/// How many sessions are remembered: more than a host can leave in a store within a TTL.
const MOST: usize = 16;

/// One message, which is one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SupervisorMessage {
    /// A session was opened.
    Opened(LeaseId),
    /// The session has ended, and nothing of it is left in the store.
    Over(LeaseId),
    /// The store went back to an older state: this host leads nothing until people restart it.
    WentBack,
}

const WENT_BACK: &str = "went-back";

impl fmt::Display for SupervisorMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened(lease) => write!(f, "opened {}", lease.0),
            Self::Over(lease) => write!(f, "over {}", lease.0),
            Self::WentBack => f.write_str(WENT_BACK),
        }
    }
}

impl FromStr for SupervisorMessage {
    type Err = ();

    fn from_str(line: &str) -> Result<Self, ()> {
        if line == WENT_BACK {
            return Ok(Self::WentBack);
        }
        let (word, lease) = line.split_once(' ').ok_or(())?;
        let lease = LeaseId(lease.parse().map_err(drop)?);
        match word {
            "opened" => Ok(Self::Opened(lease)),
            "over" => Ok(Self::Over(lease)),
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
    went_back: bool,
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
            Ok(SupervisorMessage::WentBack) => self.went_back = true,
            Err(()) => {}
        }
    }

    /// The sessions that may be in the store, the newest first.
    pub(super) fn open(&self) -> Vec<LeaseId> {
        self.open.clone()
    }

    /// Whether the host has seen the store go back to an older state.
    pub(super) fn went_back(&self) -> bool {
        self.went_back
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
            SupervisorMessage::WentBack,
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
    fn a_host_that_never_says_over_fills_no_memory() {
        let lines: Vec<_> = (0..100).map(|lease| format!("opened {lease}")).collect();
        let left = open_after(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(left, (100 - MOST as i64..100).rev().collect::<Vec<_>>());
    }
}
