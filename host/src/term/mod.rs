//! What a host runs under its terms, and what keeps it from leading.
//!
//! Leadership itself is in [`soloist_leadership`], which starts a term by calling
//! [`ActionPerformer`].

mod gaps;
mod group_lifecycle;
mod health;
mod plugin_ranking;
mod readiness_watch;
mod standby_hooks;
mod tree;

pub use gaps::{Gap, GapWatch, Gaps};
pub use health::{ActionHealth, FailureReport};
pub use plugin_ranking::PluginRanking;
pub use readiness_watch::ReadinessWatch;
pub use standby_hooks::{StandbyHooks, StandbyNotifier};
pub use tree::ActionPerformer;
