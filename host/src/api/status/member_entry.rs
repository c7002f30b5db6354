//! The hosts in a status.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

/// A member of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberEntry {
    /// Its name.
    pub name: String,
    /// The URL of its control API.
    pub url: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The tasks that it accepts calls of.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tasks: BTreeSet<Arc<str>>,
    /// When it joined.
    pub joined: String,
    /// Whether its session is alive; `None` if unknown.
    pub live: Option<bool>,
    /// When it was first seen, if that was recorded.
    #[serde(default)]
    pub first_seen: Option<String>,
    /// When it was last seen, if its session is not alive.
    #[serde(default)]
    pub last_seen: Option<String>,
    /// Who drained it, and why.
    #[serde(default)]
    pub drained: Option<String>,
    /// The version of soloist that it runs.
    pub version: String,
}
