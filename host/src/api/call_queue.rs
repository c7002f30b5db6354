//! Queued calls: tasks that are kept in the store until they are done.
//!
//! ```text
//! POST   /v1/tasks/TASK?mode=enqueue     enqueues the body, and answers with the id at once
//! GET    /v1/tasks/TASK/ID               how a queued call stands, and its answer if that is text
//! GET    /v1/tasks/TASK/ID/answer        its answer as it is
//! GET    /v1/tasks/TASK/dead             what was given up; ?after=ID&limit=N
//! POST   /v1/tasks/TASK/dead             tries all of that again; ?id=ID: one
//! DELETE /v1/tasks/TASK/dead             takes it away for good; ?id=ID: one
//! ```

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};

use super::{
    api_error::ApiError,
    extract::{Path, Query},
    required_role::{OPERATE, READ},
    routes::ApiRoutes,
    task_api::{self, TaskApi, insert_header},
};
use crate::tasks::{CALL, call_queue::QueuedCallEntry};
use soloist_guests::plugin::TaskOutput;
use soloist_stores::{QueuedCallKey, QueuedCallResult};

/// How many dead letters a page lists by default, and at most.
const PAGE: usize = 100;
const PAGE_MAX: usize = 1000;

/// A queued call, and its answer if that is text.
#[derive(Serialize)]
struct QueuedCallView {
    #[serde(flatten)]
    entry: QueuedCallEntry,
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
}

/// Selects dead letters.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeadLetterQuery {
    id: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

/// How many dead letters a command affected.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeadLetterCount {
    /// The number of dead letters.
    pub count: usize,
}

pub(super) fn routes(api: TaskApi) -> ApiRoutes {
    ApiRoutes::new()
        .get("/v1/tasks/{task}/dead", READ, dead)
        .post("/v1/tasks/{task}/dead", OPERATE, replay)
        .delete("/v1/tasks/{task}/dead", OPERATE, purge)
        .get("/v1/tasks/{task}/{id}", READ, look)
        .get("/v1/tasks/{task}/{id}/answer", READ, answer)
        .with(api)
}

/// Stores a queued call; the response has its id and the path to ask for it.
pub(super) async fn enqueue(
    api: &TaskApi,
    task: &str,
    payload: Bytes,
    content_type: Option<String>,
) -> Result<Response, ApiError> {
    let key = api.dispatcher.call_queue().enqueue(task, payload, content_type).await?;
    let body = Json(serde_json::json!({ "id": key.id, "task": key.task }));
    let mut response = (StatusCode::ACCEPTED, body).into_response();
    insert_header(response.headers_mut(), &CALL, &key.id);
    insert_header(
        response.headers_mut(),
        &header::LOCATION,
        &format!("/v1/tasks/{task}/{}", key.id),
    );
    Ok(response)
}

async fn look(
    State(api): State<TaskApi>,
    Path((task, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let (entry, answer) = api.dispatcher.call_queue().find(&QueuedCallKey::new(task, id)).await?;
    let answer = answer.and_then(|answer| String::from_utf8(answer.payload.into()).ok());
    Ok(Json(QueuedCallView { entry, answer }).into_response())
}

async fn answer(
    State(api): State<TaskApi>,
    Path((task, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let key = QueuedCallKey::new(task, id);
    let (entry, answer) = api.dispatcher.call_queue().find(&key).await?;
    let Some(answer) = answer else {
        let error = format!("{key} has no answer: it is {}", entry.state);
        let help = format!("GET /v1/tasks/{}/{} tells more of it", key.task, key.id);
        return Err(ApiError::new(StatusCode::CONFLICT, error, help));
    };
    let QueuedCallResult { payload, content_type } = answer;
    Ok(task_api::task_response(TaskOutput { payload, content_type }))
}

async fn dead(
    State(api): State<TaskApi>,
    Path(task): Path<String>,
    Query(which): Query<DeadLetterQuery>,
) -> Result<Response, ApiError> {
    let limit = which.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let letters =
        api.dispatcher.call_queue().dead_letters(&task, which.after.as_deref(), limit).await?;
    if letters.is_empty() {
        check_task_exists(&api, &task)?;
    }
    Ok(Json(letters).into_response())
}

async fn replay(
    State(api): State<TaskApi>,
    Path(task): Path<String>,
    Query(which): Query<DeadLetterQuery>,
) -> Result<Json<DeadLetterCount>, ApiError> {
    let count = api.dispatcher.call_queue().replay(&task, which.id.as_deref()).await?;
    dealt(&api, &task, count)
}

async fn purge(
    State(api): State<TaskApi>,
    Path(task): Path<String>,
    Query(which): Query<DeadLetterQuery>,
) -> Result<Json<DeadLetterCount>, ApiError> {
    let count = api.dispatcher.call_queue().purge(&task, which.id.as_deref()).await?;
    dealt(&api, &task, count)
}

fn dealt(api: &TaskApi, task: &str, count: usize) -> Result<Json<DeadLetterCount>, ApiError> {
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
