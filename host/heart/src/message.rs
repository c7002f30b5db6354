//! What the heart hears and what it says.

use std::time::Duration;

use super::{EndCause, Group, LeaderKey, LeaseId};
use crate::clock::BootTime;

/// Something that happened.
///
/// Every command that asks the store for something is answered by exactly one
/// event, a failure where the answer did not come in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeartEvent {
    /// Time has passed.
    Tick,
    /// A lease was granted to the request that was sent at `sent`.
    Granted {
        /// The new lease.
        lease: LeaseId,
        /// Its time to live.
        ttl: Duration,
        /// When it was asked for.
        sent: BootTime,
    },
    /// No lease was granted.
    GrantFailed,
    /// The renewal that was sent at `sent` is acknowledged.
    Renewed {
        /// The lease.
        lease: LeaseId,
        /// Its time to live.
        ttl: Duration,
        /// When the renewal was sent; never when the answer came.
        sent: BootTime,
    },
    /// A renewal was not acknowledged. It may have arrived all the same.
    RenewFailed {
        /// The lease.
        lease: LeaseId,
    },
    /// The store said that it does not know the lease.
    LeaseGone {
        /// The lease.
        lease: LeaseId,
    },
    /// The host is among the members, by the session of `lease`.
    Joined {
        /// The lease.
        lease: LeaseId,
    },
    /// The host cannot be among the members, or not any more; a term that runs goes on.
    NotJoined {
        /// The lease.
        lease: LeaseId,
        /// Why not.
        reason: String,
    },
    /// Somebody saw the deadline pass before the heart did: it counts as passed.
    DeadlinePassed {
        /// The lease.
        lease: LeaseId,
    },
    /// The store is not the one that it was: what it said of leases and keys is of
    /// another history.
    StoreChanged {
        /// What was seen of it.
        seen: String,
        /// Whether it gives out tokens that were given out before.
        behind: bool,
    },
    /// The lease was revoked, or will have to run out by itself. In the latter
    /// case it may be told again, when it was revoked after all.
    Released {
        /// The lease.
        lease: LeaseId,
    },
    /// A campaign returned: this host seems to lead.
    Won {
        /// Which campaign.
        attempt: u64,
        /// The key that it won with.
        key: LeaderKey,
    },
    /// A campaign broke off.
    CampaignFailed {
        /// The group.
        group: Group,
        /// Which campaign.
        attempt: u64,
    },
    /// The key was re-read.
    Verified {
        /// The key that was re-read.
        key: LeaderKey,
        /// Whether it is still there, still ours and first in its group.
        holds: bool,
    },
    /// The key could not be re-read.
    VerifyFailed {
        /// The key.
        key: LeaderKey,
    },
    /// The store shows this key of the session in the queue of its group.
    ///
    /// A withdrawal or a broken campaign may leave one behind; it would block
    /// the group for as long as the session lives.
    KeyQueued {
        /// The key.
        key: LeaderKey,
    },
    /// The key was seen to be gone.
    KeyGone {
        /// The key.
        key: LeaderKey,
    },
    /// Nothing of the term is in flight any more.
    Drained {
        /// The term's key.
        key: LeaderKey,
    },
    /// Nothing of the term is alive any more.
    Stopped {
        /// The term's key.
        key: LeaderKey,
    },
    /// The key is given up, or was gone before.
    Resigned {
        /// The key.
        key: LeaderKey,
    },
    /// The key could not be given up.
    ResignFailed {
        /// The key.
        key: LeaderKey,
    },
    /// The group's actions can run here.
    Ready {
        /// The group.
        group: Group,
    },
    /// The group's actions cannot run here.
    NotReady {
        /// The group.
        group: Group,
        /// Why not.
        reason: String,
    },
    /// People want this host not to stand in the group; a term that runs goes on.
    Barred {
        /// The group.
        group: Group,
        /// Who wants it, and why.
        reason: String,
    },
    /// They do so no longer.
    Unbarred {
        /// The group.
        group: Group,
    },
    /// Another candidate should be next: this one is to leave the queue and stand last.
    StepBack {
        /// The group.
        group: Group,
    },
    /// The leadership is to be given up, so that the next in line leads.
    HandOver {
        /// The term's key.
        key: LeaderKey,
        /// Why.
        cause: EndCause,
    },
    /// This host is to stop: it leads nothing and stands for nothing any more. Its session
    /// goes on, for what else it does by that.
    StandDown,
    /// This host is to stop, and its session ends.
    Shutdown,
}

/// Something to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeartCommand {
    /// Ask the store for a lease; the request counts as sent at `sent`.
    Grant {
        /// Now.
        sent: BootTime,
    },
    /// Renew the lease; the request counts as sent at `sent`.
    Renew {
        /// The lease.
        lease: LeaseId,
        /// Now.
        sent: BootTime,
    },
    /// Give the lease back: the session is over.
    Revoke {
        /// The lease.
        lease: LeaseId,
    },
    /// Stand for election.
    Campaign {
        /// Where.
        group: Group,
        /// With which lease.
        lease: LeaseId,
        /// The campaign's number, to tell its answer from an older one's.
        attempt: u64,
    },
    /// Stop standing; the campaign gives no answer any more.
    Withdraw {
        /// Where.
        group: Group,
        /// Which campaign.
        attempt: u64,
    },
    /// Re-read the key.
    Verify {
        /// The key.
        key: LeaderKey,
    },
    /// The term begins: start the group's actions.
    Start {
        /// The key of the term.
        key: LeaderKey,
        /// Until when the session may be relied on.
        deadline: BootTime,
    },
    /// The session was renewed: every term that runs under it may go on until then.
    Extend {
        /// The session's lease.
        lease: LeaseId,
        /// The new deadline.
        deadline: BootTime,
    },
    /// Admit nothing new and let what is in flight finish.
    Drain {
        /// The term's key.
        key: LeaderKey,
        /// Why.
        cause: EndCause,
    },
    /// Interrupt everything at once.
    Stop {
        /// The term's key.
        key: LeaderKey,
        /// Why.
        cause: EndCause,
    },
    /// Give the leadership up.
    Resign {
        /// The key.
        key: LeaderKey,
    },
}

impl HeartEvent {
    /// The group that the event is about, if it is about one.
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
