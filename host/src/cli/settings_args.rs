//! The flags that override settings, for every command that reads settings.

use std::path::PathBuf;

use clap::{Args, builder::FalseyValueParser};

use soloist_config::Overrides;

/// Which settings hold: the file, and what beats it.
#[derive(Debug, Args)]
pub(super) struct SettingsArgs {
    /// The settings file [default: soloist.toml, if there is one]
    #[arg(long, env = "SOLOIST_CONFIG", value_name = "FILE", hide_env_values = true)]
    config: Option<PathBuf>,
    /// This host's name in the cluster [default: the machine's name]
    #[arg(long, env = "SOLOIST_NAME", hide_env_values = true)]
    name: Option<String>,
    /// The store: sqlite:FILE, or etcd://HOST:PORT,…, with TLS etcds://… [default:
    /// sqlite:soloist.db]
    // The value may hold a password, which help must not show.
    #[arg(long, env = "SOLOIST_STORE", value_name = "URL", hide_env_values = true)]
    store: Option<String>,
    /// Who has signed what etcd shows (PEM) [default: those that browsers trust]
    #[arg(long, env = "SOLOIST_STORE_CA", value_name = "FILE", hide_env_values = true)]
    store_ca: Option<String>,
    /// The certificate (PEM) to show to etcd
    #[arg(long, env = "SOLOIST_STORE_CERT", value_name = "FILE", hide_env_values = true)]
    store_cert: Option<String>,
    /// Its private key (PEM)
    #[arg(long, env = "SOLOIST_STORE_KEY", value_name = "FILE", hide_env_values = true)]
    store_key: Option<String>,
    /// The folder of the plugins [default: plugins]
    #[arg(long, env = "SOLOIST_PLUGINS", value_name = "DIR", hide_env_values = true)]
    plugins: Option<String>,
    /// The address of the control API [default: 127.0.0.1:4000]
    #[arg(long, env = "SOLOIST_LISTEN", value_name = "ADDR", hide_env_values = true)]
    listen: Option<String>,
    /// Where other hosts reach the control API [default: http://ADDR, with
    /// the machine's name where ADDR stands for every address]
    #[arg(long, env = "SOLOIST_ADVERTISE", value_name = "URL", hide_env_values = true)]
    advertise: Option<String>,
    /// Let the control API listen where other machines reach it without TLS or without asking
    /// who they are; the network itself must keep strangers out
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
