//! How plugins are looked at while settings are checked: plugins are above the settings.

use super::{ActionConfig, Kinds};

/// Says what an action is run as, by its plugin and its settings; or why it cannot be.
pub type PluginCheck = fn(&ActionConfig) -> Result<Kinds, PluginMismatch>;

/// Why a plugin cannot be run as the settings of its action want it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginMismatch {
    /// What is wrong, and the mend.
    pub why: String,
    /// The key of the settings that is about it.
    pub key: &'static str,
}
