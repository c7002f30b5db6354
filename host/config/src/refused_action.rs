//! Actions that cannot run because their settings or their files are wrong.

use std::fmt;

use super::{ReservedMount, problem::Problem, settings_file::ActionTable};

/// An action that cannot run because its settings or its file are wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedAction {
    /// Its name.
    pub name: String,
    /// The reasons; never empty.
    problems: Vec<Problem>,
    /// The address and path to keep free for it; `None` if it would answer no requests.
    reserved: Option<ReservedMount>,
    /// Whether this is only a settings file without a plugin.
    lacks_plugin: bool,
}

impl RefusedAction {
    pub(super) fn new(name: &str, problems: Vec<Problem>) -> Self {
        let reserved = ReservedMount::unknown(name);
        Self { name: name.to_owned(), problems, reserved, lacks_plugin: false }
    }

    /// Also keeps the address and path free that its settings name, as far as they can be read.
    pub(super) fn reserving(self, table: &ActionTable) -> Self {
        Self { reserved: ReservedMount::from_table(&self.name, table), ..self }
    }

    /// Marks the address as unknown: the settings, or the address in them, cannot be read.
    pub(super) fn at_any_address(mut self) -> Self {
        if let Some(reserved) = &mut self.reserved {
            reserved.any_address = true;
        }
        self
    }

    /// Whether there are settings but no plugin for them. The plugin may still be on its way.
    #[must_use]
    pub fn lacks_plugin(&self) -> bool {
        self.lacks_plugin
    }

    /// The address and path to keep free for it; `None` if it would answer no requests.
    #[must_use]
    pub fn reserved(&self) -> Option<&ReservedMount> {
        self.reserved.as_ref()
    }

    /// The reasons.
    pub(super) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The reasons.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        self.problems
    }

    /// Marks that this is only a settings file without a plugin, which answers no requests.
    pub(super) fn without_plugin(self) -> Self {
        Self { lacks_plugin: true, reserved: None, ..self }
    }
}

/// All reasons in one line.
impl fmt::Display for RefusedAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems: Vec<_> = self.problems.iter().map(Problem::one_line).collect();
        f.write_str(&problems.join("; "))
    }
}
