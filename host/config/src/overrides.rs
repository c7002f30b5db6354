//! What flags and environment say.

use std::path::PathBuf;

use super::plugin_check::PluginCheck;

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
    pub file_alias: Option<&'static str>,
    /// Whether secrets need not be there, since nobody is told them.
    pub without_secrets: bool,
    /// Whether all of the actions are wanted or none: then what is wrong around the settings,
    /// in the plugins folder above all, is told with what is wrong with them.
    pub all_or_none: bool,
    /// How plugins are looked at, for whoever checks the settings: what those cannot be is told
    /// with what is wrong, and what does nothing as well.
    pub look: Option<PluginCheck>,
}
