//! Jobs: listing them, and running one now.
//!
//! ```text
//! GET    /v1/jobs                        the jobs of this host, each with its next and last run
//! GET    /v1/jobs/<name>                 its recorded runs, the latest first
//! GET    /v1/jobs/<name>/next?count=10&time_zone=Europe/Berlin
//!                                        its upcoming runs, and clock changes
//! POST   /v1/jobs/<name>/run?wait=true   runs it now, on the host that leads
//! GET    /v1/clock                       this host's clock, which schedules use
//! ```
//!
//! Runs are read from the store, so any host can list them. A host that does not lead passes a
//! run request on to the leader, and returns the leader's response.

mod job_api;
mod job_list;
mod next_runs;
mod run_now;

use std::sync::Arc;

use axum::{Json, extract::State, http::header, response::IntoResponse};
use chrono::{DateTime, Utc};
use futures::{StreamExt, TryStreamExt, stream};
use schemars::{Schema, SchemaGenerator, json_schema};

pub use self::{
    job_api::JobApi,
    job_list::{JobEntry, JobFuture, JobHistory, JobList, NEXT_MAX, NextRun},
};
use super::{
    api_error::ApiError,
    extract::Path,
    required_role::{OPERATE, READ},
    route_doc::RouteDoc,
    routes::ApiRoutes,
};
use crate::action::RECORDS_MAX;
use soloist_heart::clock::ClockReport;
use soloist_jobs::RunRecord;

const LIST: RouteDoc = RouteDoc::new("The jobs of this host, each with its next and last run.")
    .answers::<JobList>()
    .errors(&[503]);
const HISTORY: RouteDoc = RouteDoc::new("The recorded runs of a job, the latest first.")
    .answers::<JobHistory>()
    .errors(&[404, 409, 503]);
const NEXT: RouteDoc = RouteDoc::new("The upcoming runs of a job, and clock changes.")
    .query::<next_runs::JobNextQuery>()
    .answers::<JobFuture>()
    .errors(&[400, 404, 409, 503]);
const RUN: RouteDoc = RouteDoc::new(
    "Runs a job now, on the leader of its group: 202 once it has begun, or 200 when it has ended.",
)
.query::<run_now::JobRunQuery>()
.answers::<RunRecord>()
.errors(&[400, 404, 409, 503])
.or_status(202);
const CLOCK: RouteDoc = RouteDoc::new("The wall clock of this host.").answers_with(clock_schema);

/// How many jobs are looked up concurrently.
const AT_ONCE: usize = 16;

/// The schema of a [`ClockReport`], which comes from a crate that describes nothing.
fn clock_schema(generator: &mut SchemaGenerator) -> Schema {
    let mut shows = generator.subschema_for::<DateTime<Utc>>();
    shows.insert("description".into(), "The time by this host's clock.".into());
    json_schema!({ "type": "object", "properties": { "shows": shows }, "required": ["shows"] })
}

type JobsState = State<Arc<JobApi>>;

pub(super) fn routes(source: Arc<JobApi>) -> ApiRoutes {
    ApiRoutes::new()
        .get("/v1/jobs", READ, list, LIST)
        .get("/v1/jobs/{name}", READ, runs, HISTORY)
        .get("/v1/jobs/{name}/next", READ, next_runs::next, NEXT)
        .post("/v1/jobs/{name}/run", OPERATE, run_now::run, RUN)
        .get("/v1/clock", READ, clock, CLOCK)
        .with(source)
}

/// For other hosts, which compare it with their own clock.
async fn clock(State(source): JobsState) -> impl IntoResponse {
    let shown = ClockReport { shows: source.jobs.clock.now() };
    ([(header::CACHE_CONTROL, "no-store")], Json(shown))
}

async fn list(State(source): JobsState) -> Result<impl IntoResponse, ApiError> {
    let mut actions = source.programme.borrow().actions.clone();
    actions.retain(|action| action.job().is_some());
    let entries = actions.into_iter().map(|action| Arc::clone(&source).entry(action));
    let found: Vec<_> = stream::iter(entries).buffered(AT_ONCE).try_collect().await?;
    let jobs = found.into_iter().flatten().collect();
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(JobList { jobs })))
}

async fn runs(
    State(source): JobsState,
    Path(name): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let action = source.job(&name)?;
    let job = action.job().ok_or_else(|| source.no_job(&name))?;
    let (mark, mut runs) = source.records(&name, RECORDS_MAX as usize).await?;
    runs.reverse();
    let job = source.described(&action, job, mark.as_ref(), runs.first().cloned());
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(JobHistory { job, runs })))
}

#[cfg(test)]
pub(super) mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::{
        action::{JobServices, JobTriggers},
        cluster::{PeerClient, PeerCredentials},
        wall_clock::WallClock,
    };
    use soloist_leadership::RosterView;
    use soloist_stores::{Member, Store, ThisHost};

    /// The jobs of a host without any.
    pub(in crate::api) fn none(store: &dyn Store) -> JobApi {
        let (clock, _) = WallClock::of_this_machine();
        let jobs = JobServices {
            ledger: store.ledger().unwrap(),
            triggers: JobTriggers::default(),
            clock,
        };
        let (_, programme) = watch::channel(Arc::default());
        let roster_view = RosterView::empty();
        let peers = PeerClient::new(&PeerCredentials::default()).unwrap();
        let claim_trouble = Box::new(|| None);
        let host = ThisHost::of(&Member::named("a"));
        JobApi { host, programme, peers, roster_view, jobs, claim_trouble }
    }
}
