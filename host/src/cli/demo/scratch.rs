//! The folder of a demo, and what else must be there before its hosts can start.

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
};

use owo_colors::AnsiColors;
use tempfile::TempDir;

use super::part::{ACTION_PORT, Part};
use crate::{
    cli::{ExitError, temporary},
    config,
};

const CAST: [(&str, u16, AnsiColors); 3] = [
    ("a", 4001, AnsiColors::Cyan),
    ("b", 4002, AnsiColors::Magenta),
    ("c", 4003, AnsiColors::Yellow),
];
/// A short TTL: the pause after a kill is what people came to see.
const SETTINGS: &str = "cluster = \"demo\"\n\n[lease]\nttl = \"2s\"\ndrain = \"2s\"\n";
/// What a browser is shown first, whatever else is in the plugins folder.
const FIRST_PLUGIN: &str = "i-am-server.wasm";
const FIRST: &str = "\n[action.i-am-server]\npath = \"/\"\n";

/// A fresh folder with a store and settings, and the hosts that will use it.
pub(super) struct Scratch {
    folder: TempDir,
    pub(super) parts: Vec<Part>,
}

impl Scratch {
    /// Checks what can be checked beforehand and sets the rest up.
    pub(super) fn set_up(plugins: &Path) -> Result<Self, ExitError> {
        check_plugins(plugins)?;
        for port in CAST.iter().map(|(_, port, _)| *port).chain([ACTION_PORT]) {
            check_port(port)?;
        }
        let failed = |error: io::Error| temporary::failed("for the demo", &error);
        let folder = temporary::folder("soloist-demo-").map_err(failed)?;
        let settings = folder.path().join("soloist.toml");
        let first = if plugins.join(FIRST_PLUGIN).is_file() { FIRST } else { "" };
        fs::write(&settings, format!("{SETTINGS}{first}")).map_err(failed)?;
        let store = format!("sqlite:{}", folder.path().join("soloist.db").display());
        let part = |(name, port, color)| Part {
            name,
            port,
            color,
            settings: settings.clone(),
            store: store.clone(),
            plugins: plugins.to_owned(),
        };
        let parts = CAST.map(part).into();
        Ok(Self { folder, parts })
    }

    /// Leaves nothing behind.
    pub(super) fn remove(self) -> Result<(), ExitError> {
        temporary::remove(self.folder)
    }
}

fn check_plugins(plugins: &Path) -> Result<(), ExitError> {
    let help = "`cargo xtask plugins` builds the first ones; --plugins names another folder";
    let shown = plugins.display();
    match config::components(plugins) {
        Ok(found) if found.is_empty() => {
            Err(ExitError::usage(format!("there is no component (*.wasm) in `{shown}`")).help(help))
        }
        Ok(_) => Ok(()),
        Err(error) => {
            let problem = format!("cannot read the plugins folder `{shown}`");
            Err(ExitError::usage(problem).caused_by(&error).help(help))
        }
    }
}

fn check_port(port: u16) -> Result<(), ExitError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).map(drop).map_err(|error| {
        ExitError::unavailable(format!("the demo needs {address}"))
            .caused_by(&error)
            .help(format!("stop what listens there (`ss -ltnp 'sport = :{port}'` shows it)"))
    })
}
