//! The actions in a status.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An action of this host, or something in its plugins folder that could not become one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActionEntry {
    /// Its name.
    pub name: String,
    /// Its kinds, as in `http+service`.
    pub kind: String,
    /// The group whose leader runs it.
    pub group: String,
    /// Its state on this host; `refused` if it could not become an action.
    pub state: String,
    /// The path of the plugin's file.
    pub plugin: String,
    /// The SHA-256 of the plugin's file, in hexadecimal.
    pub sha256: String,
    /// How often it was restarted in this term.
    pub restarts: u64,
    /// The address where it answers requests, if it does.
    pub listen: Option<String>,
    /// Whether that address uses TLS.
    #[serde(default)]
    pub tls: bool,
    /// Its path at that address; the shortest if it has several.
    pub path: Option<String>,
    /// All of its paths at that address.
    #[serde(default)]
    pub paths: Vec<String>,
    /// Its latest error.
    pub last_error: Option<String>,
}
