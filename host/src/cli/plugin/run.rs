//! `soloist plugin run`: runs one plugin on a host of its own.
//!
//! This is a real host with a real store, so the plugin has a real term, fencing token and state;
//! only the store is deleted at the end.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use tokio::time::sleep;
use toml::{Table, Value};

use super::{
    plugin_folder::{self, PluginFolder},
    unreadable::unreadable,
};
use crate::cli::{
    ExitError,
    file_alias::FileAlias,
    logging::{self, LogFormat},
    run,
    signals::Signals,
    terminal::remark,
};
use soloist_config::{self as config, Config, Overrides, small_file::FileStamp};
use soloist_guests::plugin::{self, FolderWatch};

/// Shows what the plugin prints, the addresses of plugin and control API, compilations, and
/// problems.
const LOG: &str = "warn,plugin=info,soloist::action=info,soloist_guests=info,soloist::api=info";
/// How messages refer to the settings that are made of flags.
const FLAGS: &str = "(the flags of `plugin run`, as settings)";
/// How often the file is looked at even without a notification: its whole folder may have been
/// replaced.
const LOOK: Duration = Duration::from_secs(1);

/// Run a plugin alone, under a term of its own that ends with Ctrl-C
///
/// Its settings are those of NAME.toml, next to it or in the working folder, and of the flags;
/// nothing else is granted to it. State is kept in a temporary store, which is removed at the end.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  soloist plugin run hello.wasm
  soloist plugin run hello.wasm --listen 127.0.0.1:8080 --state --watch
  soloist plugin run poller.wasm --outbound https://example.com --folder ./data:/data:rw")]
pub(super) struct PluginRunArgs {
    /// The plugin: a component, or a core module for WASI preview 1
    file: PathBuf,
    /// The settings of the plugin [default: NAME.toml next to it or in the working folder, if there is one]
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// The address at which it serves HTTP [default: the one in its settings, or 127.0.0.1:3000]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Let it keep state (wasi:keyvalue)
    #[arg(long)]
    state: bool,
    /// Let it send requests to this URL, as in https://example.com; may be repeated
    #[arg(long, value_name = "URL")]
    outbound: Vec<String>,
    /// Let it read a folder, as in ./data:/data; with :rw at the end also write; may be repeated
    #[arg(long, value_name = "FROM:AT", value_parser = plugin_folder::folder)]
    folder: Vec<Value>,
    /// Load the file again whenever it changes
    #[arg(long)]
    watch: bool,
    /// Any other setting of an action, as in `max_hold = "1s"`; again for more
    #[arg(long, value_name = "KEY = VALUE", value_parser = setting)]
    set: Vec<Table>,
    /// The least level to log: error, warn, info, debug or trace; or as in info,soloist=debug
    #[arg(long, value_name = "FILTER", default_value = LOG)]
    log: String,
    /// Where compiled functions are kept for the next time [default: with the store]
    #[arg(long, hide = true, value_name = "FILE")]
    functions: Option<PathBuf>,
    /// Where state is kept for the next time [default: nowhere]
    #[arg(long, hide = true, value_name = "FILE")]
    store: Option<PathBuf>,
    /// The file that this one is a copy of, which messages name
    #[arg(long, hide = true, value_name = "FILE")]
    stands_for: Option<PathBuf>,
    /// Stop when stdin ends
    #[arg(long, hide = true)]
    exit_with_parent: bool,
}

impl PluginRunArgs {
    /// The file by which people know the plugin.
    fn named(&self) -> &Path {
        self.stands_for.as_ref().unwrap_or(&self.file)
    }

    /// The settings of the action that runs the plugin: those of its settings file, and the
    /// flags, which take precedence.
    fn settings(&self) -> Result<Table, ExitError> {
        let found = || plugin_folder::settings_file(&self.file);
        let mut table = match self.settings.clone().or_else(found) {
            Some(file) => {
                let name = plugin_folder::action_name(&self.file);
                let settings = config::read_action_settings(&file, &name, &self.file)?;
                remark(&format!("the settings are those of {}", file.display()));
                settings
            }
            None => Table::new(),
        };
        let mut given: Table =
            self.set.iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
        // Relative paths start from the working folder.
        let here = std::env::current_dir()
            .map_err(|error| ExitError::internal("there is no working folder", &error))?;
        config::resolve_paths(&mut given, &here);
        if let Some(listen) = &self.listen {
            table.insert("listen".into(), listen.as_str().into());
        }
        if self.state {
            table.insert("state".into(), true.into());
        }
        // A person is watching, so requests are logged.
        table.entry("access_log").or_insert(true.into());
        add(&mut table, "outbound", self.outbound.iter().map(|url| url.as_str().into()).collect());
        add(&mut table, "mounts", self.folder.clone());
        table.extend(given);
        Ok(table)
    }
}

