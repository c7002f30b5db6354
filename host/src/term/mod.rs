//! What this host performs under a term: its actions; and what keeps it from leading.
//!
//! Leadership itself is of [`soloist_leadership`], which begins a term by [`Actions`].

mod findings;
mod gaps;
mod health;
mod performance;
mod ranking;
mod readiness;
mod standby;
mod tree;

pub use findings::{Findings, Here};
pub use gaps::{Gap, GapWatch, Gaps, Why};
pub use health::{Health, Report};
pub use ranking::Ranking;
pub use readiness::Readiness;
pub use standby::{Sidelines, Standby};
pub use tree::Actions;
