//! Errors of schedules.

use crate::problem::Problem;

/// The problem of `text`, which should have been a schedule.
pub(super) fn misread(text: &str, why: &str, help: &str) -> Problem {
    Problem::new(format!("`{text}` is not a schedule: {why}"), help)
}
