//! Tasks: calling them, from any host.
//!
//! ```text
//! GET    /v1/tasks                       the tasks, and the hosts that accept calls of each
//! POST   /v1/tasks/TASK                  calls it with the body; ?timeout=5s&max_attempts=3
//! ```
//!
//! The response is the task's output, unchanged. Its headers name the host that ran it
//! (`soloist-host`), the call (`soloist-call`) and the attempt (`soloist-attempt`).

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    api_error::ApiError,
    extract::{Path, Query},
    request_body,
    required_role::{OPERATE, READ},
    route_doc::RouteDoc,
    routes::ApiRoutes,
    task_api::{TaskApi, insert_header, task_response},
};
use crate::{
    action::Action,
    tasks::{ATTEMPT, CALL, ForwardedCall, HOST, status},
};
use soloist_config::{DAY, MS, span};
use soloist_guests::{
    capability::{ATTEMPTS_MAX, CallError, TaskCaller, TaskRequest},
    plugin::{TaskCall, TaskOutput},
};
use soloist_resources::budget::ClientCharge;
use soloist_trace::TraceContext;

const LIST: RouteDoc = RouteDoc::new("The tasks, and the hosts that accept calls of each.")
    .answers::<Vec<TaskEntry>>();
const CALLED: RouteDoc = RouteDoc::new(
    "Calls a task with the body, on whichever host has capacity, and answers with its output.",
)
.query::<CallQuery>()
.takes_bytes()
.answers_as("*/*")
.errors(&[400, 404, 409, 413, 422, 429, 500, 502, 503, 504]);

/// A task and the hosts that run it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaskEntry {
    /// Its name.
    pub name: String,
    /// The label that hosts need to run it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub require_label: Option<String>,
    /// Whether a call may run twice.
    pub idempotent: bool,
    /// How long a call may take, in milliseconds.
    pub call_timeout_ms: u64,
    /// The hosts that accept calls of it.
    pub hosts: BTreeSet<Arc<str>>,
}

/// The parameters of a call.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CallQuery {
    /// How long it may take, as in `5s`; at most what the settings of the task say.
    timeout: Option<String>,
    /// How often it is tried in all; 1 by default.
    max_attempts: Option<u32>,
}

pub(super) fn routes(api: TaskApi) -> ApiRoutes {
    ApiRoutes::new()
        .get("/v1/tasks", READ, list, LIST)
        .post("/v1/tasks/{task}", OPERATE, call, CALLED)
        .with(api)
}

async fn list(State(api): State<TaskApi>) -> Json<Vec<TaskEntry>> {
    let entry = |action: &Arc<Action>| {
        let task = &action.config().task;
        TaskEntry {
            name: action.name().to_string(),
            require_label: task
                .require_label
                .as_ref()
                .map(|label| format!("{}={}", label.name, label.value)),
            idempotent: task.idempotent,
            call_timeout_ms: soloist_text::millis(task.call_timeout),
            hosts: api.dispatcher.hosts(action),
        }
    };
    Json(api.dispatcher.tasks().iter().map(entry).collect())
}

async fn call(
    State(api): State<TaskApi>,
    Path(task): Path<String>,
    Query(terms): Query<CallQuery>,
    request: Request,
) -> Result<Response, ApiError> {
    let action = api.dispatcher.task(&task).map_err(ApiError::from)?;
    let (head, body) = request.into_parts();
    let tab = head.extensions.get::<ClientCharge>();
    let payload = read(&action, body).await?;
    let content_type = content_type(&head.headers);
    let trace = TraceContext::extract(&head.headers);
    if let Some(ForwardedCall { id, attempt, within }) = ForwardedCall::read(&head.headers) {
        let name = Arc::clone(action.name());
        let call = TaskCall { id, name, payload, content_type, attempt, trace };
        return Ok(perform(&api, &call, within).await);
    }
    let (within, attempts) = (terms.within()?, terms.attempts()?);
    let account = action.account().clone();
    let payload = account.hold(payload).map_err(CallError::from)?;
    tab.map(ClientCharge::clear);
    let order = TaskRequest { name: task, payload, content_type, within, attempts, trace, account };
    let done = api.dispatcher.call(order).await.map_err(ApiError::from)?;
    let mut response =
        task_response(TaskOutput { payload: done.payload, content_type: done.content_type });
    let headers = response.headers_mut();
    insert_header(headers, &HOST, &done.host);
    insert_header(headers, &CALL, &done.id);
    headers.insert(ATTEMPT, done.attempt.into());
    Ok(response)
}

