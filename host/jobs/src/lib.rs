//! Which runs of a job are due, were missed, or have been claimed.
//!
//! Everything here is a pure function of the job's settings, of what the store keeps of its runs,
//! and of the time that is passed in: every leader decides alike. The host's runner of jobs carries
//! the decisions out, and the simulation uses the same ones.
//!
//! - [`timetable`]: what to do next, and what is late
//! - [`JobPlanner`]: where a leader stands in the timetable
//! - [`JobMark`], [`ClaimedSpans`]: which runs were claimed, as the store keeps it
//! - [`JobRun`], [`RunRecord`]: one run that is wanted, and what became of it
//! - [`upcoming_runs`]: what people are shown of the days to come

mod claimed_spans;
mod job_mark;
mod job_planner;
mod job_run;
mod run_record;
pub mod timetable;
mod upcoming;

pub use claimed_spans::ClaimedSpans;
pub use job_mark::JobMark;
pub use job_planner::{JobPlanner, JobStep};
pub use job_run::JobRun;
pub use run_record::{RunOutcome, RunRecord};
pub use upcoming::{UpcomingRun, upcoming_runs};
