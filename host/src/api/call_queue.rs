//! Queued calls: calls of tasks that are kept in the store until they are done.
//!
//! ```text
//! POST   /v1/tasks/TASK/queue               enqueues the body, and answers with the id at once
//! GET    /v1/tasks/TASK/queue/ID            the state of a queued call, and its result if it is text
//! GET    /v1/tasks/TASK/queue/ID/result     its result as it is
//! ```

use axum::{
    Json,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    api_error::ApiError,
    extract::{Path, Query},
    queued_call_view::QueuedCallView,
    required_role::{OPERATE, READ},
    route_doc::RouteDoc,
    routes::ApiRoutes,
    task_api::{self, TaskApi, insert_header},
    tasks::{self, CallQuery},
};
use crate::tasks::CALL;
use soloist_guests::plugin::TaskOutput;
use soloist_stores::{QueuedCallKey, QueuedCallResult};

const ENQUEUE: RouteDoc =
    RouteDoc::new("Keeps a call in the store until it is done, with the body as its payload.")
        .takes_bytes()
        .answers::<EnqueuedCall>()
        .status(202)
        .errors(&[400, 404, 409, 413, 429, 503]);
const LOOK: RouteDoc = RouteDoc::new("The state of a queued call, and its result if that is text.")
    .answers::<QueuedCallView>()
    .errors(&[404, 503]);
const RESULT: RouteDoc = RouteDoc::new("The result of a queued call, as it is.")
    .answers_as("*/*")
    .errors(&[404, 409, 503]);

/// A queued call that was stored.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct EnqueuedCall {
    /// Its id, unique within its task.
    pub id: String,
    /// The task that it calls.
    pub task: String,
}

pub(super) fn routes(api: TaskApi) -> ApiRoutes {
    ApiRoutes::new()
        .post("/v1/tasks/{task}/queue", OPERATE, enqueue, ENQUEUE)
        .get("/v1/tasks/{task}/queue/{id}", READ, look, LOOK)
        .get("/v1/tasks/{task}/queue/{id}/result", READ, result, RESULT)
        .with(api)
}

/// Stores a queued call; the response has its id and the path to ask for it.
async fn enqueue(
    State(api): State<TaskApi>,
    Path(task): Path<String>,
    Query(terms): Query<CallQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    let action = api.dispatcher.task(&task).map_err(ApiError::from)?;
    terms.check_for_enqueue()?;
    let (head, body) = request.into_parts();
    let payload = tasks::read(&action, body).await?;
    let content_type = tasks::content_type(&head.headers);
    let key = api.dispatcher.call_queue().enqueue(action.name(), payload, content_type).await?;
    let stored = EnqueuedCall { id: key.id.to_string(), task: key.task.to_string() };
    let mut response = (StatusCode::ACCEPTED, Json(stored)).into_response();
    insert_header(response.headers_mut(), &CALL, &key.id);
    let path = format!("/v1/tasks/{task}/queue/{}", key.id);
    insert_header(response.headers_mut(), &header::LOCATION, &path);
    Ok(response)
}

async fn look(
    State(api): State<TaskApi>,
    Path((task, id)): Path<(String, String)>,
) -> Result<Json<QueuedCallView>, ApiError> {
    let (entry, result) = api.dispatcher.call_queue().find(&QueuedCallKey::new(task, id)).await?;
    Ok(Json(QueuedCallView::new(entry, result)))
}

async fn result(
    State(api): State<TaskApi>,
    Path((task, id)): Path<(String, String)>,
) -> Result<Response, ApiError> {
    let key = QueuedCallKey::new(task, id);
    let (entry, result) = api.dispatcher.call_queue().find(&key).await?;
    let Some(result) = result else {
        let error = format!("{key} has no result: it is {}", entry.state);
        let help = format!("GET /v1/tasks/{}/queue/{} shows more", key.task, key.id);
        return Err(ApiError::new(StatusCode::CONFLICT, error, help));
    };
    let QueuedCallResult { payload, content_type } = result;
    Ok(task_api::task_response(TaskOutput { payload, content_type }))
}
