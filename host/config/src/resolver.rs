//! From settings, written or not, to their values; and what is wrong with them.

use std::path::{Path, PathBuf};

use super::{
    ConfigError,
    bounded::BoundedSetting,
    problem::{Location, Problem},
    secrets::SecretReader,
    settings_file::{Located, LocatedText, SourceFile},
};

/// The text of a setting and where it was written; defaults are written nowhere.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) text: String,
    pub(super) place: Option<Location>,
}

/// Turns settings into values and collects what is wrong with them.
pub(super) struct Resolver<'a> {
    source: &'a SourceFile,
    problems: Vec<Problem>,
    /// What is wrong around the settings, and keeps nobody from starting.
    external: Vec<Problem>,
    /// What is right, and does nothing.
    warnings: Vec<Problem>,
    /// Whether secrets need not be there.
    without_secrets: bool,
}

impl<'a> Resolver<'a> {
    /// A resolver of settings that stand in `source`, if anywhere.
    pub(super) fn new(source: &'a SourceFile) -> Self {
        let (problems, external, warnings) = (Vec::new(), Vec::new(), Vec::new());
        Self { source, problems, external, warnings, without_secrets: false }
    }

    /// The same; `without` is whether nobody is told secrets, so that they need not be there.
    pub(super) fn without_secrets(self, without: bool) -> Self {
        Self { without_secrets: without, ..self }
    }

    /// Where secrets are.
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

    /// The value of a key that has bounds, or nothing after taking down what is wrong.
    pub(super) fn bounded<B: BoundedSetting>(
        &mut self,
        written: Option<&B>,
        default: B::Value,
    ) -> Option<B::Value> {
        let Some(written) = written else { return Some(default) };
        let place = written.place(self.source);
        written.value().map_err(|problem| self.report(problem.at(Some(place)))).ok()
    }

    /// Where what has bounds was written, if it was.
    pub(super) fn place_of<B: BoundedSetting>(&self, written: Option<&B>) -> Option<Location> {
        Some(written?.place(self.source))
    }

    /// The setting of a key that has a flag, which may have been given.
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

    /// Where relative paths of the file start from.
    pub(super) fn folder(&self) -> &Path {
        self.source.folder()
    }

    /// Where the relative path `path` of a setting starts from.
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

    /// The value of a setting, or nothing after taking down what is wrong.
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

    /// Takes down what was found to be wrong with values, and where to mend that.
    pub(super) fn check(
        &mut self,
        place: Option<Location>,
        found: Result<(), Problem>,
    ) -> Option<()> {
        found.map_err(|problem| self.report(problem.at(place))).ok()
    }

    /// Takes down what is wrong around a setting that is right in itself.
    pub(super) fn check_external(
        &mut self,
        setting: &Setting,
        check: impl FnOnce(&str) -> Result<(), Problem>,
    ) {
        let problem = check(&setting.text).err();
        self.external.extend(problem.map(|problem| problem.at(setting.place.clone())));
    }

    /// Takes that for as bad as what is wrong with the settings.
    pub(super) fn report_external(&mut self) {
        self.problems.append(&mut self.external);
    }

    /// Where something stands in the file.
    pub(super) fn place<T>(&self, value: &Located<T>) -> Location {
        self.source.place(value)
    }

    /// Takes a problem down.
    pub(super) fn report(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Takes several down.
    pub(super) fn report_all(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.problems.extend(problems);
    }

    /// Takes down what is right, and does nothing.
    pub(super) fn warn(&mut self, remark: Problem) {
        self.warnings.push(remark.as_warning());
    }

    /// What was taken down of that.
    pub(super) fn warnings(&self) -> &[Problem] {
        &self.warnings
    }

    /// What was taken down.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// What came out, unless there are problems; without any, it is something. Who is told of
    /// problems is told of the rest as well.
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
