//! The content of the plugins folder: components, settings, and what is neither.

use std::{
    collections::BTreeMap,
    fs::{self, DirEntry},
    io,
    path::{Path, PathBuf},
};

use super::{
    problem::Problem,
    spelling::{did_you_mean, nearest},
    value,
};

/// The content of the plugins folder at one moment.
#[derive(Debug, Default)]
pub(super) struct PluginListing {
    folder: PathBuf,
    /// The components (`*.wasm`) by file name; an `Err` says why a file is unusable.
    components: BTreeMap<String, Result<(), Problem>>,
    /// The stems of the settings files (`*.toml`) that have a component of the same stem.
    settings: Vec<String>,
    /// The stems of settings files without such a component.
    orphan_settings: Vec<String>,
}

impl PluginListing {
    /// Lists `folder`.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let mut listing = Self::empty(folder);
        for entry in folder.read_dir()? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // Hidden files of other programs: partial copies, or metadata of macOS.
            if name.starts_with('.') {
                continue;
            }
            if name.ends_with(".wasm") {
                let verdict = usable(folder, &entry, &name);
                listing.components.insert(name, verdict);
            } else if let Some(stem) = name.strip_suffix(".toml") {
                listing.settings.push(stem.to_owned());
            }
        }
        let components = &listing.components;
        let is_beside = |stem: &String| components.contains_key(&format!("{stem}.wasm"));
        (listing.settings, listing.orphan_settings) =
            listing.settings.into_iter().partition(is_beside);
        // A name that cannot be an action's is reported with its component.
        listing.settings.retain(|stem| value::name(stem).is_ok());
        listing.settings.sort();
        listing.orphan_settings.sort();
        Ok(listing)
    }

    /// The listing of a folder that does not exist.
    pub(super) fn empty(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), ..Self::default() }
    }

    /// The components by file name; an `Err` says why one is unusable.
    pub(super) fn components(&self) -> impl Iterator<Item = (&str, &Result<(), Problem>)> {
        self.components.iter().map(|(name, verdict)| (name.as_str(), verdict))
    }

    /// The names of actions that have a settings file here.
    pub(super) fn settings(&self) -> &[String] {
        &self.settings
    }

    /// The names that have a settings file here but no component. It may be unrelated, such as
    /// the Cargo.toml of a person who builds plugins in this folder.
    pub(super) fn orphan_settings(&self) -> &[String] {
        &self.orphan_settings
    }

    /// The component that the settings file `stem` was probably meant for.
    pub(super) fn likely_meant(&self, stem: &str) -> Option<&str> {
        let stems = || self.components.keys().filter_map(|name| name.strip_suffix(".wasm"));
        stems().find(|other| is_similar(other, stem)).or_else(|| nearest(stem, stems()))
    }

    /// The path of an entry of the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The path of the component `name`, or why it is unusable.
    pub(super) fn component(&self, name: &str) -> Result<PathBuf, Problem> {
        match self.components.get(name) {
            Some(Ok(())) => Ok(self.path(name)),
            Some(Err(problem)) => Err(problem.clone()),
            // A path outside this folder, or with another extension, that was named on purpose.
            None if self.path(name).is_file() => Ok(self.path(name)),
            None => Err(self.missing(name)),
        }
    }

    fn missing(&self, name: &str) -> Problem {
        let present: Vec<_> = self.components.keys().map(String::as_str).collect();
        let help = did_you_mean(name, present.iter().copied());
        let help = help.map_or_else(String::new, |question| question + " ");
        let there = match &present[..] {
            [] => "the folder contains no component (*.wasm)".to_owned(),
            present => format!("the folder contains: {}", present.join(", ")),
        };
        Problem::new(
            format!("`{name}` is not in the plugins folder `{}`", self.folder.display()),
            format!("{help}{there}"),
        )
    }
}

/// Whether two names differ only in separators or case.
pub(super) fn is_similar(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.to_ascii_lowercase().replace('_', "-");
    plain(one) == plain(other)
}

/// Whether an entry named like a component can be one. Symbolic links out of the folder are
/// refused: a person who may only write to the plugins folder must not make the host read other
/// files.
fn usable(folder: &Path, entry: &DirEntry, name: &str) -> Result<(), Problem> {
    let name = name.escape_debug();
    let unreadable = |error: io::Error| {
        let what = format!("cannot read `{name}` in the plugins folder: {error}");
        Problem::new(what, "let this user read it, or remove it")
    };
    if entry.file_type().map_err(unreadable)?.is_symlink() {
        let target = fs::canonicalize(entry.path()).map_err(unreadable)?;
        if !target.starts_with(folder.canonicalize().map_err(unreadable)?) {
            return Err(Problem::new(
                format!("`{name}` is a link out of the plugins folder, to {}", target.display()),
                "copy the component into the folder, or link to one that is in it",
            ));
        }
    }
    let is_file = fs::metadata(entry.path()).map_err(unreadable)?.is_file();
    is_file.then_some(()).ok_or_else(|| {
        let what = format!("`{name}` in the plugins folder is not a file");
        Problem::new(what, "only components may be called *.wasm there: rename or remove it")
    })
}

/// The file names of the components in `folder`, sorted.
///
/// # Errors
/// The folder cannot be read.
pub fn components(folder: &Path) -> io::Result<Vec<String>> {
    let listing = PluginListing::of(folder)?;
    let usable = listing.components().filter(|(_, verdict)| verdict.is_ok());
    Ok(usable.map(|(name, _)| name.to_owned()).collect())
}
