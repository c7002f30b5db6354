//! The flags that override settings, for every command that reads settings.

use std::path::PathBuf;

use clap::{Args, builder::FalseyValueParser};

use soloist_config::Overrides;

/// The settings file, and the flags that override it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Settings")]
pub(super) struct SettingsArgs {
    /// The settings file [default: soloist.toml, if there is one]
    #[arg(long, env = "SOLOIST_CONFIG", value_name = "FILE", hide_env_values = true)]
    config: Option<PathBuf>,
    /// This host's name in the cluster [default: the machine's name]
    #[arg(long, env = "SOLOIST_NAME", value_name = "HOST", hide_env_values = true)]
    name: Option<String>,
    /// The store: sqlite:FILE, postgres://HOST:PORT/DATABASE, etcd://HOST:PORT,…, or
    /// etcds://HOST:PORT,… with TLS [default: sqlite:soloist.db]
    // The value may hold a password, which help must not show.
    #[arg(long, env = "SOLOIST_STORE", value_name = "URL", hide_env_values = true)]
    store: Option<String>,
    /// The CA certificates (PEM) that sign etcd's certificate [default: Mozilla's root store]
    #[arg(long, env = "SOLOIST_STORE_CA", value_name = "FILE", hide_env_values = true)]
    store_ca: Option<String>,
    /// The client certificate (PEM) to show to etcd
    #[arg(long, env = "SOLOIST_STORE_CERT", value_name = "FILE", hide_env_values = true)]
    store_cert: Option<String>,
    /// The private key (PEM) of that certificate
    #[arg(long, env = "SOLOIST_STORE_KEY", value_name = "FILE", hide_env_values = true)]
    store_key: Option<String>,
    /// The plugins folder [default: plugins]
    #[arg(long, env = "SOLOIST_PLUGINS", value_name = "DIR", hide_env_values = true)]
    plugins: Option<String>,
    /// The address of the control API [default: 127.0.0.1:4000]
    #[arg(long, env = "SOLOIST_LISTEN", value_name = "ADDR", hide_env_values = true)]
    listen: Option<String>,
    /// The URL at which other hosts reach the control API [default: http://ADDR, with the machine's
    /// name where ADDR stands for every address]
    #[arg(long, env = "SOLOIST_ADVERTISE", value_name = "URL", hide_env_values = true)]
    advertise: Option<String>,
    /// Let the control API listen where other machines reach it without TLS or without tokens; the
    /// network itself must then admit trusted clients only
    #[arg(
        long,
        env = "SOLOIST_INSECURE",
        hide_env_values = true,
        value_parser = FalseyValueParser::new()
    )]
    insecure: bool,
}

impl SettingsArgs {
    /// The overrides that these flags give.
    pub(super) fn overrides(&self) -> Overrides {
        Overrides {
            config: self.config.clone(),
            name: self.name.clone(),
            store: self.store.clone(),
            store_ca: self.store_ca.clone(),
            store_cert: self.store_cert.clone(),
            store_key: self.store_key.clone(),
            plugins: self.plugins.clone(),
            listen: self.listen.clone(),
            advertise: self.advertise.clone(),
            insecure: self.insecure,
            ..Overrides::default()
        }
    }
}
