//! What an action is granted beyond computing: by default, nothing.

use std::{collections::BTreeMap, path::PathBuf};

use super::{OutboundGrant, Secret, SocketGrant};

/// The grants of one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants {
    /// Whether it keeps state in the store, by `wasi:keyvalue`.
    pub state: bool,
    /// The tasks that it may call; `*` stands for all of them.
    pub tasks: Vec<String>,
    /// Where it may send HTTP requests to.
    pub outbound: Vec<OutboundGrant>,
    /// Where it may connect or send datagrams to, by `wasi:sockets`.
    pub sockets: Vec<SocketGrant>,
    /// Whether names in `outbound` and `sockets` may stand for addresses of private networks.
    pub outbound_private: bool,
    /// Whether its HTTP requests carry `soloist-host` and `soloist-token`.
    pub outbound_token: bool,
    /// The folders that it sees.
    pub folders: Vec<FolderGrant>,
    /// The arguments that it is called with, after its name.
    pub args: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// What joins its environment, and is shown nowhere.
    pub secrets: BTreeMap<String, Secret>,
    /// Its settings, as `wasi:config` shows them.
    pub config: BTreeMap<String, String>,
}

impl Default for Grants {
    fn default() -> Self {
        Self {
            state: false,
            tasks: Vec::new(),
            outbound: Vec::new(),
            sockets: Vec::new(),
            outbound_private: false,
            outbound_token: true,
            folders: Vec::new(),
            args: Vec::new(),
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
            config: BTreeMap::new(),
        }
    }
}

/// A folder of this machine that an action sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderGrant {
    /// The folder.
    pub from: PathBuf,
    /// Where the plugin finds it, as in `/data`.
    pub at: String,
    /// Whether it may write there.
    pub write: bool,
}