/// Appends `more` to the list `key`.
fn add(table: &mut Table, key: &str, more: Vec<Value>) {
    if more.is_empty() {
        return;
    }
    match table.get_mut(key) {
        Some(Value::Array(list)) => list.extend(more),
        _ => drop(table.insert(key.to_owned(), more.into())),
    }
}

/// Parses one line of TOML.
fn setting(text: &str) -> Result<Table, String> {
    text.parse().map_err(|error: toml::de::Error| error.message().to_owned())
}

/// Runs the plugin until Ctrl-C.
pub(super) async fn main(args: PluginRunArgs) -> Result<(), ExitError> {
    run::abort_on_panic();
    let (shutdown, _second) = Signals::listen(args.exit_with_parent)?.split();
    // Read first, since the settings would be reported as wrong if the plugin is missing.
    let plugin = plugin::read_plugin(&args.file).map_err(|error| unreadable(&error))?;
    let scratch = PluginFolder::set_up(&args.file, &plugin, args.settings()?)?;
    let alias = FileAlias::new(args.named(), &[scratch.copy(), &args.file]);
    let _log = logging::start(LogFormat::Text, &args.log, Some(alias.clone()))?;
    let overrides = Overrides {
        config: Some(scratch.settings()),
        file_alias: Some(FLAGS),
        all_or_none: true,
        store: args.store.as_ref().map(|file| format!("sqlite:{}", file.display())),
        ..Overrides::default()
    };
    let as_named = |error: ExitError| error.naming(&alias);
    let mut config = Config::load(&overrides).map_err(|error| as_named(error.into()))?;
    if args.watch {
        config.functions = Some(args.functions.clone().unwrap_or_else(|| scratch.functions()));
    }
    let result = tokio::select! {
        result = run::run(config, Box::new(()), shutdown) => result.map_err(as_named),
        result = follow(&args.file, args.named(), &scratch), if args.watch => result,
    };
    scratch.remove()?;
    result
}

/// Copies the plugin whenever it has changed. The host takes over what it can run, and reports
/// what it cannot. Messages call it `named`.
async fn follow(file: &Path, named: &Path, scratch: &PluginFolder) -> Result<(), ExitError> {
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    let mut watch = FolderWatch::new(folder.unwrap_or(Path::new(".")));
    let mut seen = FileStamp::of(file);
    loop {
        tokio::select! {
            () = watch.changed() => {}
            () = sleep(LOOK) => {}
        }
        let now = FileStamp::of(file);
        if now == seen {
            continue;
        }
        let name = named.display();
        match (&seen, &now) {
            (Some(_), None) => remark(&format!(
                "{name} was removed: its last version continues until there is another"
            )),
            (None, Some(_)) => remark(&format!("{name} is there again")),
            _ => {}
        }
        seen = now;
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
        args: PluginRunArgs,
    }

    fn settings(line: &[&str]) -> Table {
        Line::parse_from(line).args.settings().unwrap()
    }

    #[test]
    fn flags_become_settings() {
        let line = [
            "run",
            "web.wasm",
            "--state",
            "--outbound",
            "http://a",
            "--set",
            "max_concurrent_requests = 8",
        ];
        let settings = settings(&line);
        assert_eq!(settings["state"].as_bool(), Some(true));
        assert_eq!(settings["outbound"][0].as_str(), Some("http://a"));
        assert_eq!(settings["max_concurrent_requests"].as_integer(), Some(8));
        assert!(!settings.contains_key("listen"), "its default is that of every action");
        assert_eq!(settings["access_log"].as_bool(), Some(true));
        assert!(Line::try_parse_from(["run", "web.wasm", "--set", "state"]).is_err());
    }

    #[test]
    fn the_settings_beside_it_hold_and_flags_add_to_them() {
        let folder = tempfile::tempdir().unwrap();
        let plugin = folder.path().join("web.wasm");
        std::fs::write(&plugin, "").unwrap();
        let text = "schedule = \"none\"\noutbound = [\"http://a\"]\nmax_attempts = 2\n";
        std::fs::write(plugin.with_extension("toml"), text).unwrap();
        let plugin = plugin.to_str().unwrap();
        let line = ["run", plugin, "--outbound", "http://b", "--set", "max_attempts = 3"];
        let settings = settings(&line);
        assert_eq!(settings["schedule"].as_str(), Some("none"));
        assert_eq!(settings["outbound"].as_array().map(Vec::len), Some(2));
        assert_eq!(settings["max_attempts"].as_integer(), Some(3));
    }
}