/// Runs a call that another host passed on. The other host reports errors to its client.
async fn perform(api: &TaskApi, call: &TaskCall, within: Duration) -> Response {
    match api.pools.perform(call, within).await {
        Ok(done) => task_response(done),
        Err(error) => (status(&error), error.text().to_owned()).into_response(),
    }
}

/// The content type of a payload, if it is text.
pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    headers.get(header::CONTENT_TYPE)?.to_str().ok().map(ToOwned::to_owned)
}

/// Reads the payload of a call.
pub(super) async fn read(action: &Action, body: Body) -> Result<Bytes, ApiError> {
    let most = action.config().limits.max_body_size;
    let large = || {
        let error = format!("the payload is too long: {} takes {most} bytes", action.name());
        ApiError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            error,
            "`max_body_size` in its settings sets the limit",
        )
    };
    let payload = request_body::read_whole(body, usize::try_from(most).unwrap_or(usize::MAX)).await;
    payload.map_err(|missing| missing.refusal("payload", large))
}

impl CallQuery {
    /// Refuses what a queued call takes from the settings of its task.
    pub(super) fn check_for_enqueue(&self) -> Result<(), ApiError> {
        if self.timeout.is_none() && self.max_attempts.is_none() {
            return Ok(());
        }
        let error = "`timeout` and `max_attempts` apply to direct calls only";
        let help = "`call_timeout` and `max_attempts` in the task's settings apply to queued calls";
        Err(ApiError::new(StatusCode::BAD_REQUEST, error, help))
    }

    fn within(&self) -> Result<Option<Duration>, ApiError> {
        let Some(text) = &self.timeout else { return Ok(None) };
        // As long as the settings of a task allow at most.
        span::<MS, DAY>(text).map(Some).map_err(ApiError::bad_request)
    }

    fn attempts(&self) -> Result<u32, ApiError> {
        match self.max_attempts.unwrap_or(1) {
            attempts @ 1..=ATTEMPTS_MAX => Ok(attempts),
            other => Err(ApiError::bad_request(format!(
                "{other} attempts are out of range: write 1 to {ATTEMPTS_MAX}"
            ))),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::{
        action::TaskPools,
        cluster::{PeerClient, PeerCredentials},
        task_scope::TaskScope,
        tasks::{Dispatcher, DispatcherParts, call_queue::CallQueueService},
    };
    use soloist_stores::{Member, Store, ThisHost};

    /// The services of a host that has no tasks.
    pub(in crate::api) fn nothing(store: &Arc<dyn Store>) -> TaskApi {
        let host = ThisHost::of(&Member::named("a"));
        let pools = Arc::new(TaskPools::new("a".into(), Default::default()));
        let (programme, roster) = (watch::channel(Arc::default()).1, watch::channel(None).1);
        let call_queue = store.call_queue().unwrap();
        let parts = DispatcherParts {
            host,
            peers: PeerClient::new(&PeerCredentials::default()).unwrap(),
            pools: Arc::clone(&pools),
            programme,
            roster,
            call_queue: CallQueueService { call_queue, tasks: watch::channel(Arc::default()).1 },
        };
        let dispatcher = Dispatcher::new(parts, &TaskScope::new());
        TaskApi { dispatcher: dispatcher.into(), pools }
    }
}
