//! The actions: those of the settings file, and those that the plugins folder makes.

use std::{collections::BTreeSet, fmt, io, net::SocketAddr, path::PathBuf};

use super::{
    ActionConfig, ConfigError,
    action::{Surroundings, shown},
    file::{ActionTable, Source, Text, Written},
    kept::Kept,
    listing::Listing,
    problem::{Place, Problem},
    resolver::{Resolver, Setting},
    value,
};

/// Where the actions of this host come from. It is read at the start, and again
/// whenever the plugins folder changes.
#[derive(Debug)]
pub struct ActionSource {
    pub(super) settings: Source,
    pub(super) tables: Vec<(Text, ActionTable)>,
    pub(super) folder: PathBuf,
    pub(super) place: Option<Place>,
    pub(super) control: Option<SocketAddr>,
    /// The settings that lie beside plugins.
    pub(super) beside: Kept,
}

/// What was read.
#[derive(Debug, Default)]
pub struct Reading {
    /// The actions, by name.
    pub actions: Vec<ActionConfig>,
    /// What makes no action, and why.
    pub refused: Vec<RefusedAction>,
}

/// An action that cannot be made, since its settings or its file are wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedAction {
    /// Its name.
    pub name: String,
    /// What is wrong: at least one problem.
    problems: Vec<Problem>,
}

impl RefusedAction {
    fn new(name: &str, problems: Vec<Problem>) -> Self {
        Self { name: name.to_owned(), problems }
    }
}

/// In one line.
impl fmt::Display for RefusedAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems: Vec<_> = self.problems.iter().map(Problem::in_short).collect();
        f.write_str(&problems.join("; "))
    }
}

impl Reading {
    /// The actions, if nothing is refused.
    pub(super) fn complete(self) -> Result<Vec<ActionConfig>, Vec<Problem>> {
        if self.refused.is_empty() {
            return Ok(self.actions);
        }
        Err(self.refused.into_iter().flat_map(|refused| refused.problems).collect())
    }

    fn add(&mut self, name: &str, outcome: Option<ActionConfig>, problems: Vec<Problem>) {
        match outcome {
            Some(action) if problems.is_empty() => self.actions.push(action),
            _ => self.refused.push(RefusedAction::new(name, problems)),
        }
    }
}

impl ActionSource {
    /// The folder that plugins are put into.
    #[must_use]
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Reads the settings of every action, and what the plugins folder holds.
    ///
    /// # Errors
    /// When the folder cannot be read at all.
    pub fn read(&self) -> Result<Reading, ConfigError> {
        let listing = match Listing::of(&self.folder) {
            Ok(listing) => listing,
            // Each action of the file will say that its plugin is missing.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !self.tables.is_empty() => {
                Listing::empty(&self.folder)
            }
            Err(error) => return Err(self.unreadable(&error).into()),
        };
        let mut reading = Reading::default();
        let around = Surroundings { listing: &listing, control: self.control };
        self.configured(&around, &mut reading);
        for name in listing.settings() {
            self.settled_beside(name, &around, &mut reading);
        }
        let beside: BTreeSet<_> =
            listing.settings().iter().map(|name| settings_of(&listing, name)).collect();
        self.beside.forget_all_but(|path| beside.contains(path));
        found(&listing, &mut reading);
        reading.actions.sort_by(|a, b| a.name.cmp(&b.name));
        reading.refused.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(reading)
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

    /// The actions of `[action.NAME]`.
    fn configured(&self, around: &Surroundings<'_>, reading: &mut Reading) {
        for (name, table) in &self.tables {
            let mut resolver = Resolver::new(&self.settings);
            let name = resolver.written(Some(name.clone()), "");
            let action = around.action(&mut resolver, &name, table.clone());
            reading.add(&name.text, action, resolver.into_problems());
        }
    }

    /// The action of `NAME.toml`.
    fn settled_beside(&self, name: &str, around: &Surroundings<'_>, reading: &mut Reading) {
        let file = settings_of(around.listing, name);
        let parsed = self.beside.open(&file).map_err(|error| {
            let what = format!("cannot read `{}`: {error}", file.display());
            Problem::new(what, "let this user read it, or remove it")
        });
        let parsed = parsed.and_then(|source| Ok((source.parse::<ActionTable>()?, source)));
        let (table, source) = match parsed {
            Ok(parsed) => parsed,
            Err(problem) => return reading.add(name, None, vec![problem]),
        };
        let mut resolver = Resolver::new(&source);
        let place = source.place(&Written::new(0..0, ()));
        if let Some((other, _)) = self.tables.iter().find(|(other, _)| other.get_ref() == name) {
            let there = shown(Some(&self.settings.place(other)));
            let what =
                format!("the action `{name}` has settings in two places: here and at {there}");
            let problem = Problem::new(what, "keep one of the two, and remove the other");
            // The one of the file would go on as if nothing had been written here.
            reading.actions.retain(|action| &*action.name != name);
            reading.refused.retain(|refused| refused.name != name);
            return reading.add(name, None, vec![problem.at(Some(place))]);
        }
        let setting = Setting { text: name.to_owned(), place: Some(place) };
        let action = around.action(&mut resolver, &setting, table);
        reading.add(name, action, resolver.into_problems());
    }
}

/// Where the settings of an action lie that lie beside its plugin.
fn settings_of(listing: &Listing, name: &str) -> PathBuf {
    listing.path(&format!("{name}.toml"))
}

/// The actions that components make which no settings name.
fn found(listing: &Listing, reading: &mut Reading) {
    let named: BTreeSet<_> = reading.actions.iter().map(|action| action.plugin.clone()).collect();
    for (file, verdict) in listing.components() {
        let path = listing.path(file);
        let stem = file.strip_suffix(".wasm").unwrap_or(file);
        // Its settings are wrong, so it cannot be had with defaults either.
        if named.contains(&path) || reading.refused.iter().any(|refused| refused.name == stem) {
            continue;
        }
        let mend = format!("write `[action.NAME]` with `plugin = \"{file}\"`");
        let problem = if let Err(problem) = verdict {
            problem.clone()
        } else if reading.actions.iter().any(|action| &*action.name == stem) {
            let what = format!("`{file}` has the name of an action that runs another plugin");
            Problem::new(what, mend)
        } else if value::name(stem).is_err() {
            let what = format!("`{file}` cannot give its name to an action");
            Problem::new(what, format!("rename it, or {mend}"))
        } else {
            reading.actions.push(ActionConfig::with_defaults(stem, path));
            continue;
        };
        reading.refused.push(RefusedAction::new(stem, vec![problem]));
    }
}
