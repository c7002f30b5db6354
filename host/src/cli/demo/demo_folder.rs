//! The folder of a demo, and what else is needed before its hosts can start.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use owo_colors::AnsiColors;
use tempfile::TempDir;

use super::{
    demo_host_config::DemoHostConfig, demo_plugins::DemoPlugins, demo_ports::DemoPorts,
    demo_settings::DemoSettings,
};
use crate::cli::{ExitError, temporary_folder};

const CAST: [(&str, AnsiColors); 3] =
    [("a", AnsiColors::Cyan), ("b", AnsiColors::Magenta), ("c", AnsiColors::Yellow)];

const EMBEDDED_NOTE: &str = "there is no plugin in `plugins`, so the demo shows the one that is \
                             part of this program: i-am-server";

/// A new folder with store and settings, and the hosts that will use it.
pub(super) struct DemoFolder {
    folder: TempDir,
    pub(super) hosts: Vec<DemoHostConfig>,
    pub(super) settings: DemoSettings,
    /// The folder of the plugins.
    pub(super) plugins: PathBuf,
    /// What is to be said of the start: which plugin is shown, and ports that were in use.
    pub(super) notes: Vec<String>,
}

impl DemoFolder {
    /// Checks what can be checked in advance, and creates the folder.
    pub(super) fn set_up(plugins: Option<&Path>) -> Result<Self, ExitError> {
        let failed = |error: io::Error| temporary_folder::failed("for the demo", &error);
        let folder = temporary_folder::folder("soloist-demo-").map_err(failed)?;
        let plugins = DemoPlugins::find(plugins, folder.path())?;
        let (ports, taken) = DemoPorts::find()?;
        let settings = DemoSettings::new(plugins.names, ports);
        let file = folder.path().join("soloist.toml");
        fs::write(&file, settings.settings()).map_err(failed)?;
        let store = format!("sqlite:{}", folder.path().join("soloist.db").display());
        let host = |((name, color), port)| DemoHostConfig {
            name,
            port,
            color,
            settings: file.clone(),
            store: store.clone(),
            plugins: plugins.folder.clone(),
        };
        let hosts = CAST.into_iter().zip(ports.hosts).map(host).collect();
        let notes = plugins.embedded.then(|| EMBEDDED_NOTE.to_owned()).into_iter();
        let notes = notes.chain(taken).collect();
        Ok(Self { folder, hosts, settings, plugins: plugins.folder, notes })
    }

    /// Deletes the folder.
    pub(super) fn remove(self) -> Result<(), ExitError> {
        temporary_folder::remove(self.folder)
    }
}
