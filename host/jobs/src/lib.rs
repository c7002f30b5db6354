//! Which firings of a job are due, were missed, or have been claimed.
//!
//! Everything here is a pure function of the job's settings, of what the store keeps of its firings,
//! and of the time that is passed in: every leader decides alike. The host's runner of jobs carries
//! the decisions out, and the simulation uses the same ones.
//!
//! - [`timetable`]: what to do next, and what is late
//! - [`JobPlanner`]: where a leader stands in the timetable
//! - [`JobMark`], [`ClaimedSpans`]: which firings were claimed, as the store keeps it
//! - [`Firing`], [`FiringRecord`]: one run that is wanted, and what became of it
//! - [`upcoming_firings`]: what people are shown of the days to come

mod claimed_spans;
mod firing;
mod firing_record;
mod job_mark;
mod job_planner;
pub mod timetable;
mod upcoming;

pub use claimed_spans::ClaimedSpans;
pub use firing::Firing;
pub use firing_record::{FiringOutcome, FiringRecord};
pub use job_mark::JobMark;
pub use job_planner::{JobPlanner, JobStep};
pub use upcoming::{UpcomingFiring, upcoming_firings};
