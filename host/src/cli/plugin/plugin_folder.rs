//! The temporary folder of a plugin that runs alone: its copy, its settings, and later a store.

use std::{
    fs, io,
    path::{self, Path, PathBuf},
};

use tempfile::TempDir;
use toml::{Table, Value};

use crate::cli::{ExitError, temporary_folder};
use soloist_guests::plugin;

/// The name of the action where the file has no usable name.
const ACTION: &str = "plugin";

/// A new folder, deleted when this is dropped.
pub(super) struct PluginFolder {
    folder: TempDir,
    /// The copy of the plugin.
    copy: PathBuf,
}

impl PluginFolder {
    /// Creates a folder for a copy of the plugin `file`, whose content is `bytes`, run as an
    /// action with these `settings`.
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

    /// Copies `file` again if it is readable and differs from the copy. The copy is replaced
    /// atomically, because a host watches it.
    pub(super) fn update(&self, file: &Path) -> Result<(), ExitError> {
        // It may just be getting replaced; then it will change again.
        let Ok(bytes) = plugin::read_plugin(file) else { return Ok(()) };
        if fs::read(&self.copy).is_ok_and(|copy| copy == bytes) {
            return Ok(());
        }
        let partial = self.copy.with_extension("partial");
        fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, &self.copy)).map_err(failed)
    }

    /// The copy of the plugin.
    pub(super) fn copy(&self) -> &Path {
        &self.copy
    }

    /// The settings file.
    pub(super) fn settings(&self) -> PathBuf {
        settings_in(self.folder.path())
    }

    /// The file that caches compiled functions from one version to the next.
    pub(super) fn functions(&self) -> PathBuf {
        self.folder.path().join("functions")
    }

    /// Deletes the folder.
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

/// The settings of a host that runs only this action.
fn whole(name: &str, action: Table) -> Table {
    let table = |key: &str, value: Value| Value::Table(Table::from_iter([(key.to_owned(), value)]));
    Table::from_iter([
        ("cluster".to_owned(), "plugin-run".into()),
        // No control API is needed here, and another host may use the default port.
        ("host".to_owned(), table("listen", "127.0.0.1:0".into())),
        ("lease".to_owned(), table("drain_timeout", "1s".into())),
        ("action".to_owned(), table(name, action.into())),
    ])
}

/// The name of the action that runs `file`: the same as on a host, if it is usable there.
pub(super) fn action_name(file: &Path) -> String {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    if soloist_config::check_name(stem).is_ok() { stem.to_owned() } else { ACTION.to_owned() }
}

/// The settings file of the plugin `file`, if there is one: next to it, or in the working folder.
pub(super) fn settings_file(file: &Path) -> Option<PathBuf> {
    let sibling = file.with_extension("toml");
    let here = sibling.file_name().map(PathBuf::from);
    [Some(sibling), here].into_iter().flatten().find(|file| file.is_file())
}

/// Parses `FROM:AT` (read-only) or `FROM:AT:rw` into an entry of `mounts`.
pub(super) fn folder(text: &str) -> Result<Value, String> {
    let (text, read_only) = match text.strip_suffix(":rw") {
        Some(text) => (text, false),
        None => (text, true),
    };
    let (from, at) =
        text.rsplit_once(':').ok_or("write FROM:AT, as in `./data:/data`, or FROM:AT:rw")?;
    // Relative paths must not start from the temporary settings file.
    let from = path::absolute(from).map_err(|error| error.to_string())?;
    let from = from.to_str().ok_or("the folder's name is not UTF-8")?;
    Ok(Value::Table(Table::from_iter([
        ("source".to_owned(), from.into()),
        ("target".to_owned(), at.into()),
        ("read_only".to_owned(), read_only.into()),
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
        assert_eq!(read["source"].as_str(), Some("/a:b"));
        assert_eq!(
            (read["target"].as_str(), read["read_only"].as_bool()),
            (Some("/data"), Some(true))
        );
        assert_eq!(folder("x:/data:rw").unwrap()["read_only"].as_bool(), Some(false));
        assert!(folder("data").is_err());
    }
}
