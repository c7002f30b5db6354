//! The JSON of `GET /v1/status`, for the server and for `soloist status`.
//!
//! Times are RFC 3339 in UTC. What is unknown is `null`.

mod action_entry;
mod group_entry;
mod known_host_entry;
mod order_entry;
mod store_entry;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use action_entry::ActionEntry;
pub use group_entry::{GroupEntry, GroupRole, LeaderlessEntry, StrangerEntry};
pub use known_host_entry::KnownHostEntry;
pub use order_entry::{OrderEntry, PauseEntry};
pub use store_entry::{StoreEntry, StoreState};

/// A host and what it knows of its cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The cluster's name.
    pub cluster: String,
    /// The host that answers.
    pub host: HostEntry,
    /// Its store.
    pub store: StoreEntry,
    /// The groups that have actions here or candidates anywhere, by name.
    pub groups: BTreeMap<String, GroupEntry>,
    /// The present and past hosts, by name.
    pub hosts: Vec<KnownHostEntry>,
    /// The hosts that were removed by a person, by name, with the order that did it. None of them
    /// can join before it is admitted again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub removed: BTreeMap<String, OrderEntry>,
    /// The actions of this host, by name.
    pub actions: Vec<ActionEntry>,
}

/// The host that answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HostEntry {
    /// Its name.
    pub name: String,
    /// The address of its control API.
    pub listen: String,
    /// The version of soloist that it runs.
    pub version: String,
    /// Why it cannot be a member, and so stands for no election.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<String>,
    /// Warnings that do not keep the host from anything: addresses by which hosts do not reach
    /// each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What seems wrong with its wall clock, compared with other hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
}
