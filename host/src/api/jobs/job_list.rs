//! The JSON of `GET /v1/jobs`, for the server and for `soloist job`. Times are RFC 3339 in UTC.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use soloist_jobs::RunRecord;

/// The greatest number of upcoming runs that can be asked for.
pub const NEXT_MAX: usize = 1000;

/// The response of `GET /v1/jobs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobList {
    /// The jobs of the host that answers, by name.
    pub jobs: Vec<JobEntry>,
}

/// One job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobEntry {
    /// Its name.
    pub name: String,
    /// The group whose leader runs it.
    pub group: String,
    /// Its schedule, as in the settings.
    pub schedule: String,
    /// What happens to missed runs.
    pub catch_up: String,
    /// When it fires next, if it fires by itself.
    pub next_run_at: Option<DateTime<Utc>>,
    /// The latest run that was started.
    pub last_run: Option<RunRecord>,
    /// Why its runs are unknown, or why the host that answers can start none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The response of `GET /v1/jobs/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobHistory {
    /// The job.
    pub job: JobEntry,
    /// Its recorded runs, the latest first.
    pub runs: Vec<RunRecord>,
}

/// The response of `GET /v1/jobs/<name>/next`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JobFuture {
    /// The name of the job.
    pub name: String,
    /// Its schedule, as in the settings.
    pub schedule: String,
    /// The time zone of the local times.
    pub time_zone: String,
    /// The upcoming runs in order.
    pub runs: Vec<NextRun>,
}

/// An upcoming run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NextRun {
    /// The unique id of the run.
    pub id: String,
    /// The time by the schedule.
    pub scheduled_at: DateTime<Utc>,
    /// When it starts, jitter included.
    pub due_at: DateTime<Utc>,
    /// The scheduled time as local time of the zone.
    pub local_time: String,
    /// How the schedule's clock changes on that day, if it does, and how that affects the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}
