//! The events that the heart takes in.

use std::time::Duration;

use super::{EndCause, FencingToken, Group, LeaderKey, LeaseId};
use crate::clock::BootTime;

/// Something that has happened.
///
/// Every command that asks the store for something is answered by exactly one event, which is a
/// failure if no answer came in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeartEvent {
    /// Time has passed; nothing else happened.
    Tick,
    /// The store granted a lease.
    Granted {
        /// The new lease.
        lease: LeaseId,
        /// The lease's time to live.
        ttl: Duration,
        /// When the lease was requested.
        sent: BootTime,
    },
    /// The store granted no lease.
    GrantFailed,
    /// The store acknowledged a renewal.
    Renewed {
        /// The renewed lease.
        lease: LeaseId,
        /// The lease's time to live.
        ttl: Duration,
        /// When the renewal was sent, as opposed to when the answer arrived.
        sent: BootTime,
    },
    /// A renewal was not acknowledged. The store may have carried it out anyway.
    RenewFailed {
        /// The lease that was to be renewed.
        lease: LeaseId,
    },
    /// The store reported that it does not know the lease.
    LeaseGone {
        /// The lease that is gone.
        lease: LeaseId,
    },
    /// The host is among the members, with the session of `lease`.
    Joined {
        /// The lease of the session that joined.
        lease: LeaseId,
    },
    /// The host cannot join the members, or is no longer one of them. A running term continues.
    NotJoined {
        /// The lease of the session that could not join.
        lease: LeaseId,
        /// Why it could not join.
        reason: String,
    },
    /// Another thread saw the deadline pass before the heart did: it counts as passed.
    DeadlinePassed {
        /// The lease whose deadline passed.
        lease: LeaseId,
    },
    /// The store is no longer the same one; what it reported about leases and keys belongs to
    /// another history.
    StoreChanged {
        /// What was observed about the store.
        seen: String,
        /// The highest fencing token that it may have given out before.
        above: FencingToken,
    },
    /// Every fencing token that the store gives out from now on is higher than this one.
    TokensRaised {
        /// The fencing token.
        above: FencingToken,
    },
    /// The store could not raise its fencing tokens.
    RaiseFailed,
    /// The lease was revoked, or could not be and has to run out by itself. In the latter case a
    /// second event may follow, when the lease was revoked after all.
    Released {
        /// The lease that was given back.
        lease: LeaseId,
    },
    /// A campaign returned: this host appears to lead.
    Won {
        /// The number of the campaign.
        attempt: u64,
        /// The key with which the campaign won.
        key: LeaderKey,
    },
    /// A campaign broke off with an error.
    CampaignFailed {
        /// The group of the campaign.
        group: Group,
        /// The number of the campaign.
        attempt: u64,
    },
    /// The key was re-read from the store.
    Verified {
        /// The key that was re-read.
        key: LeaderKey,
        /// Whether the key still exists, still belongs to this host and is still first in its
        /// group.
        holds: bool,
    },
    /// The key could not be re-read.
    VerifyFailed {
        /// The key that should have been re-read.
        key: LeaderKey,
    },
    /// The store shows a key of this session in the queue of its group.
    ///
    /// A withdrawal or a broken campaign may leave such a key behind; it would block the group for
    /// as long as the session lives.
    KeyQueued {
        /// The key in the queue.
        key: LeaderKey,
    },
    /// The key was observed to be gone.
    KeyGone {
        /// The key that is gone.
        key: LeaderKey,
    },
    /// None of the term's work is in flight any more.
    Drained {
        /// The term's key.
        key: LeaderKey,
    },
    /// No part of the term is alive any more.
    Stopped {
        /// The term's key.
        key: LeaderKey,
    },
    /// The key was given up, or was already gone.
    Resigned {
        /// The key that was given up.
        key: LeaderKey,
    },
    /// The key could not be given up.
    ResignFailed {
        /// The key that should have been given up.
        key: LeaderKey,
    },
    /// The group's actions can run on this host.
    Ready {
        /// The group that is ready.
        group: Group,
    },
    /// The group's actions cannot run on this host.
    NotReady {
        /// The group that is not ready.
        group: Group,
        /// Why its actions cannot run.
        reason: String,
    },
    /// People do not want this host to stand in the group. A running term continues.
    Barred {
        /// The barred group.
        group: Group,
        /// Who wants it, and why.
        reason: String,
    },
    /// People no longer object to this host standing in the group.
    Unbarred {
        /// The group that is no longer barred.
        group: Group,
    },
    /// Another candidate should be next: this host is to leave the queue and stand again, in last
    /// place.
    StepBack {
        /// The group in which to step back.
        group: Group,
    },
    /// The leadership is to be handed over to the next candidate in line.
    HandOver {
        /// The term's key.
        key: LeaderKey,
        /// Why the leadership is handed over.
        cause: EndCause,
    },
    /// This host is about to stop: it leads nothing and stands for nothing any more. Its session
    /// stays alive for its other work.
    StandDown,
    /// This host is to stop, and its session is to end.
    Shutdown,
}

impl HeartEvent {
    /// The group that the event concerns, if it concerns a single one.
    #[must_use]
    pub fn group(&self) -> Option<&Group> {
        match self {
            Self::Won { key, .. }
            | Self::Verified { key, .. }
            | Self::VerifyFailed { key }
            | Self::KeyQueued { key }
            | Self::KeyGone { key }
            | Self::Drained { key }
            | Self::Stopped { key }
            | Self::Resigned { key }
            | Self::ResignFailed { key }
            | Self::HandOver { key, .. } => Some(&key.group),
            Self::CampaignFailed { group, .. }
            | Self::Ready { group }
            | Self::NotReady { group, .. }
            | Self::Barred { group, .. }
            | Self::Unbarred { group }
            | Self::StepBack { group } => Some(group),
            _ => None,
        }
    }
}
