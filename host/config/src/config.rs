//! All that a host is told.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::{
    ActionConfig, ActionSource, GroupConfig, HostConfig, RefusedAction, StoreUrl, TracesConfig,
};
use soloist_heart::{Group, Timings};

/// Everything a host is told, checked: whoever holds one may rely on it.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster's name: hosts that share it and the store form one cluster.
    pub cluster: String,
    /// Where leases, elections and members live.
    pub store: StoreUrl,
    /// This host.
    pub host: HostConfig,
    /// The durations of leadership.
    pub timings: Timings,
    /// Where traces go, if anywhere.
    pub traces: Option<TracesConfig>,
    /// Who should lead which group; the others go by [`GroupConfig::DEFAULT`].
    pub groups: BTreeMap<Group, GroupConfig>,
    /// The actions, by name; those found in the plugins folder without settings included.
    pub actions: Vec<ActionConfig>,
    /// What makes no action, and keeps no host from starting.
    pub refused: Vec<RefusedAction>,
    /// What is right and does nothing, for whoever checks the settings.
    pub warnings: Vec<String>,
    /// Whether the host starts with all of its actions or not at all, as for somebody who
    /// has just named one and looks on. Else it starts with those that can be had.
    pub all_or_none: bool,
    /// The file in which compiled functions are kept one by one, for whoever edits a plugin and
    /// runs it again; else plugins are kept as a whole alone.
    pub functions: Option<PathBuf>,
    /// Where they come from, to be read again when the plugins folder changes.
    pub source: Arc<ActionSource>,
}
