//! The folder in which a plugin runs alone: its copy, settings, and soon a store.

use std::{
    fs, io,
    path::{self, Path, PathBuf},
};

use tempfile::TempDir;
use toml::{Table, Value};

use crate::cli::{ExitError, temporary_folder};
use soloist_guests::plugin;

/// The action's name where the file's is none.
const ACTION: &str = "plugin";

/// A fresh folder, removed when it is dropped.
pub(super) struct PluginFolder {
    folder: TempDir,
    /// The copy of the plugin.
    copy: PathBuf,
}

impl PluginFolder {
    /// A folder for a copy of the plugin `file`, which holds `bytes`, run as an action with
    /// these `settings`.
    pub(super) fn set_up(file: &Path, bytes: &[u8], settings: Table) -> Result<Self, ExitError> {
        let folder = temporary_folder::folder("soloist-plugin-").map_err(failed)?;
        let name = action_name(file);
        let plugins = folder.path().join("plugins");
        let text = whole(&name, settings).to_string();
        let copy = plugins.join(format!("{name}.wasm"));
        fs::create_dir(&plugins)
            .and_then(|()| fs::write(&copy, bytes))
            .and_then(|()| fs::write(settings_in(folder.path()), text))
            .map_err(failed)?;
        Ok(Self { folder, copy })
    }

    /// Copies `file` anew, if it can be read and differs from the copy. A host watches
    /// the copy, so it must never see half of one.
    pub(super) fn update(&self, file: &Path) -> Result<(), ExitError> {
        // It may be in the middle of being replaced; then it changes once more.
        let Ok(bytes) = plugin::read_plugin(file) else { return Ok(()) };
        if fs::read(&self.copy).is_ok_and(|copy| copy == bytes) {
            return Ok(());
        }
        let partial = self.copy.with_extension("partial");
        fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, &self.copy)).map_err(failed)
    }

    /// The settings file.
    pub(super) fn settings(&self) -> PathBuf {
        settings_in(self.folder.path())
    }

    /// Where what is compiled of one version is kept for the next.
    pub(super) fn functions(&self) -> PathBuf {
        self.folder.path().join("functions")
    }

    /// Leaves nothing behind.
    pub(super) fn remove(self) -> Result<(), ExitError> {
        temporary_folder::remove(self.folder)
    }
}

fn failed(error: io::Error) -> ExitError {
    temporary_folder::failed("to run the plugin in", &error)
}

fn settings_in(folder: &Path) -> PathBuf {
    folder.join("soloist.toml")
}

/// The settings of a host that runs this action and no other.
fn whole(name: &str, action: Table) -> Table {
    let table = |key: &str, value: Value| Value::Table(Table::from_iter([(key.to_owned(), value)]));
    Table::from_iter([
        ("cluster".to_owned(), "plugin-run".into()),
        // Whoever runs one plugin has no use for a control API, and may have a host.
        ("host".to_owned(), table("listen", "127.0.0.1:0".into())),
        ("lease".to_owned(), table("drain", "1s".into())),
        ("action".to_owned(), table(name, action.into())),
    ])
}

/// The name of the action that runs `file`: what a host would call it, if it can.
pub(super) fn action_name(file: &Path) -> String {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if soloist_config::check_name(stem).is_ok() { stem.to_owned() } else { ACTION.to_owned() }
}

/// The file of the settings of the plugin `file`, if there is one: beside it, or in the working
/// folder.
pub(super) fn settings_file(file: &Path) -> Option<PathBuf> {
    let beside = file.with_extension("toml");
    let here = beside.file_name().map(PathBuf::from);
    [Some(beside), here].into_iter().flatten().find(|file| file.is_file())
}

/// What `[action.NAME]` calls a folder: `FROM:AT` to read, `FROM:AT:rw` to write.
pub(super) fn folder(text: &str) -> Result<Value, String> {
    let (text, write) = match text.strip_suffix(":rw") {
        Some(text) => (text, true),
        None => (text, false),
    };
    let (from, at) =
        text.rsplit_once(':').ok_or("write FROM:AT, as in `./data:/data`, or FROM:AT:rw")?;
    // The settings file is elsewhere.
    let from = path::absolute(from).map_err(|error| error.to_string())?;
    let from = from.to_str().ok_or("the folder's name is not UTF-8")?;
    Ok(Value::Table(Table::from_iter([
        ("from".to_owned(), from.into()),
        ("at".to_owned(), at.into()),
        ("write".to_owned(), write.into()),
    ])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_have_the_names_of_their_files() {
        for (file, name) in [("a/web.wasm", "web"), ("my plugin.wasm", ACTION), ("..", ACTION)] {
            assert_eq!(action_name(Path::new(file)), name);
        }
    }

    #[test]
    fn folders_are_read_unless_they_are_written() {
        let read = folder("/a:b:/data").unwrap();
        assert_eq!(read["from"].as_str(), Some("/a:b"));
        assert_eq!((read["at"].as_str(), read["write"].as_bool()), (Some("/data"), Some(false)));
        assert_eq!(folder("x:/data:rw").unwrap()["write"].as_bool(), Some(true));
        assert!(folder("data").is_err());
    }
}
