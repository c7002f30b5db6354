//! Finds the actions of this host: those of the settings file, and those of the plugins folder.

use std::{
    collections::BTreeSet,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use super::{
    ActionConfig, ActionSet, ConfigError, RefusedAction,
    action::{ActionContext, location_text},
    lenient,
    plugin_listing::{PluginListing, is_similar},
    problem::{Location, Problem},
    resolver::{Resolver, Setting},
    settings_cache::SettingsCache,
    settings_file::{ActionTable, Located, LocatedText, SourceFile},
    value,
};
use soloist_heart::Group;

/// Where this host's actions come from. It is read at the start, and again whenever the plugins
/// folder changes.
#[derive(Debug)]
pub struct ActionSource {
    pub(super) settings: SourceFile,
    pub(super) tables: Vec<(LocatedText, ActionTable)>,
    pub(super) folder: PathBuf,
    pub(super) place: Option<Location>,
    /// Components that groups use as strategies: these are not actions.
    pub(super) strategies: BTreeSet<PathBuf>,
    pub(super) control: Option<SocketAddr>,
    /// Whether secrets may be missing, since only the settings are checked.
    pub(super) without_secrets: bool,
    /// The settings files next to plugins, cached while they do not change.
    pub(super) settings_cache: SettingsCache,
}

impl ActionSource {
    /// The folder that plugins are put into.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The group of the action `name`, if the settings file has a table for it. Only such an
    /// action is certain to be intended, so only its group may be relied upon.
    #[must_use]
    pub fn configured_group(&self, name: &str) -> Option<Group> {
        let (_, table) = self.tables.iter().find(|(other, _)| other.get_ref() == name)?;
        let group = table.group.as_ref().map(|group| group.get_ref().as_str().into());
        Some(group.unwrap_or_else(Group::main))
    }

    /// Reads the settings of every action and lists the plugins folder.
    ///
    /// # Errors
    /// The folder cannot be read at all.
    pub fn read(&self) -> Result<ActionSet, ConfigError> {
        let listing = match PluginListing::of(&self.folder) {
            Ok(listing) => listing,
            // Each action of the settings file will report that its plugin is missing.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.tables.is_empty() => {
                PluginListing::empty(&self.folder)
            }
            Err(error) => return Err(self.unreadable(&error).into()),
        };
        let mut set = ActionSet::default();
        let context = ActionContext { listing: &listing, control: self.control };
        self.add_configured(&context, &mut set);
        for name in listing.settings() {
            self.add_with_settings(name, &context, &mut set);
        }
        for name in listing.orphan_settings() {
            set.refused.extend(self.orphan_settings(name, &listing));
        }
        let settings_files: BTreeSet<_> =
            (listing.settings().iter().chain(listing.orphan_settings()))
                .map(|name| settings_path(&listing, name))
                .collect();
        self.settings_cache.retain(|path| settings_files.contains(path));
        add_without_settings(&listing, &self.strategies, &mut set);
        set.actions.sort_by(|a, b| a.name.cmp(&b.name));
        set.refused.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(set)
    }

    /// The settings file next to the plugin of the action `name`, if there is one.
    pub(super) fn plugin_settings(&self, name: &str) -> Option<SourceFile> {
        self.settings_cache.open(&self.folder.join(format!("{name}.toml"))).ok()
    }

    fn resolver<'a>(&self, source: &'a SourceFile) -> Resolver<'a> {
        Resolver::new(source).without_secrets(self.without_secrets)
    }

    fn unreadable(&self, error: &io::Error) -> Problem {
        let shown = self.folder.display();
        let problem = if error.kind() == io::ErrorKind::NotFound {
            Problem::new(
                format!("the plugins folder `{shown}` does not exist"),
                "create it and put components (*.wasm) there, or name another with --plugins",
            )
        } else {
            Problem::new(
                format!("cannot read the plugins folder `{shown}`: {error}"),
                "name a folder that this user can read with --plugins",
            )
        };
        problem.at(self.place.clone())
    }

    /// Adds the actions of `[action.NAME]`.
    fn add_configured(&self, context: &ActionContext<'_>, set: &mut ActionSet) {
        for (name, table) in &self.tables {
            let mut resolver = self.resolver(&self.settings);
            let name = resolver.written(Some(name.clone()), "");
            let action = context.action(&mut resolver, &name, table.clone());
            let refused = RefusedAction::new(&name.text, resolver.into_problems());
            set.add(action, refused.reserving(table));
        }
    }

    /// Adds the action of the settings file `NAME.toml` in the plugins folder.
    fn add_with_settings(&self, name: &str, context: &ActionContext<'_>, set: &mut ActionSet) {
        let file = settings_path(context.listing, name);
        // This applies even if `NAME.toml` cannot be read.
        if let Some((other, table)) = self.tables.iter().find(|(it, _)| it.get_ref() == name) {
            // Otherwise the action of the settings file would run as if `NAME.toml` did not
            // exist.
            set.actions.retain(|action| &*action.name != name);
            set.refused.retain(|refused| refused.name != name);
            let problem = self.in_two_places(name, &file, other);
            return set.add(None, RefusedAction::new(name, vec![problem]).reserving(table));
        }
        let opened = self.settings_cache.open(&file).map_err(|error| {
            let what = format!("cannot read `{}`: {error}", file.display());
            Problem::new(what, "make it a small text file that this user can read, or remove it")
        });
        let source = match opened {
            Ok(source) => source,
            Err(problem) => {
                return set.add(None, RefusedAction::new(name, vec![problem]).at_any_address());
            }
        };
        let (table, mistakes) = lenient::read::<ActionTable>(&source);
        let Some(table) = table else {
            return set.add(None, RefusedAction::new(name, mistakes).at_any_address());
        };
        // The address may have been in the part that was left out.
        let no_address = !mistakes.is_empty() && table.listen.is_none();
        let mut resolver = self.resolver(&source).of_one_action();
        resolver.report_all(mistakes);
        let place = source.place(&Located::new(0..0, ()));
        let setting = Setting { text: name.to_owned(), place: Some(place) };
        let action = context.action(&mut resolver, &setting, table.clone());
        let refused = RefusedAction::new(name, resolver.into_problems()).reserving(&table);
        set.add(action, if no_address { refused.at_any_address() } else { refused });
    }

    fn in_two_places(&self, name: &str, file: &Path, other: &LocatedText) -> Problem {
        let (here, there) = (file.display(), location_text(Some(&self.settings.place(other))));
        let what =
            format!("the action `{name}` has settings in two places: in `{here}` and at {there}");
        Problem::new(what, "keep one of the two, and remove the other").external()
    }
}

