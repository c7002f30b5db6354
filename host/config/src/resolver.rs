//! Turns settings, written or default, into values, and collects the problems.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    ConfigError,
    bounded::BoundedSetting,
    problem::{Location, Problem},
    secrets::SecretReader,
    settings_file::{Located, LocatedText, SourceFile},
};

/// The text of a setting and where it was written; `None` for defaults.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) text: String,
    pub(super) place: Option<Location>,
}

/// Turns settings into values and collects what is wrong with them.
pub(super) struct Resolver<'a> {
    source: &'a SourceFile,
    problems: Vec<Problem>,
    /// Problems outside the settings, which do not keep a host from starting.
    external: Vec<Problem>,
    /// Settings that are valid but have no effect.
    warnings: Vec<Problem>,
    /// Whether secrets may be missing.
    without_secrets: bool,
    /// Whether the file holds the settings of one action alone.
    of_one_action: bool,
}

impl<'a> Resolver<'a> {
    /// A resolver of settings written in `source`.
    pub(super) fn new(source: &'a SourceFile) -> Self {
        let (problems, external, warnings) = (Vec::new(), Vec::new(), Vec::new());
        let (without_secrets, of_one_action) = (false, false);
        Self { source, problems, external, warnings, without_secrets, of_one_action }
    }

    /// The same for a file that holds the settings of one action alone.
    pub(super) fn of_one_action(self) -> Self {
        Self { of_one_action: true, ..self }
    }

    /// Where a person has to write a setting of the action `name`.
    pub(super) fn action_place(&self, name: &str) -> Arc<str> {
        if self.of_one_action {
            return self.source.path().display().to_string().into();
        }
        // Settings that are made of flags add to those of the file next to the plugin.
        if self.source.is_alias() { format!("{name}.toml") } else { format!("[action.{name}]") }
            .into()
    }

    /// Sets whether secrets may be missing, since nothing will run with them.
    pub(super) fn without_secrets(self, without: bool) -> Self {
        Self { without_secrets: without, ..self }
    }

    /// What reads the secrets that settings refer to.
    pub(super) fn secret_reader(&self) -> SecretReader {
        SecretReader { folder: self.folder().to_owned(), allow_missing: self.without_secrets }
    }

    /// The setting of a key that has no flag.
    pub(super) fn written(&self, text: Option<LocatedText>, default: &str) -> Setting {
        match text {
            Some(text) => {
                let place = Some(self.source.place(&text));
                Setting { text: text.into_inner(), place }
            }
            None => Setting { text: default.to_owned(), place: None },
        }
    }

    /// The value of a key with bounds, or its default; `None` after reporting what is wrong.
    pub(super) fn bounded<B: BoundedSetting>(
        &mut self,
        written: Option<&B>,
        default: B::Value,
    ) -> Option<B::Value> {
        let Some(written) = written else { return Some(default) };
        let place = written.place(self.source);
        written.value().map_err(|problem| self.report(problem.at(Some(place)))).ok()
    }

    /// Where a bounded setting was written, if it was.
    pub(super) fn place_of<B: BoundedSetting>(&self, written: Option<&B>) -> Option<Location> {
        Some(written?.place(self.source))
    }

    /// The setting of a key that has a flag, which takes precedence.
    pub(super) fn flag_or_written(
        &self,
        flag: &'static str,
        given: &Option<String>,
        text: Option<LocatedText>,
        default: &str,
    ) -> Setting {
        match given {
            Some(given) => Setting { text: given.clone(), place: Some(Location::Flag(flag)) },
            None => self.written(text, default),
        }
    }

    /// The folder that relative paths in the file start from.
    pub(super) fn folder(&self) -> &Path {
        self.source.folder()
    }

    /// Resolves the relative path `path` of a setting.
    pub(super) fn path(&self, setting: &Setting, path: &Path) -> PathBuf {
        match setting.place {
            Some(Location::Flag(_)) => path.to_owned(),
            Some(Location::File(_)) | None => self.source.folder().join(path),
        }
    }

    /// The file that `text` names.
    pub(super) fn file(&self, text: LocatedText) -> PathBuf {
        let setting = self.written(Some(text), "");
        self.path(&setting, setting.text.as_ref())
    }

    /// Parses the text of a setting; `None` after reporting what is wrong.
    pub(super) fn read<T>(
        &mut self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        match parse(&setting.text) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.report(problem.at(setting.place.clone()));
                None
            }
        }
    }

    /// The value of a key that may be left out: the inner `None` if it is, the outer one after
    /// reporting what is wrong.
    pub(super) fn optional<T>(
        &mut self,
        text: Option<LocatedText>,
        parse: impl FnOnce(&str) -> Result<T, Problem>,
    ) -> Option<Option<T>> {
        let Some(text) = text else { return Some(None) };
        let setting = self.written(Some(text), "");
        self.read(&setting, parse).map(Some)
    }

    /// Reports the result of a check at `place`.
    pub(super) fn check(
        &mut self,
        place: Option<Location>,
        found: Result<(), Problem>,
    ) -> Option<()> {
        found.map_err(|problem| self.report(problem.at(place))).ok()
    }

    /// Reports what is wrong outside of a setting that is itself valid.
    pub(super) fn check_external(
        &mut self,
        setting: &Setting,
        check: impl FnOnce(&str) -> Result<(), Problem>,
    ) {
        let problem = check(&setting.text).err();
        self.external.extend(problem.map(|problem| problem.at(setting.place.clone())));
    }

    /// Treats problems outside the settings as errors too.
    pub(super) fn report_external(&mut self) {
        self.problems.append(&mut self.external);
    }

    /// Where a value is written in the file.
    pub(super) fn place<T>(&self, value: &Located<T>) -> Location {
        self.source.place(value)
    }

    /// Adds a problem.
    pub(super) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Adds several problems.
    pub(super) fn report_all(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.extend(problems);
    }

    /// Adds a warning: the setting is valid but has no effect.
    pub(super) fn warn(&mut self, remark: Problem) {
        self.warnings.push(remark.into_warning());
    }

    /// The warnings so far.
    pub(super) fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// The problems so far.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// The outcome, unless there are problems. `outcome` is `Some` if there are none. The error
    /// includes the warnings.
    pub(super) fn finish<T>(mut self, outcome: Option<T>) -> Result<T, ConfigError> {
        match outcome {
            Some(outcome) if self.problems.is_empty() => Ok(outcome),
            _ => {
                self.problems.append(&mut self.warnings);
                Err(ConfigError::new(self.problems))
            }
        }
    }
}
