//! Dead letters: queued calls that were given up.
//!
//! ```text
//! GET    /v1/tasks/TASK/dead-letters            the dead letters of a task; ?after=ID&limit=N
//! DELETE /v1/tasks/TASK/dead-letters            deletes all of them for good
//! POST   /v1/tasks/TASK/dead-letters/retry      puts all of them into the queue again
//! GET    /v1/tasks/TASK/dead-letters/ID         one of them
//! DELETE /v1/tasks/TASK/dead-letters/ID         deletes it for good
//! POST   /v1/tasks/TASK/dead-letters/ID/retry   puts it into the queue again
//! ```

use axum::{Json, extract::State, http::StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    api_error::ApiError,
    extract::{Path, Query},
    queued_call_view::QueuedCallView,
    required_role::{OPERATE, READ},
    route_doc::RouteDoc,
    routes::ApiRoutes,
    task_api::TaskApi,
};
use soloist_stores::QueuedCallKey;

/// How many dead letters a page lists by default, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;

const ERRORS: &[u16] = &[404, 409, 503];
const LIST: RouteDoc = RouteDoc::new("The queued calls of a task that were given up.")
    .query::<DeadLetterQuery>()
    .answers::<Vec<QueuedCallView>>()
    .errors(&[400, 404, 409, 503]);
const DELETE_ALL: RouteDoc = RouteDoc::new("Deletes all dead letters of a task for good.")
    .answers::<DeadLetterCount>()
    .errors(ERRORS);
const RETRY_ALL: RouteDoc =
    RouteDoc::new("Puts all dead letters of a task into the queue again, with all attempts.")
        .answers::<DeadLetterCount>()
        .errors(ERRORS);
const LOOK: RouteDoc = RouteDoc::new("One dead letter.").answers::<QueuedCallView>().errors(ERRORS);
const DELETE: RouteDoc =
    RouteDoc::new("Deletes one dead letter for good.").answers::<DeadLetterCount>().errors(ERRORS);
const RETRY: RouteDoc =
    RouteDoc::new("Puts one dead letter into the queue again, with all attempts.")
        .answers::<DeadLetterCount>()
        .errors(ERRORS);

/// A page of dead letters.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct DeadLetterQuery {
    /// Only dead letters after the one with this id.
    after: Option<String>,
    /// How many, from 1 to 1000; 100 by default.
    limit: Option<usize>,
}

/// How many dead letters a command affected.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeadLetterCount {
    /// The number of dead letters.
    pub count: usize,
}

type CountResponse = Result<Json<DeadLetterCount>, ApiError>;

pub(super) fn routes(api: TaskApi) -> ApiRoutes {
    ApiRoutes::new()
        .get("/v1/tasks/{task}/dead-letters", READ, list, LIST)
        .delete("/v1/tasks/{task}/dead-letters", OPERATE, delete_all, DELETE_ALL)
        .post("/v1/tasks/{task}/dead-letters/retry", OPERATE, retry_all, RETRY_ALL)
        .get("/v1/tasks/{task}/dead-letters/{id}", READ, look, LOOK)
        .delete("/v1/tasks/{task}/dead-letters/{id}", OPERATE, delete, DELETE)
        .post("/v1/tasks/{task}/dead-letters/{id}/retry", OPERATE, retry, RETRY)
        .with(api)
}

async fn list(
    State(api): State<TaskApi>,
    Path(task): Path<String>,
    Query(which): Query<DeadLetterQuery>,
) -> Result<Json<Vec<QueuedCallView>>, ApiError> {
    let limit = which.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let letters =
        api.dispatcher.call_queue().dead_letters(&task, which.after.as_deref(), limit).await?;
    if letters.is_empty() {
        check_task_exists(&api, &task)?;
    }
    Ok(Json(letters.into_iter().map(|letter| QueuedCallView::new(letter, None)).collect()))
}

async fn look(
    State(api): State<TaskApi>,
    Path((task, id)): Path<(String, String)>,
) -> Result<Json<QueuedCallView>, ApiError> {
    let key = QueuedCallKey::new(task, id);
    let (entry, _) = api.dispatcher.call_queue().find(&key).await?;
    if entry.state != "dead" {
        let error = format!("{key} is not a dead letter: it is {}", entry.state);
        let help = format!("GET /v1/tasks/{}/queue/{} shows more", key.task, key.id);
        return Err(ApiError::new(StatusCode::NOT_FOUND, error, help));
    }
    Ok(Json(QueuedCallView::new(entry, None)))
}

async fn retry_all(State(api): State<TaskApi>, Path(task): Path<String>) -> CountResponse {
    let count = api.dispatcher.call_queue().replay(&task, None).await?;
    counted(&api, &task, count)
}

async fn retry(
    State(api): State<TaskApi>,
    Path((task, id)): Path<(String, String)>,
) -> CountResponse {
    let count = api.dispatcher.call_queue().replay(&task, Some(&id)).await?;
    counted(&api, &task, count)
}

async fn delete_all(State(api): State<TaskApi>, Path(task): Path<String>) -> CountResponse {
    let count = api.dispatcher.call_queue().purge(&task, None).await?;
    counted(&api, &task, count)
}

async fn delete(
    State(api): State<TaskApi>,
    Path((task, id)): Path<(String, String)>,
) -> CountResponse {
    let count = api.dispatcher.call_queue().purge(&task, Some(&id)).await?;
    counted(&api, &task, count)
}

fn counted(api: &TaskApi, task: &str, count: usize) -> CountResponse {
    if count == 0 {
        check_task_exists(api, task)?;
    }
    Ok(Json(DeadLetterCount { count }))
}

/// Checks that the task exists. Needed only when no dead letter was found: a task that is gone
/// may still have some, but otherwise the name is probably a mistake.
fn check_task_exists(api: &TaskApi, task: &str) -> Result<(), ApiError> {
    api.dispatcher.task(task).map(drop).map_err(ApiError::from)
}
