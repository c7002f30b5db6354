//! Why a leadership ends, and a table of what each cause leads to.

use std::fmt;

/// Why a term ends, or why a candidacy ends before it became a term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// This host is being stopped.
    Shutdown,
    /// An action of the group keeps failing here.
    ActionFailed {
        /// The name of the action.
        action: String,
        /// What happened.
        reason: String,
    },
    /// An action that runs here, or a check of this host, asked to give the leadership up.
    Asked {
        /// The action or check that asked.
        by: String,
        /// The reason it gave.
        reason: String,
    },
    /// A person asked to give the leadership up.
    Commanded {
        /// Who asked.
        by: String,
        /// The reason they gave.
        reason: String,
    },
    /// Another host should lead rather than this one.
    Preferred {
        /// The name of that host.
        host: String,
    },
    /// The deadline passed without an acknowledged renewal.
    DeadlinePassed,
    /// The store no longer knows the session's lease.
    LeaseGone,
    /// The leader key was deleted by somebody else.
    KeyGone,
    /// The store is no longer the same one: it was replaced, or it went back to an older state.
    StoreChanged {
        /// What was observed about the store.
        seen: String,
    },
}

/// When a host stands for election again after its term has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandAgain {
    /// As soon as it has a session.
    AtOnce,
    /// After a pause that doubles while terms keep failing.
    AfterCooldown,
    /// Not before this process is restarted.
    Never,
}

impl EndCause {
    /// Whether work in flight may finish first. This is allowed only while the lease is safe.
    #[must_use]
    pub fn drains(&self) -> bool {
        self.consequences().0
    }

    /// A fixed one-word name of the cause, for machines to read.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::ActionFailed { .. } => "action_failed",
            Self::Asked { .. } => "asked",
            Self::Commanded { .. } => "commanded",
            Self::Preferred { .. } => "preferred",
            Self::DeadlinePassed => "deadline_passed",
            Self::LeaseGone => "lease_gone",
            Self::KeyGone => "key_gone",
            Self::StoreChanged { .. } => "store_changed",
        }
    }

    /// The words of all causes.
    pub const WORDS: [&str; 9] = [
        "shutdown",
        "action_failed",
        "asked",
        "commanded",
        "preferred",
        "deadline_passed",
        "lease_gone",
        "key_gone",
        "store_changed",
    ];

    /// Whether the session ends too, and with it every key attached to its lease.
    #[must_use]
    pub(super) const fn ends_the_session(&self) -> bool {
        matches!(self, Self::DeadlinePassed | Self::LeaseGone | Self::StoreChanged { .. })
    }

    /// When the host stands for election again.
    #[must_use]
    pub fn stand_again(&self) -> StandAgain {
        self.consequences().1
    }

    /// The table: for each cause, whether the term drains first and when the host stands again.
    fn consequences(&self) -> (bool, StandAgain) {
        match self {
            Self::Shutdown => (true, StandAgain::Never),
            Self::ActionFailed { .. } => (true, StandAgain::AfterCooldown),
            Self::Asked { .. } => (true, StandAgain::AfterCooldown),
            Self::Commanded { .. } => (true, StandAgain::AtOnce),
            Self::Preferred { .. } => (true, StandAgain::AtOnce),
            Self::DeadlinePassed => (false, StandAgain::AtOnce),
            Self::LeaseGone => (false, StandAgain::AtOnce),
            Self::KeyGone => (false, StandAgain::AtOnce),
            Self::StoreChanged { .. } => (false, StandAgain::AtOnce),
        }
    }
}

impl fmt::Display for EndCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shutdown => f.write_str("this host is stopping"),
            Self::ActionFailed { action, reason } => {
                write!(f, "action {action} keeps failing: {reason}")
            }
            Self::Asked { by, reason } => write!(f, "{by} asked for it: {reason}"),
            Self::Commanded { by, reason } if reason.is_empty() => write!(f, "{by} asked for it"),
            Self::Commanded { by, reason } => write!(f, "{by} asked for it: {reason}"),
            Self::Preferred { host } => write!(f, "{host} should lead rather than this host"),
            Self::DeadlinePassed => f.write_str("the lease was not renewed before its deadline"),
            Self::LeaseGone => f.write_str("the store no longer knows the session"),
            Self::KeyGone => f.write_str("its candidacy was deleted from the store"),
            Self::StoreChanged { seen } => f.write_str(seen),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_its_word_among_all() {
        let text = String::new;
        let causes = [
            EndCause::Shutdown,
            EndCause::ActionFailed { action: text(), reason: text() },
            EndCause::Asked { by: text(), reason: text() },
            EndCause::Commanded { by: text(), reason: text() },
            EndCause::Preferred { host: text() },
            EndCause::DeadlinePassed,
            EndCause::LeaseGone,
            EndCause::KeyGone,
            EndCause::StoreChanged { seen: text() },
        ];
        assert_eq!(causes.map(|cause| cause.word()), EndCause::WORDS);
    }
}
