//! What an action may access beyond computing; nothing by default.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use super::{OutboundGrant, Secret, SocketGrant};

/// The grants of one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants {
    /// Where the settings of the action belong, as in `plugins/web.toml` or `[action.web]`: where
    /// a hint for people sends them.
    pub written_in: Arc<str>,
    /// Whether it may keep state in the store, through `wasi:keyvalue`.
    pub state: bool,
    /// The names of the tasks that it may call; `*` allows all.
    pub tasks: Vec<String>,
    /// Where it may send HTTP requests to.
    pub outbound: Vec<OutboundGrant>,
    /// Where it may open connections or send datagrams to, through `wasi:sockets`.
    pub sockets: Vec<SocketGrant>,
    /// Whether names in `outbound` and `sockets` may resolve to private addresses.
    pub outbound_private: bool,
    /// Whether its HTTP requests carry `soloist-host` and `soloist-fencing-token`.
    pub outbound_fencing_token: bool,
    /// The folders of this machine that it may access.
    pub mounts: Vec<FolderMount>,
    /// Its command-line arguments, without its name.
    pub args: Vec<String>,
    /// Its environment variables.
    pub env: BTreeMap<String, String>,
    /// More environment variables, whose values are never shown.
    pub secrets: BTreeMap<String, Secret>,
    /// The values that it reads through `wasi:config`.
    pub config: BTreeMap<String, String>,
}

impl Default for Grants {
    fn default() -> Self {
        Self {
            written_in: "its settings".into(),
            state: false,
            tasks: Vec::new(),
            outbound: Vec::new(),
            sockets: Vec::new(),
            outbound_private: false,
            outbound_fencing_token: true,
            mounts: Vec::new(),
            args: Vec::new(),
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
            config: BTreeMap::new(),
        }
    }
}

/// A folder of this machine that an action may access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderMount {
    /// The folder on this machine.
    pub source: PathBuf,
    /// The path at which the plugin sees it, as in `/data`.
    pub target: String,
    /// Whether it may only read there.
    pub read_only: bool,
}
