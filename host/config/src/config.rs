//! The validated settings of a host.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::{
    ActionConfig, ActionSource, GroupConfig, HostConfig, RefusedAction, StoreUrl, TracesConfig,
};
use soloist_heart::{Group, Timings};

/// All settings of a host, already checked: users of a `Config` need not validate it again.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster's name: hosts that share it and the store form one cluster.
    pub cluster: String,
    /// Where leases, elections and members live.
    pub store: StoreUrl,
    /// This host.
    pub host: HostConfig,
    /// The timings of leadership.
    pub timings: Timings,
    /// Where traces go, if anywhere.
    pub traces: Option<TracesConfig>,
    /// Who should lead which group; groups that are not listed use [`GroupConfig::DEFAULT`].
    pub groups: BTreeMap<Group, GroupConfig>,
    /// The actions by name, including those found in the plugins folder without settings.
    pub actions: Vec<ActionConfig>,
    /// What could not become an action. This does not keep the host from starting.
    pub refused: Vec<RefusedAction>,
    /// Settings that are valid but have no effect, for `soloist config check`.
    pub warnings: Vec<String>,
    /// Whether the host starts with all of its actions or not at all, as when a person runs a
    /// single plugin. Otherwise it starts with those that are usable.
    pub all_or_none: bool,
    /// The file that caches single compiled functions, for people who edit a plugin and run it
    /// again. Without it only whole compiled plugins are cached.
    pub functions: Option<PathBuf>,
    /// Where the actions come from, to read them again when the plugins folder changes.
    pub source: Arc<ActionSource>,
}
