//! The settings of all hosts.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::etcdctl;
use super::history::Action;
use super::kind::{DRAIN, StoreKind};
use super::net::Node;
use super::{member, postgres};

/// The prefix of all keys of the cluster in etcd.
pub(super) const PREFIX: &str = "/soloist/faults/";

/// The files with settings and plugins.
pub(super) struct Settings {
    pub(super) config: PathBuf,
    pub(super) plugins: PathBuf,
    /// The folder that the action `files` reads.
    pub(super) files: PathBuf,
}

impl Settings {
    /// Writes the settings for hosts with these `plugins`, and the store at this URL.
    pub(super) fn write(
        folder: &Path,
        plugins: &[(Action, PathBuf)],
        store: &str,
        ttl: u64,
    ) -> Result<Self> {
        let settings = Self {
            config: folder.join("soloist.toml"),
            plugins: folder.join("plugins"),
            files: folder.join("files"),
        };
        fs::create_dir_all(&settings.plugins)?;
        fs::create_dir_all(&settings.files)?;
        // The default leaves a TTL of 1 s no room for a lost renewal.
        let stop = if ttl < 2 { "stop_timeout = \"300ms\"\n" } else { "" };
        let mut text = format!(
            "cluster = \"faults\"\nstore = \"{store}\"\n\n\
             [lease]\nttl = \"{ttl}s\"\n{stop}drain_timeout = \"{}s\"\n",
            DRAIN.as_secs(),
        );
        for (action, plugin) in plugins {
            text += &settings.add(*action, plugin)?;
        }
        fs::write(&settings.config, text)?;
        Ok(settings)
    }

    /// Copies a plugin into the plugins folder; returns the settings of its action.
    fn add(&self, action: Action, plugin: &Path) -> Result<String> {
        let file = plugin.file_name().context("the plugin has no name")?;
        fs::copy(plugin, self.plugins.join(file)).context("cannot copy the plugin")?;
        let (name, more) = match action {
            Action::Web => ("web", String::new()),
            Action::Register => ("register", "state = true\n".to_owned()),
            Action::Files => {
                let from = self.files.display();
                ("files", format!("mounts = [{{ source = \"{from}\", target = \"/data\" }}]\n"))
            }
        };
        let (file, port) = (Path::new(file).display(), action.port());
        Ok(format!("\n[action.{name}]\nplugin = \"{file}\"\nlisten = \"0.0.0.0:{port}\"\n{more}"))
    }
}

/// The URL of the store on these nodes.
pub(super) fn store_url(store: StoreKind, nodes: &[Node]) -> String {
    let at = |port| {
        let addresses = nodes.iter().map(|node| node.store(port).to_string());
        addresses.collect::<Vec<_>>().join(",")
    };
    match store {
        StoreKind::Etcd => format!("etcd://{}@{}", etcdctl::LOGIN, at(member::PORT)),
        StoreKind::Postgres => {
            let (login, database) = (postgres::LOGIN, postgres::DATABASE);
            format!("postgres://{login}@{}/{database}?sslmode=disable", at(postgres::PORT))
        }
    }
}
