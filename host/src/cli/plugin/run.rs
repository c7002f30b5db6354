//! `soloist plugin run`: one plugin on a host of its own.
//!
//! It is a real host with a real store, so the plugin has a real term, token and
//! state; only the store is thrown away in the end.

use std::path::{Path, PathBuf};

use clap::Args;
use toml::{Table, Value};

use super::scratch::{self, Scratch};
use crate::{
    cli::{
        ExitError,
        logging::{self, LogFormat},
        run,
        signals::Signals,
    },
    config::{Config, Overrides},
    plugin::FolderWatch,
};

/// What the plugin prints, where it answers, and what goes wrong.
const LOG: &str = "warn,plugin=info,soloist::action=info";

/// Run a plugin alone, under a term of its own that ends with Ctrl-C
///
/// The plugin is granted nothing but what the flags say. State is kept in a
/// temporary store, which is removed in the end.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// The plugin: a component, or a core module for WASI preview 1
    file: PathBuf,
    /// Where it answers, if it answers requests
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:3000")]
    listen: String,
    /// Let it keep state (wasi:keyvalue)
    #[arg(long)]
    state: bool,
    /// Let it send requests there, as in `https://example.com`; again for more
    #[arg(long, value_name = "URL")]
    outbound: Vec<String>,
    /// Let it see a folder, as in `./data:/data`; `:rw` at the end lets it write
    #[arg(long, value_name = "FROM:AT", value_parser = scratch::folder)]
    folder: Vec<Value>,
    /// Take up the file again whenever it changes
    #[arg(long)]
    watch: bool,
    /// Any other setting of an action, as in `requests = 8`; again for more
    #[arg(long, value_name = "KEY = VALUE", value_parser = setting)]
    set: Vec<Table>,
    /// What to log: error, warn, info, debug, trace, or as in `info,soloist=debug`
    #[arg(long, value_name = "FILTER", default_value = LOG)]
    log: String,
}

impl RunArgs {
    /// The settings of the action that runs the plugin.
    fn settings(&self) -> Table {
        let mut table = Table::new();
        table.insert("listen".into(), self.listen.as_str().into());
        table.insert("state".into(), self.state.into());
        table.insert("outbound".into(), self.outbound.clone().into());
        table.insert("folders".into(), self.folder.clone().into());
        let given = self.set.iter().flatten();
        table.extend(given.map(|(key, value)| (key.clone(), value.clone())));
        table
    }
}

/// A line of TOML.
fn setting(text: &str) -> Result<Table, String> {
    text.parse().map_err(|error: toml::de::Error| error.message().to_owned())
}

/// Runs the plugin until Ctrl-C.
pub(super) async fn main(args: RunArgs) -> Result<(), ExitError> {
    run::abort_on_panic();
    let _log = logging::start(LogFormat::Text, &args.log)?;
    let (shutdown, _second) = Signals::listen(false)?.split();
    let scratch = Scratch::set_up(&args.file, args.settings())?;
    let overrides = Overrides { config: Some(scratch.settings()), ..Overrides::default() };
    let config = Config::load(&overrides)?.complete()?;
    let result = tokio::select! {
        result = run::run(config, Box::new(()), shutdown) => result,
        result = follow(&args.file, &scratch), if args.watch => result,
    };
    scratch.remove()?;
    result
}

/// Copies the plugin anew whenever it has changed; the host takes up what it can run,
/// and tells of what it cannot.
async fn follow(file: &Path, scratch: &Scratch) -> Result<(), ExitError> {
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    let mut watch = FolderWatch::new(folder.unwrap_or(Path::new(".")));
    loop {
        watch.changed().await;
        scratch.update(file)?;
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: RunArgs,
    }

    #[test]
    fn flags_become_settings() {
        let line =
            ["run", "web.wasm", "--state", "--outbound", "http://a", "--set", "requests = 8"];
        let settings = Line::parse_from(line).args.settings();
        assert_eq!(settings["state"].as_bool(), Some(true));
        assert_eq!(settings["outbound"][0].as_str(), Some("http://a"));
        assert_eq!(settings["requests"].as_integer(), Some(8));
        assert_eq!(settings["listen"].as_str(), Some("127.0.0.1:3000"));
        assert!(Line::try_parse_from(["run", "web.wasm", "--set", "requests"]).is_err());
    }
}
