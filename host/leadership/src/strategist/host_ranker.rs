//! Ranking of hosts by custom strategies.

use std::collections::BTreeMap;

use async_trait::async_trait;

use soloist_heart::Group;
use soloist_stores::Roster;

/// For each group that is ranked, the ranks of its candidates, in the order of the queue.
pub type GroupRanks = BTreeMap<Group, Vec<i64>>;

/// Ranks the hosts of groups whose [`Strategy`](soloist_heart::Strategy) is not a built-in one.
#[async_trait]
pub trait HostRanker: Send + Sync + 'static {
    /// The ranks of all candidates that `roster` shows; the lowest should lead. Groups that cannot
    /// be ranked are left out; there the first in the queue is next.
    async fn rank(&self, roster: &Roster) -> GroupRanks;
}

/// Ranks nothing, for hosts without such groups.
#[async_trait]
impl HostRanker for () {
    async fn rank(&self, _: &Roster) -> GroupRanks {
        GroupRanks::new()
    }
}
