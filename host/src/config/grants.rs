//! What an action is granted beyond computing: by default, nothing.

use std::path::PathBuf;

use super::Outbound;

/// The grants of one action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants {
    /// Whether it keeps state in the store, by `wasi:keyvalue`.
    pub state: bool,
    /// Where it may send HTTP requests to.
    pub outbound: Vec<Outbound>,
    /// Whether names in `outbound` may stand for addresses of private networks.
    pub outbound_private: bool,
    /// Whether its HTTP requests carry `soloist-host` and `soloist-token`.
    pub outbound_token: bool,
    /// The folders that it sees.
    pub folders: Vec<Folder>,
}

impl Default for Grants {
    fn default() -> Self {
        Self {
            state: false,
            outbound: Vec::new(),
            outbound_private: false,
            outbound_token: true,
            folders: Vec::new(),
        }
    }
}

/// A folder of this machine that an action sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    /// The folder.
    pub from: PathBuf,
    /// Where the plugin finds it, as in `/data`.
    pub at: String,
    /// Whether it may write there.
    pub write: bool,
}
