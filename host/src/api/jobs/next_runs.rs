//! The upcoming runs of a job.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    ApiError, JobApi,
    job_list::{JobFuture, NEXT_MAX, NextRun},
};
use crate::api::extract::{Path, Query};
use soloist_config::{ZonedMoment, time_zone};
use soloist_jobs::{UpcomingRun, upcoming_runs};

/// How many are listed by default.
const COUNT: usize = 10;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JobNextQuery {
    /// How many, from 1 to 1000; 10 by default.
    count: Option<usize>,
    /// The time zone of the local times, as in `Europe/Berlin`; that of the job by default.
    time_zone: Option<String>,
}

pub(super) async fn next(
    State(source): State<Arc<JobApi>>,
    Path(name): Path<String>,
    Query(JobNextQuery { count, time_zone: zone }): Query<JobNextQuery>,
) -> Result<impl IntoResponse, ApiError> {
    let count = count.unwrap_or(COUNT);
    if !(1..=NEXT_MAX).contains(&count) {
        let error = format!("{count} is out of range");
        let help = format!("ask for 1 to {NEXT_MAX}");
        return Err(ApiError::new(StatusCode::BAD_REQUEST, error, help));
    }
    let action = source.job(&name)?;
    let job = action.job().ok_or_else(|| source.no_job(&name))?;
    let zone = zone.map_or(Ok(job.schedule.zone()), |zone| time_zone(&zone));
    let zone = zone.map_err(|(error, help)| ApiError::new(StatusCode::BAD_REQUEST, error, help))?;
    let (mark, _) = source.records(&name, 0).await?;
    let runs = upcoming_runs(&name, job, mark.as_ref(), source.jobs.clock.now()).take(count);
    let told = |UpcomingRun { run, due }| NextRun {
        local_time: ZonedMoment(run.scheduled, zone).to_string(),
        remark: job.schedule.remark(run.scheduled, zone),
        scheduled_at: run.scheduled,
        id: run.id,
        due_at: due,
    };
    let (schedule, zone_name) = (job.schedule.to_string(), zone.name().to_owned());
    let runs = runs.map(told).collect();
    let future = JobFuture { name, schedule, time_zone: zone_name, runs };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(future)))
}
