//! The shape of `GET /v1/jobs`, for the server and for `soloist jobs`. Moments are RFC 3339
//! in UTC.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::action::FiringRecord;

/// So many firings that are still to come are told at most.
pub const NEXT_MAX: usize = 1000;

/// The answer of `GET /v1/jobs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobList {
    /// The jobs of the host that answers, by name.
    pub jobs: Vec<JobEntry>,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobEntry {
    /// Its name.
    pub name: String,
    /// The group whose leader runs it.
    pub group: String,
    /// When it fires.
    pub schedule: String,
    /// What becomes of firings that are missed.
    pub missed: String,
    /// When it begins next, if it ever does by itself.
    pub next: Option<DateTime<Utc>>,
    /// The latest firing that was begun.
    pub last: Option<FiringRecord>,
    /// Why nothing is known of its firings, or why none can begin on the host that answers, if
    /// that is so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// The answer of `GET /v1/jobs/<name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFirings {
    /// The job.
    pub job: JobEntry,
    /// What is kept of its firings, the latest first.
    pub firings: Vec<FiringRecord>,
}

/// The answer of `GET /v1/jobs/<name>/next`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFuture {
    /// The job.
    pub name: String,
    /// When it fires.
    pub schedule: String,
    /// The time zone in which it is told.
    pub zone: String,
    /// What is to come, in its order.
    pub firings: Vec<NextFiring>,
}

/// A firing that is still to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextFiring {
    /// What tells it from every other.
    pub id: String,
    /// Its time.
    pub scheduled: DateTime<Utc>,
    /// When it begins, jitter included.
    pub due: DateTime<Utc>,
    /// What a clock of the zone shows at its time.
    pub shown: String,
    /// What the clock by which it goes does on that day, if it is set then, and what becomes
    /// of the firing by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}
