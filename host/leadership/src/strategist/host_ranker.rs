//! Strategies of people's own.

use std::collections::BTreeMap;

use async_trait::async_trait;

use soloist_heart::Group;
use soloist_stores::Roster;

/// For each group that is ranked, the places of those who stand there, in the order of the queue.
pub type GroupRanks = BTreeMap<Group, Vec<i64>>;

/// Ranks the hosts of groups whose [`Strategy`](soloist_heart::Strategy) is none of the built-in.
#[async_trait]
pub trait HostRanker: Send + Sync + 'static {
    /// The places of all who stand, as `roster` shows them; the lowest should lead. A group about
    /// which nothing can be said is left out: there whoever came first is next.
    async fn rank(&self, roster: &Roster) -> GroupRanks;
}

/// There is no such group.
#[async_trait]
impl HostRanker for () {
    async fn rank(&self, _: &Roster) -> GroupRanks {
        GroupRanks::new()
    }
}
