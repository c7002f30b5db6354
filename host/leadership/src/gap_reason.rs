//! Why nobody performs in a group.

use std::{fmt, sync::Arc};

use crate::{
    host_view::{CandidacyRole, HostView},
    roster_view::KnownRoster,
};
use soloist_heart::{Group, LeaderKey};
use soloist_stores::{ForeignCandidate, QueuedCandidate, Roster};
use soloist_text::with_reason;

/// Why nobody performs in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GapReason {
    /// This host has no session in the store or no current roster, so it does not know.
    Unknown,
    /// No host stands for election.
    Nobody,
    /// A pause keeps all hosts from standing.
    Paused {
        /// Who paused the group, and why.
        by: String,
        /// The command that lets hosts stand again.
        resume: String,
    },
    /// The store was set back or replaced: nobody leads until every lease of before has run out.
    Grace,
    /// The head of the queue belongs to no host.
    Stranger(Arc<ForeignCandidate>),
    /// The host that heads the queue has not said that it leads.
    Silent {
        /// Its name.
        host: String,
        /// The key that it stands with.
        key: LeaderKey,
    },
}

impl fmt::Display for GapReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str(
                "this host does not hear from the store, or has no session there, and does \
                     not know",
            ),
            Self::Nobody => f.write_str("no host stands for election"),
            Self::Paused { by, resume } => {
                write!(f, "a pause by {by} stops failover; `{resume}` lets a host lead")
            }
            Self::Grace => f.write_str(
                "the store was restored or replaced, so nobody leads before every lease that it \
                 may have forgotten has run out",
            ),
            Self::Stranger(it) => {
                write!(f, "{it} heads its queue; `{}` removes that", it.remove)
            }
            Self::Silent { host, key } => write!(
                f,
                "{host} heads its queue (entry {}, session {}) and has not said that it leads: \
                 it may hang, or be unable to write so (what does its own status say?); if it \
                 answers nothing and is stopped, the next one leads",
                key.key, key.lease
            ),
        }
    }
}

impl GapReason {
    /// Why nobody performs in `group`, by what a host knows: a host that leads knows that it does,
    /// and a host without a current roster knows nothing of others.
    #[must_use]
    pub fn of_known(group: &Group, known: &KnownRoster, view: &HostView) -> Option<Self> {
        match known {
            KnownRoster::Now(roster) => Self::of(group, roster, view),
            KnownRoster::Before { .. } | KnownRoster::Nothing => {
                Self::of(group, &Roster::default(), view).map(|_| Self::Unknown)
            }
        }
    }

    /// Why nobody performs in `group`, by the roster and by what a host knows of itself; none if
    /// somebody performs.
    #[must_use]
    pub fn of(group: &Group, roster: &Roster, view: &HostView) -> Option<Self> {
        let here = view.groups.get(group).map(|view| view.role);
        if matches!(here, Some(CandidacyRole::Leader | CandidacyRole::Draining)) {
            return None;
        }
        if view.session.is_none() {
            return Some(Self::Unknown);
        }
        // If this host could not resign its key yet, it knows that nothing performs under it.
        let own =
            view.session.map(|(lease, _)| lease).filter(|_| here == Some(CandidacyRole::Resigning));
        if roster.grace {
            return Some(Self::Grace);
        }
        let performs = |leader: &QueuedCandidate| {
            leader.candidate.since.is_some() && Some(leader.key.lease) != own
        };
        match (roster.leader(group), roster.foreign_candidates(group).first()) {
            (Some(leader), _) if performs(leader) => None,
            (Some(leader), _) => {
                let (host, key) = (leader.candidate.host.clone(), leader.key.clone());
                Some(Self::Silent { host, key })
            }
            (None, Some(stranger)) => Some(Self::Stranger(Arc::clone(stranger))),
            (None, None) => Some(Self::paused(group, roster).unwrap_or(Self::Nobody)),
        }
    }

    fn paused(group: &Group, roster: &Roster) -> Option<Self> {
        let pause = roster.notes.pause_of(group).filter(|pause| !pause.keep_failover)?;
        let by = with_reason(&pause.order.by, &pause.order.reason);
        Some(Self::Paused { by, resume: roster.notes.resume_command(group) })
    }

    /// The text for several groups that have this reason in common.
    pub fn of_several(&self) -> String {
        match self {
            Self::Silent { host, .. } => {
                format!("{host} heads their queues and has not said that it leads")
            }
            reason => reason.to_string(),
        }
    }
}
