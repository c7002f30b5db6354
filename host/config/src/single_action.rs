//! The settings of a single action that runs on its own, outside of any host's settings.

use std::{
    io,
    path::{self, Path},
};

use toml::{Table, Value};

use super::{
    ActionConfig, ConfigError,
    action::ActionContext,
    lenient,
    plugin_listing::PluginListing,
    problem::Problem,
    resolver::{Resolver, Setting},
    settings_file::{ActionTable, Located, SourceFile},
};

/// Reads `file`, which holds the settings of the action `name`, and applies them to `plugin`
/// instead of any plugin that they name. Relative paths become absolute.
///
/// # Errors
/// Reports everything that is wrong, with its location in `file`.
pub fn read_action_settings(file: &Path, name: &str, plugin: &Path) -> Result<Table, ConfigError> {
    let source = open(file)?;
    read(&source, name, plugin, false)?;
    let mut settings: Table = source.parse()?;
    settings.remove("plugin");
    // The folder of a bare file name is empty, which means the working folder.
    let folder = path::absolute(Path::new(".").join(source.folder()));
    resolve_paths(&mut settings, &folder.map_err(|error| unreadable(file, &error))?);
    Ok(settings)
}

/// The action that the same settings describe, only to inspect it: secrets may be missing.
///
/// # Errors
/// Reports everything that is wrong, with its location in `file`.
pub fn read_action(file: &Path, name: &str, plugin: &Path) -> Result<ActionConfig, ConfigError> {
    read(&open(file)?, name, plugin, true)
}

fn open(file: &Path) -> Result<SourceFile, Problem> {
    SourceFile::open_file(file.to_owned()).map_err(|error| unreadable(file, &error))
}

fn unreadable(file: &Path, error: &io::Error) -> Problem {
    if error.kind() == io::ErrorKind::NotFound {
        return Problem::new(
            format!("there is no file `{}`", file.display()),
            "name the file of the plugin's settings, or leave --settings out: then they are \
             those of NAME.toml next to NAME.wasm, if it is there",
        );
    }
    let what = format!("cannot read `{}`: {error}", file.display());
    Problem::new(what, "let this user read it, or name another with --settings")
}

fn read(
    source: &SourceFile,
    name: &str,
    plugin: &Path,
    without_secrets: bool,
) -> Result<ActionConfig, ConfigError> {
    let (table, mistakes) = lenient::read::<ActionTable>(source);
    let Some(mut table) = table else { return Err(ConfigError::new(mistakes)) };
    let plugin = path::absolute(plugin).map_err(|error| unreadable(plugin, &error))?;
    table.plugin = Some(Located::new(0..0, plugin.display().to_string()));
    let listing = PluginListing::empty(plugin.parent().unwrap_or(Path::new("/")));
    let context = ActionContext { listing: &listing, control: None };
    let mut resolver = Resolver::new(source).without_secrets(without_secrets).of_one_action();
    resolver.report_all(mistakes);
    let name = Setting { text: name.to_owned(), place: None };
    let action = context.action(&mut resolver, &name, table);
    resolver.finish(action)
}

/// Makes the relative paths in the settings of an action start from `folder`.
pub fn resolve_paths(settings: &mut Table, folder: &Path) {
    let path = |text: &str| Value::from(folder.join(text).display().to_string());
    let in_place = |table: &mut Table, key: &str| {
        if let Some(Value::String(text)) = table.get(key) {
            let path = path(text);
            table.insert(key.to_owned(), path);
        }
    };
    if let Some(Value::Array(mounts)) = settings.get_mut("mounts") {
        mounts.iter_mut().filter_map(Value::as_table_mut).for_each(|it| in_place(it, "source"));
    }
    if let Some(Value::Table(tls)) = settings.get_mut("tls") {
        in_place(tls, "cert");
        in_place(tls, "key");
    }
    if let Some(Value::Table(secrets)) = settings.get_mut("secrets") {
        for (_, secret) in secrets.iter_mut() {
            if let Some(file) = secret.as_str().and_then(|text| text.strip_prefix("file:")) {
                *secret = format!("file:{}", folder.join(file).display()).into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn paths_start_from_the_file_and_mistakes_are_shown_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["web.wasm", "key"] {
            fs::write(at(name), "x").unwrap();
        }
        fs::create_dir(at("data")).unwrap();
        let text = "plugin = \"other.wasm\"\nmounts = [{ source = \"data\", target = \"/d\" }]\n\
                    secrets = { A = \"file:key\", B = \"env:PATH\" }\n";
        fs::write(at("web.toml"), text).unwrap();
        let settings = read_action_settings(&at("web.toml"), "web", &at("web.wasm")).unwrap();
        assert_eq!(settings["mounts"][0]["source"].as_str(), at("data").to_str());
        let secret = format!("file:{}", at("key").display());
        assert_eq!(settings["secrets"]["A"].as_str(), Some(&*secret));
        assert_eq!(settings["secrets"]["B"].as_str(), Some("env:PATH"));
        assert!(!settings.contains_key("plugin"));

        fs::write(at("web.toml"), "max_concurrent_requests = 0\n").unwrap();
        let error =
            read_action_settings(&at("web.toml"), "web", &at("web.wasm")).unwrap_err().to_string();
        assert!(error.contains(&format!("{}:1:27", at("web.toml").display())), "{error}");
    }
}
