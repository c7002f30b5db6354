//! The store in a status.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The store, as this host sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StoreEntry {
    /// The address of the store, without secrets.
    pub label: String,
    /// Whether this host has a session in it.
    pub state: StoreState,
    /// The error of the last failed call, until one succeeds; or the error that a campaign would
    /// meet; or how the store turned out to be a different one, while the host waits to be
    /// restarted for that reason.
    pub last_error: Option<String>,
    /// Whether what is shown of the cluster is the store's current state. If not, leaders and
    /// members are unknown.
    #[serde(default = "yes")]
    pub current: bool,
    /// When the store's state was last current, if it is not now.
    #[serde(default)]
    pub seen_at: Option<String>,
}

/// The default for hosts of a version without this field.
const fn yes() -> bool {
    true
}

/// The relation of a host to its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum StoreState {
    /// The session is open, and the store would accept a campaign.
    Ok,
    /// The session is open, but the store would accept no campaign, nor any other write.
    Unwritable,
    /// There is no session, so the host stands for no election.
    Lost,
}
