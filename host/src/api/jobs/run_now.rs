//! Running a job now, on request.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::timeout;
use tracing::info;

use super::{ApiError, JobApi};
use crate::{
    action::{TriggerRefusal, TriggeredRun},
    api::extract::{Path, Query},
    cluster::{PASSED_ON, PeerError, current_roster},
    http::PROBLEM_JSON,
};
use soloist_stores::{Candidate, Roster};
use soloist_text::with_causes;

/// How long to wait for a leader to be elected.
const CHANGE: Duration = Duration::from_secs(5);
/// How long the leader may take to claim a run.
const CLAIM: Duration = Duration::from_secs(10);
/// How much longer its response may take on the network.
const WAY: Duration = Duration::from_secs(5);

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct JobRunQuery {
    /// Whether the answer comes only when the run has ended.
    #[serde(default)]
    wait: bool,
}

pub(super) async fn run(
    State(source): State<Arc<JobApi>>,
    Path(name): Path<String>,
    Query(JobRunQuery { wait }): Query<JobRunQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let action = source.job(&name)?;
    let group = action.group();
    let mut roster = source.roster_view.rosters();
    let led =
        |roster: &Option<Roster>| roster.as_ref().is_some_and(|it| it.leader(group).is_some());
    // Whether there is a leader is checked below.
    let _ = timeout(CHANGE, roster.wait_for(led)).await;
    let known = current_roster(&source.roster_view)?;
    match known.leader(group).map(|standing| standing.candidate.clone()) {
        None => Err(refused(
            format!("nobody leads {group}, so nobody runs {name}"),
            "`soloist status` shows the candidates and the obstacles",
        )),
        Some(leader) if source.host.is(&leader) => run_here(&source, &name, wait).await,
        Some(_) if headers.contains_key(PASSED_ON) => Err(changed(&name)),
        Some(leader) => run_on_leader(&source, &leader, &name, wait).await,
    }
}

async fn run_here(source: &JobApi, name: &str, wait: bool) -> Result<Response, ApiError> {
    // After the timeout the job is not started any more, unless it was claimed at that very
    // moment.
    let ordered = timeout(CLAIM, source.jobs.triggers.trigger(name)).await;
    let ordered = ordered.map_err(|_| source.not_claimed(name))?;
    let TriggeredRun { record, end } = ordered.map_err(|why| match why {
        TriggerRefusal::NotHere => changed(name),
        TriggerRefusal::Full(count) => refused(
            format!("{count} runs of {name} are in progress, and no job has more at a time"),
            "wait for the end of one; `run_timeout` bounds how long each may take",
        ),
        TriggerRefusal::Busy(run) => refused(
            format!("{name} is already running: {run} has not ended"),
            "wait for its end, or set `overlap = \"allow\"`",
        ),
    })?;
    info!(
        event = "command",
        command = "run",
        of = name,
        run = record.id,
        "{} was asked for",
        record.id
    );
    if !wait {
        return Ok((StatusCode::ACCEPTED, Json(record)).into_response());
    }
    match end.await {
        Ok(record) => Ok(Json(record).into_response()),
        Err(_) => Err(unavailable(
            format!("the leadership changed while {} ran, which interrupted it", record.id),
            format!("`soloist job history {name}` shows its record; it is not run again"),
        )),
    }
}

impl JobApi {
    /// The error for a run of `name` that could not be claimed in time.
    fn not_claimed(&self, name: &str) -> ApiError {
        let trouble = self.job(name).ok().and_then(|action| action.status().job_trouble);
        let why = trouble.map_or_else(String::new, |trouble| format!(": {trouble}"));
        unavailable(
            format!("no run of {name} could be claimed in the store within {CLAIM:?}{why}"),
            format!(
                "correct that and ask again; `soloist job history {name}` shows whether the last \
                 attempt was claimed nevertheless"
            ),
        )
    }
}

/// Returns the leader's response unchanged.
async fn run_on_leader(
    source: &JobApi,
    leader: &Candidate,
    name: &str,
    wait: bool,
) -> Result<Response, ApiError> {
    let name = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
    let path = format!("/v1/jobs/{name}/run?wait={wait}");
    // A client that waits for the end of a job waits as long as it takes.
    let within = (!wait).then_some(CLAIM + WAY);
    let answer = source.peers.forward_post(leader.into(), &path, source.host.name(), within).await;
    let (code, body) = answer.map_err(|error| {
        if let PeerError::Misdirected(misdirected) = error {
            let misdirected = misdirected.to_leader();
            return unavailable(misdirected.error(), misdirected.help());
        }
        let why = with_causes(&error);
        let what = format!("the leader {} does not answer at {}: {why}", leader.host, leader.url);
        unavailable(what, "the job may have been run: `soloist job` shows whether it was")
    })?;
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY);
    let form = if code.is_success() { "application/json" } else { PROBLEM_JSON };
    Ok((code, [(header::CONTENT_TYPE, form)], body).into_response())
}

fn refused(error: impl Into<String>, help: &str) -> ApiError {
    ApiError::new(StatusCode::CONFLICT, error, help)
}

fn unavailable(error: impl Into<String>, help: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, error, help)
}

fn changed(name: &str) -> ApiError {
    refused(
        format!("{name} does not run here now: its leader is just changing, or it has not started"),
        "ask again; `soloist status` shows who leads, and what its last error was",
    )
}
