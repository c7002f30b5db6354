//! The commands that the heart issues.

use super::{EndCause, FencingToken, Group, LeaderKey, LeaseId};
use crate::clock::BootTime;

/// Something for the caller to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeartCommand {
    /// Ask the store for a lease.
    Grant {
        /// The current time, which counts as the time of the request.
        sent: BootTime,
    },
    /// Renew the lease.
    Renew {
        /// The lease to renew.
        lease: LeaseId,
        /// The current time, which counts as the time of the request.
        sent: BootTime,
    },
    /// Give the lease back: the session has ended.
    Revoke {
        /// The lease to revoke.
        lease: LeaseId,
    },
    /// Make the store give out higher fencing tokens only. Answered by
    /// [`TokensRaised`](super::HeartEvent::TokensRaised) or
    /// [`RaiseFailed`](super::HeartEvent::RaiseFailed).
    RaiseTokens {
        /// The fencing token that all later ones must exceed.
        above: FencingToken,
    },
    /// Stand for election.
    Campaign {
        /// The group to stand in.
        group: Group,
        /// The lease to stand with.
        lease: LeaseId,
        /// The number of the campaign, which tells its answer apart from an older one's.
        attempt: u64,
    },
    /// Stop standing; the campaign gives no answer any more.
    Withdraw {
        /// The group to leave.
        group: Group,
        /// The number of the campaign to end.
        attempt: u64,
    },
    /// Re-read the key from the store.
    Verify {
        /// The key to re-read.
        key: LeaderKey,
    },
    /// The term begins: start the group's actions.
    Start {
        /// The key of the term.
        key: LeaderKey,
        /// The moment until which the session can be relied on.
        deadline: BootTime,
    },
    /// The session was renewed: every term that runs under its lease may continue until the new
    /// deadline.
    Extend {
        /// The session's lease.
        lease: LeaseId,
        /// The new deadline.
        deadline: BootTime,
    },
    /// Admit no new work, and let work in flight finish.
    Drain {
        /// The term's key.
        key: LeaderKey,
        /// Why the term ends.
        cause: EndCause,
    },
    /// Interrupt everything at once.
    Stop {
        /// The term's key.
        key: LeaderKey,
        /// Why the term ends.
        cause: EndCause,
    },
    /// Give up the leadership.
    Resign {
        /// The key to give up.
        key: LeaderKey,
    },
}