impl ActionSource {
    /// The problem to report for a `NAME.toml` without a `NAME.wasm`. There is none unless the
    /// file's name or content shows that it is meant for a plugin.
    fn orphan_settings(&self, name: &str, listing: &PluginListing) -> Option<RefusedAction> {
        if self.tables.iter().any(|(other, _)| other.get_ref() == name) {
            return None;
        }
        let meant = listing.likely_meant(name);
        let source = self.settings_cache.open(&settings_path(listing, name)).ok()?;
        let settings = source.parse::<ActionTable>().is_ok()
            && source.parse::<toml::Table>().is_ok_and(|table| !table.is_empty());
        // A file named almost like a plugin is meant for it even if its content has mistakes.
        if !settings && !meant.is_some_and(|other| is_similar(other, name)) {
            return None;
        }
        let shown = name.escape_debug();
        let what =
            format!("`{shown}.toml` has no plugin: there is no `{shown}.wasm` in the same folder");
        let help = match meant {
            Some(meant) => format!(
                "rename it if it is meant for `{0}.wasm`, to `{0}.toml`; else put `{shown}.wasm` \
                 there, or remove it",
                meant.escape_debug()
            ),
            None => format!("put `{shown}.wasm` there, or remove it"),
        };
        let place = Some(source.place(&Located::new(0..0, ())));
        let problem = Problem::new(what, help).external().at(place);
        let refused = RefusedAction::new(&shown.to_string(), vec![problem]);
        Some(refused.without_plugin())
    }
}

/// The path of `NAME.toml` in the plugins folder.
fn settings_path(listing: &PluginListing, name: &str) -> PathBuf {
    listing.path(&format!("{name}.toml"))
}

/// Adds the actions of components that no settings mention, neither as an action nor as a
/// strategy.
fn add_without_settings(
    listing: &PluginListing,
    strategies: &BTreeSet<PathBuf>,
    set: &mut ActionSet,
) {
    let named = set.actions.iter().map(|action| &action.plugin).chain(strategies);
    let named: BTreeSet<_> = named.cloned().collect();
    for (file, verdict) in listing.components() {
        let path = listing.path(file);
        let stem = file.strip_suffix(".wasm").unwrap_or(file);
        let shown = file.escape_debug();
        // Its settings were refused; running it with defaults instead would be wrong.
        if named.contains(&path) || set.refused.iter().any(|refused| refused.name == stem) {
            continue;
        }
        let help = format!("write `[action.NAME]` with `plugin = \"{shown}\"`");
        let mut name = stem;
        let problem = if let Err(problem) = verdict {
            problem.clone()
        } else if set.actions.iter().any(|action| &*action.name == stem) {
            // The plain name belongs to the other action, so this one is reported by its file
            // name.
            name = file;
            let what = format!("`{shown}` has the name of an action that runs another plugin");
            Problem::new(what, help)
        } else if value::name(stem).is_err() {
            let what = format!("`{shown}` cannot give its name to an action");
            let rule = "letters (a to z), digits, `-`, `_` and `.`";
            Problem::new(what, format!("rename it, with no more than {rule}; or {help}"))
        } else {
            set.actions.push(ActionConfig::with_defaults(stem, path));
            continue;
        };
        // A file name may contain anything, and this one is shown to people.
        let name = name.escape_debug().to_string();
        set.refused.push(RefusedAction::new(&name, vec![problem]));
    }
}
