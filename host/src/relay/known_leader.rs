//! The leader of a group, as the relay sees it.

use soloist_heart::FencingToken;

/// The leader of a group, as far as this host knows.
#[derive(Clone, Debug)]
pub(super) struct KnownLeader {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) instance: String,
    pub(super) fencing_token: FencingToken,
    /// Whether it is another host than this one.
    pub(super) is_other: bool,
}
