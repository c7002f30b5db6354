//! The folder of a demo, and what else is needed before its hosts can start.

use std::{fs, io, path::Path};

use owo_colors::AnsiColors;
use tempfile::TempDir;

use super::{demo_host_config::DemoHostConfig, demo_ports::DemoPorts, demo_settings::DemoSettings};
use crate::cli::{ExitError, temporary_folder};
use soloist_config as config;

const CAST: [(&str, AnsiColors); 3] =
    [("a", AnsiColors::Cyan), ("b", AnsiColors::Magenta), ("c", AnsiColors::Yellow)];

/// A new folder with store and settings, and the hosts that will use it.
pub(super) struct DemoFolder {
    folder: TempDir,
    pub(super) hosts: Vec<DemoHostConfig>,
    pub(super) settings: DemoSettings,
    /// Messages about ports that were in use.
    pub(super) taken: Vec<String>,
}

impl DemoFolder {
    /// Checks what can be checked in advance, and creates the folder.
    pub(super) fn set_up(plugins: &Path) -> Result<Self, ExitError> {
        let names = names(plugins)?;
        let (ports, taken) = DemoPorts::find()?;
        let settings = DemoSettings::new(names, ports);
        let failed = |error: io::Error| temporary_folder::failed("for the demo", &error);
        let folder = temporary_folder::folder("soloist-demo-").map_err(failed)?;
        let file = folder.path().join("soloist.toml");
        fs::write(&file, settings.settings()).map_err(failed)?;
        let store = format!("sqlite:{}", folder.path().join("soloist.db").display());
        let host = |((name, color), port)| DemoHostConfig {
            name,
            port,
            color,
            settings: file.clone(),
            store: store.clone(),
            plugins: plugins.to_owned(),
        };
        let hosts = CAST.into_iter().zip(ports.hosts).map(host).collect();
        Ok(Self { folder, hosts, settings, taken })
    }

    /// Deletes the folder.
    pub(super) fn remove(self) -> Result<(), ExitError> {
        temporary_folder::remove(self.folder)
    }
}

/// The names of the plugins in the folder.
fn names(plugins: &Path) -> Result<Vec<String>, ExitError> {
    let help = "`cargo xtask plugins` builds the first ones; --plugins names another folder";
    let shown = plugins.display();
    let found = config::components(plugins).map_err(|error| {
        let problem = format!("cannot read the plugins folder `{shown}`");
        ExitError::usage(problem).caused_by(&error).help(help)
    })?;
    if found.is_empty() {
        let problem = format!("there is no component (*.wasm) in `{shown}`");
        return Err(ExitError::usage(problem).help(help));
    }
    let name = |file: &String| file.strip_suffix(".wasm").map(ToOwned::to_owned);
    Ok(found.iter().filter_map(name).collect())
}
