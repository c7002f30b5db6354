//! `soloist.toml`, flags and environment → a validated [`Config`].
//!
//! A flag beats its environment variable, which beats the file, which beats
//! the default. Everything that is wrong is found before anything starts, and
//! told with file, line and the mend.
//!
//! Invariant: whatever stands in the file with its default value could as well
//! be left out; so relative paths, written or not, start from the file's folder.

mod action;
mod actions;
mod alone;
mod api;
mod bounded;
mod file;
mod granted;
mod grants;
mod group;
mod host;
mod hosts;
pub mod inode;
mod instances;
mod job;
mod kept;
mod kinds;
mod lease;
mod lenient;
mod limits;
mod listing;
mod mounts;
mod network;
mod outbound;
mod patience;
mod problem;
mod reserved;
mod resolve;
mod resolver;
mod review;
mod schedule;
mod schema;
mod secrets;
pub mod small_file;
mod sockets;
mod source;
mod standby;
mod store_tls;
mod store_url;
mod task;
#[cfg(test)]
mod tests;
mod traces;
mod value;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

pub use action::{ActionConfig, Restart, TlsFiles};
pub use actions::{ActionSource, Reading, RefusedAction};
pub use alone::{action_of, settings_of, start_from};
pub use api::{ApiConfig, ApiRole, ApiToken, read_tokens};
pub use bounded::span;
pub use bounded::{DAY, MINUTE, MS, SECOND};
pub use grants::{Folder, Grants};
pub use group::GroupConfig;
pub use host::{HostConfig, HostTls};
pub use hosts::{IsOwn, embedded_v4};
pub use instances::{Instances, Reuse};
pub use job::{Concurrency, JobConfig, Missed};
pub use kinds::{Kind, Kinds};
pub use limits::{Limits, MEMORY_MAX};
pub use listing::components;
pub use mounts::{Mount, MountError, Place, check_mounts, clashes, mounts};
pub use network::Network;
pub use outbound::{Outbound, default_port};
pub use patience::Patience;
pub use problem::ConfigError;
pub use reserved::Reserved;
pub use review::{Look, Misfit};
pub use schedule::{Pattern, Schedule, Shown, moment, time_zone};
pub use schema::{action_schema, settings_schema};
pub use secrets::Secret;
pub use sockets::{SocketGrant, Transport};
pub use standby::{Relayed, Standby};
pub use store_tls::StoreTls;
pub use store_url::StoreUrl;
pub use task::TaskConfig;
pub use traces::TracesConfig;
pub use value::check_name;

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
    pub remarks: Vec<String>,
    /// Whether the host starts with all of its actions or not at all, as for somebody who
    /// has just named one and looks on. Else it starts with those that can be had.
    pub all_or_none: bool,
    /// The file in which compiled functions are kept one by one, for whoever edits a plugin and
    /// runs it again; else plugins are kept as a whole alone.
    pub functions: Option<PathBuf>,
    /// Where they come from, to be read again when the plugins folder changes.
    pub source: Arc<ActionSource>,
}

/// What flags and environment say: the texts as they were given.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The settings file; without it `soloist.toml` in the working folder, if there is one.
    pub config: Option<PathBuf>,
    /// `host.name`
    pub name: Option<String>,
    /// `store`
    pub store: Option<String>,
    /// `store_tls.ca`
    pub store_ca: Option<String>,
    /// `store_tls.cert`
    pub store_cert: Option<String>,
    /// `store_tls.key`
    pub store_key: Option<String>,
    /// `plugins`
    pub plugins: Option<String>,
    /// `host.listen`
    pub listen: Option<String>,
    /// `host.advertise`
    pub advertise: Option<String>,
    /// `host.insecure`
    pub insecure: bool,
    /// What messages call the settings file, where no person has written it.
    pub file_shown: Option<&'static str>,
    /// Whether secrets need not be there, since nobody is told them.
    pub without_secrets: bool,
    /// Whether all of the actions are wanted or none: then what is wrong around the settings,
    /// in the plugins folder above all, is told with what is wrong with them.
    pub all_or_none: bool,
    /// How plugins are looked at, for whoever checks the settings: what those cannot be is told
    /// with what is wrong, and what does nothing as well.
    pub look: Option<Look>,
}

impl Config {
    /// Reads and checks the settings.
    ///
    /// # Errors
    /// Tells everything that is wrong with them.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        resolve::load(std::path::Path::new(""), overrides)
    }
}
