//! How plugins are inspected while settings are checked. This crate is below the one that knows
//! plugins, so the caller passes a function in.

use super::{ActionConfig, Kinds};

/// Determines the kinds that an action runs as from its plugin and its settings, or why it cannot
/// run.
pub type PluginCheck = fn(&ActionConfig) -> Result<Kinds, PluginMismatch>;

/// Why a plugin does not fit the settings of its action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PluginMismatch {
    /// What is wrong, and what to do about it.
    pub why: String,
    /// The settings key that is responsible.
    pub key: &'static str,
}
