//! Settings from flags and environment variables.

use std::path::PathBuf;

use super::plugin_check::PluginCheck;

/// Settings from flags and environment variables, as they were given.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// The settings file; without it `soloist.toml` in the working folder, if there is one.
    pub config: Option<PathBuf>,
    /// Overrides `host.name`.
    pub name: Option<String>,
    /// Overrides `store`.
    pub store: Option<String>,
    /// Overrides `store_tls.ca`.
    pub store_ca: Option<String>,
    /// Overrides `store_tls.cert`.
    pub store_cert: Option<String>,
    /// Overrides `store_tls.key`.
    pub store_key: Option<String>,
    /// Whether the TLS settings are for another store than this one if it does without them.
    pub tls_if_used: bool,
    /// Overrides `plugins`.
    pub plugins: Option<String>,
    /// Overrides `host.listen`.
    pub listen: Option<String>,
    /// Overrides `host.advertise`.
    pub advertise: Option<String>,
    /// Overrides `host.insecure`.
    pub insecure: bool,
    /// How messages refer to the settings file, where it was generated and no person knows it.
    pub file_alias: Option<&'static str>,
    /// Whether secrets may be missing, since nothing will run with them.
    pub without_secrets: bool,
    /// Whether the host needs all of its actions. Then problems outside the settings, such as in
    /// the plugins folder, are reported as errors too.
    pub all_or_none: bool,
    /// How to inspect plugins while checking settings. With it, mismatches between a plugin and
    /// its settings are reported, and settings that have no effect.
    pub plugin_check: Option<PluginCheck>,
}
