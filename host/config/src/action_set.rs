//! The actions that were found, and what could not become one.

use super::{ActionConfig, problem::Problem, refused_action::RefusedAction};

/// All actions that were found, good and bad.
#[derive(Clone, Debug, Default)]
pub struct ActionSet {
    /// The actions, by name.
    pub actions: Vec<ActionConfig>,
    /// What could not become an action, with the reasons.
    pub refused: Vec<RefusedAction>,
}

impl ActionSet {
    /// Removes and returns the mistakes in the settings file's own text. What is wrong with the
    /// plugins folder, or missing from it, stays.
    /// `is_configured` tells whether the settings file has a table for an action.
    pub(super) fn take_mistakes(&mut self, is_configured: impl Fn(&str) -> bool) -> Vec<Problem> {
        let mistaken = |refused: &mut RefusedAction| {
            is_configured(&refused.name) && !refused.problems().iter().all(Problem::is_external)
        };
        let mistaken = self.refused.extract_if(.., mistaken);
        mistaken.flat_map(RefusedAction::into_problems).collect()
    }

    /// Adds the action, or the refusal if there were problems.
    pub(super) fn add(&mut self, action: Option<ActionConfig>, refused: RefusedAction) {
        match action {
            Some(action) if refused.problems().is_empty() => self.actions.push(action),
            _ => self.refused.push(refused),
        }
    }
}
