//! What a host tells its supervisor: one line for each session that was opened,
//! one when nothing of it is left, and one when the store went back.

use std::{fmt, str::FromStr};

use soloist_heart::LeaseId;

/// More sessions than a host can have left in a store within a TTL.
const MOST: usize = 16;

/// One line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SupervisorMessage {
    /// A session was opened.
    Opened(LeaseId),
    /// Nothing of it is left in the store.
    Over(LeaseId),
    /// The store went back: this host leads nothing until somebody restarts it.
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

/// The sessions of one host.
#[derive(Debug, Default)]
pub(super) struct OpenSessions {
    /// Those that may be in the store, the newest first.
    open: Vec<LeaseId>,
    /// Whether there was one.
    any: bool,
    went_back: bool,
}

impl OpenSessions {
    /// Takes a line in. One that a host of another version wrote says nothing.
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

    /// Those that may be in the store, the newest first.
    pub(super) fn open(&self) -> Vec<LeaseId> {
        self.open.clone()
    }

    /// Whether the store went back under them.
    pub(super) fn went_back(&self) -> bool {
        self.went_back
    }

    /// Whether there was one.
    pub(super) fn any(&self) -> bool {
        self.any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(lines: &[&str]) -> Vec<i64> {
        let mut sessions = OpenSessions::default();
        lines.iter().for_each(|line| sessions.note(line));
        sessions.open().iter().map(|lease| lease.0).collect()
    }

    #[test]
    fn a_line_is_read_as_it_was_written() {
        for news in [
            SupervisorMessage::Opened(LeaseId(i64::MAX)),
            SupervisorMessage::Over(LeaseId(1)),
            SupervisorMessage::WentBack,
        ] {
            assert_eq!(news.to_string().parse(), Ok(news));
        }
    }

    #[test]
    fn what_is_left_are_the_sessions_that_are_not_over() {
        assert_eq!(told(&["opened 1", "opened 2", "over 1", "opened 3"]), [3, 2]);
        assert_eq!(told(&["opened 1", "over 2", "opened", "closed 1", "over x", ""]), [1]);
    }

    #[test]
    fn a_host_that_never_says_over_fills_no_memory() {
        let lines: Vec<_> = (0..100).map(|lease| format!("opened {lease}")).collect();
        let left = told(&lines.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(left, (100 - MOST as i64..100).rev().collect::<Vec<_>>());
    }
}
