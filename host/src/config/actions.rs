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
use crate::election::Group;

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
#[derive(Clone, Debug, Default)]
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

    /// What is wrong.
    pub(super) fn problems(&self) -> Vec<Problem> {
        self.problems.clone()
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
    /// Takes out what is wrong with the very text of the settings file, as opposed to what
    /// lies in the plugins folder, or is not where the settings say.
    fn mistakes(&mut self, source: &ActionSource) -> Vec<Problem> {
        let written = |refused: &RefusedAction| source.group_by_hand(&refused.name).is_some();
        let mistaken = |refused: &mut RefusedAction| {
            written(refused) && !refused.problems.iter().all(Problem::is_around)
        };
        let mistaken = self.refused.extract_if(.., mistaken);
        mistaken.flat_map(|refused| refused.problems).collect()
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

    /// The group of the action `name`, if the settings file names it: only of such a one may
    /// others rely on it that it is there.
    #[must_use]
    pub fn group_by_hand(&self, name: &str) -> Option<Group> {
        let (_, table) = self.tables.iter().find(|(other, _)| other.get_ref() == name)?;
        let group = table.group.as_ref().map(|group| group.get_ref().as_str().into());
        Some(group.unwrap_or_else(Group::main))
    }

    /// The same as [`read`](Self::read), for a host that starts: a mistake in the settings
    /// file itself is an error.
    pub(super) fn read_first(&self) -> Result<Reading, ConfigError> {
        let mut reading = self.read()?;
        let mistakes = reading.mistakes(self);
        if mistakes.is_empty() { Ok(reading) } else { Err(ConfigError::new(mistakes)) }
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
            let problem = Problem::new(what, "keep one of the two, and remove the other").around();
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
        let shown = file.escape_debug();
        // Its settings are wrong, so it cannot be had with defaults either.
        if named.contains(&path) || reading.refused.iter().any(|refused| refused.name == stem) {
            continue;
        }
        let mend = format!("write `[action.NAME]` with `plugin = \"{shown}\"`");
        let mut name = stem;
        let problem = if let Err(problem) = verdict {
            problem.clone()
        } else if reading.actions.iter().any(|action| &*action.name == stem) {
            // That one is what the name stands for.
            name = file;
            let what = format!("`{shown}` has the name of an action that runs another plugin");
            Problem::new(what, mend)
        } else if value::name(stem).is_err() {
            let what = format!("`{shown}` cannot give its name to an action");
            let rule = "letters (a to z), digits, `-`, `_` and `.`";
            Problem::new(what, format!("rename it, with no more than {rule}; or {mend}"))
        } else {
            reading.actions.push(ActionConfig::with_defaults(stem, path));
            continue;
        };
        // A file may be called by anything; this is shown to people.
        let name = name.escape_debug().to_string();
        reading.refused.push(RefusedAction::new(&name, vec![problem]));
    }
}
