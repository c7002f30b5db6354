//! Why a leadership ends, and the one table of what follows from it.

use std::fmt;

/// Why a term ends, or a candidacy before it became one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EndCause {
    /// This host is being stopped.
    Shutdown,
    /// An action of the group keeps failing here.
    ActionFailed {
        /// The action.
        action: String,
        /// What happened.
        reason: String,
    },
    /// What runs here asked for it.
    Asked {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// People asked for it.
    Commanded {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// Another host should lead rather than this one.
    Preferred {
        /// Who.
        host: String,
    },
    /// The deadline passed without an acknowledged renewal.
    DeadlinePassed,
    /// The store no longer knows the session's lease.
    LeaseGone,
    /// The leader key was deleted by somebody else.
    KeyGone,
    /// The store is not the one that it was.
    StoreChanged {
        /// What was seen of it.
        seen: String,
    },
}

/// When a host stands again after its term ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StandAgain {
    /// As soon as it has a session.
    AtOnce,
    /// After a pause that doubles while terms keep failing.
    AfterCoolDown,
    /// Not in this life of the process.
    Never,
}

impl EndCause {
    /// Whether work in flight may finish first. That is so only while the lease is safe.
    #[must_use]
    pub fn drains(&self) -> bool {
        self.consequences().0
    }

    /// The cause in one word that stays the same, for machines.
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

    /// Whether the session ended with it, and with that whatever hung on its lease.
    #[must_use]
    pub(super) const fn ends_the_session(&self) -> bool {
        matches!(self, Self::DeadlinePassed | Self::LeaseGone | Self::StoreChanged { .. })
    }

    /// When the host stands again.
    #[must_use]
    pub fn next(&self) -> StandAgain {
        self.consequences().1
    }

    /// The table: cause → does it drain, when does the host stand again.
    fn consequences(&self) -> (bool, StandAgain) {
        match self {
            Self::Shutdown => (true, StandAgain::Never),
            Self::ActionFailed { .. } => (true, StandAgain::AfterCoolDown),
            Self::Asked { .. } => (true, StandAgain::AfterCoolDown),
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
