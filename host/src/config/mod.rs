//! `soloist.toml`, flags and environment → a validated [`Config`].

mod timings;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc};

pub use timings::Timings;

use crate::election::Group;

/// Everything a host is told, checked: whoever holds one may rely on it.
#[derive(Clone, Debug)]
pub struct Config {
    /// The cluster's name: hosts that share it and the store form one cluster.
    pub cluster: String,
    /// Where leases, elections and members live.
    pub store: StoreUrl,
    /// The folder of the plugins.
    pub plugins: PathBuf,
    /// This host.
    pub host: HostConfig,
    /// All durations.
    pub timings: Timings,
    /// The actions, by name; those found in `plugins` without settings included.
    pub actions: Vec<ActionConfig>,
}

/// Who this host is.
#[derive(Clone, Debug)]
pub struct HostConfig {
    /// Its name, unique in the cluster.
    pub name: Arc<str>,
    /// The address of its control API.
    pub listen: SocketAddr,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// Which store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// `sqlite:PATH`: a file on this machine.
    Sqlite(PathBuf),
    /// `etcd://[USER:PASSWORD@]HOST:PORT,…`
    Etcd {
        /// The members' addresses, `host:port`.
        endpoints: Vec<String>,
        /// User and password.
        login: Option<(String, String)>,
    },
}

/// A plugin configured to run under a term.
#[derive(Clone, Debug)]
pub struct ActionConfig {
    /// Its name, unique on this host and the same on every host.
    pub name: Arc<str>,
    /// The component's file.
    pub plugin: PathBuf,
    /// The election that decides where it runs.
    pub group: Group,
    /// Where an `http` action answers while this host leads.
    pub listen: SocketAddr,
}
