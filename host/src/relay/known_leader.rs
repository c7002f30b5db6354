//! The leader of a group, as the relay sees it.

use soloist_heart::FencingToken;

/// The leader of a group, as far as this host knows.
#[derive(Clone, Debug)]
pub(super) struct KnownLeader {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) fencing_token: FencingToken,
    /// Whether this host is the leader.
    pub(super) is_self: bool,
}
