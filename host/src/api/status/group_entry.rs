//! The groups in a status.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PauseEntry;

/// A group, as this host sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GroupEntry {
    /// The host that leads; `null` if no host does, or if it is unknown: see `current` of the store.
    pub leader: Option<String>,
    /// The leader when it was last known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_known_leader: Option<String>,
    /// The URL of the leader's control API.
    pub leader_url: Option<String>,
    /// The fencing token of the current term.
    pub fencing_token: Option<i64>,
    /// The host that is next in line.
    pub next_leader: Option<String>,
    /// The hosts on standby in the order in which they would become leader, the next in line first.
    #[serde(default)]
    pub standbys: Vec<String>,
    /// The role of this host.
    pub role: GroupRole,
    /// Since when the current leader leads.
    pub leading_since: Option<String>,
    /// Why the store does not say since when the leader leads, if that could not be written there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unproclaimed: Option<String>,
    /// The time to the deadline by which the term must have ended unless the lease is renewed, in
    /// milliseconds; only the leader knows it.
    pub deadline_in_ms: Option<u64>,
    /// Why this host does not stand for election here.
    pub obstacle: Option<String>,
    /// The strategy by which this host prefers leaders.
    #[serde(default)]
    pub strategy: String,
    /// The order that paused changes of its leadership, if it is paused.
    #[serde(default)]
    pub paused: Option<PauseEntry>,
    /// The hosts whose settings differ from this host's in whether the group is spread.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread_differs: Option<String>,
    /// Since when nobody performs, and why; `None` while somebody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaderless: Option<LeaderlessEntry>,
    /// The keys in its queue that belong to no host, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strangers: Vec<StrangerEntry>,
}

/// A group in which nobody performs, as far as this host knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeaderlessEntry {
    /// Since when nobody performs.
    pub since: String,
    /// Why, and what to do about it.
    pub why: String,
    /// The key that heads the queue, if there is one.
    pub key: Option<String>,
    /// The lease of this key, as `etcdctl lease list` prints it.
    pub lease: Option<String>,
}

/// A key in a group's queue that soloist did not write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StrangerEntry {
    /// Its name in the store.
    pub key: String,
    /// The lease of the key; without one it stays until it is removed.
    pub lease: Option<String>,
    /// When it was seen first.
    pub first_seen_at: String,
    /// The command that removes it.
    pub remove: String,
}

/// The role of a host in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum GroupRole {
    /// It leads.
    Leader,
    /// Its term is ending.
    Draining,
    /// It is next in line.
    Next,
    /// It is waiting in the queue.
    Standby,
    /// It does not stand for election.
    Out,
}
