//! What is wrong with a schedule.

use crate::problem::Problem;

/// What is wrong with `text`, which should be a schedule.
pub(super) fn misread(text: &str, why: &str, help: &str) -> Problem {
    Problem::new(format!("`{text}` is no schedule: {why}"), help)
}
