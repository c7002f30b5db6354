//! The hosts in a status.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OrderEntry;

/// A present or past host of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KnownHostEntry {
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
    pub joined_at: String,
    /// Whether its session is alive; `None` if unknown.
    pub live: Option<bool>,
    /// When it was first seen, if that was recorded.
    #[serde(default)]
    pub first_seen_at: Option<String>,
    /// When it was last seen, if its session is not alive.
    #[serde(default)]
    pub last_seen_at: Option<String>,
    /// The order that drained it, if it is drained.
    #[serde(default)]
    pub drained: Option<OrderEntry>,
    /// The version of soloist that it runs.
    pub version: String,
}
