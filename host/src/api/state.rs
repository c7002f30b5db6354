//! The state of actions.
//!
//! ```text
//! GET    /v1/state/<action>?after=<key>&limit=<n>   its keys, in byte order
//! GET    /v1/state/<action>/<key>                   a value, as it is
//! PUT    /v1/state/<action>/<key>                   sets the value to the body
//! DELETE /v1/state/<action>/<key>                   deletes it
//! DELETE /v1/state/<action>?all=true                deletes all of them
//! ```
//!
//! A key in the path is percent-encoded. It may also be given as `?key=`, because clients remove
//! the keys `.` and `..` from a path.
//!
//! These writes are not guarded by a leadership, so any host accepts them, for any action,
//! including one that does not run anywhere (any more). The exception is an action that this host
//! knows to keep no state: a value would never be read, so it is refused. Each write is logged,
//! without its value.

use std::{collections::HashMap, sync::Arc};

use axum::{
    Json,
    body::Body,
    extract::{self, FromRequestParts},
    http::{StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::info;

use super::{
    api_error::ApiError,
    extract::{Path, Query},
    request_body,
    required_role::{OPERATE, READ},
    route_doc::RouteDoc,
    routes::ApiRoutes,
};
use crate::action::Programme;
use soloist_config::check_name;
use soloist_stores::{BATCH_MAX, StateQuota, StateStore, StateWrite, VALUE_MAX, WriteGuard};

/// How many keys a page lists, by default and at most.
const PAGE: usize = 1000;

const KEYS: RouteDoc =
    RouteDoc::new("The keys of an action's state in byte order; with `?key=`, one value as it is.")
        .query::<StateQuery>()
        .answers::<StateKeys>()
        .errors(&[400, 404, 503]);
const VALUE: RouteDoc = RouteDoc::new("One value, as it is.")
    .answers_as("application/octet-stream")
    .errors(&[400, 404, 503]);
const PUT: RouteDoc = RouteDoc::new("Sets a value to the body.")
    .query::<StateQuery>()
    .takes_bytes()
    .errors(&[400, 408, 409, 413, 503]);
const DELETE_ALL: RouteDoc =
    RouteDoc::new("Deletes all keys of an action's state, with `?all=true`; with `?key=`, one.")
        .query::<StateQuery>()
        .answers::<DeletedKeys>()
        .errors(&[400, 404, 503]);
const DELETE: RouteDoc = RouteDoc::new("Deletes one key.").errors(&[400, 404, 503]);

/// How many keys were deleted.
#[derive(Serialize, Deserialize, JsonSchema)]
pub struct DeletedKeys {
    /// The number of keys.
    pub deleted: usize,
}

/// The response of `GET /v1/state/<action>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StateKeys {
    /// The name of the action.
    pub action: String,
    /// Its keys after the requested one, in byte order.
    pub keys: Vec<String>,
    /// Whether there are more keys after these.
    pub more: bool,
    /// The bytes of all its keys and values, as this host counted them within the last 10 s.
    #[serde(default)]
    pub bytes: u64,
    /// How many bytes it may keep: `max_state_size` in its settings.
    #[serde(default)]
    pub max_bytes: u64,
}

/// The store that holds the state.
type SharedStateStore = extract::State<Arc<StateQuota>>;
/// The actions of this host.
type ProgrammeReceiver = watch::Receiver<Arc<Programme>>;

pub(super) fn routes(state: Arc<StateQuota>, actions: ProgrammeReceiver) -> ApiRoutes {
    let mut routes = ApiRoutes::new();
    let put = move |store: SharedStateStore, asked: StateRequest, body: Body| {
        let actions = actions.clone();
        async move {
            keeps_state(&actions, &asked.action)?;
            put(store, asked, body).await
        }
    };
    let paths =
        [("/v1/state/{action}", KEYS, DELETE_ALL), ("/v1/state/{action}/{*key}", VALUE, DELETE)];
    for (path, reading, deleting) in paths {
        routes = routes
            .get(path, READ, read, reading)
            .put(path, OPERATE, put.clone(), PUT)
            .delete(path, OPERATE, delete, deleting);
    }
    routes.with(state)
}

#[derive(Debug, Default, Deserialize, JsonSchema)]
struct StateQuery {
    /// The key, if the path does not name it.
    key: Option<String>,
    /// Only keys after this one.
    after: Option<String>,
    /// How many keys, from 1 to 1000; 1000 by default.
    limit: Option<usize>,
    /// Whether all keys are to be deleted.
    #[serde(default)]
    all: bool,
}

/// The action and key that a request is about.
struct StateRequest {
    action: String,
    key: Option<String>,
    options: StateQuery,
}

impl<S: Send + Sync> FromRequestParts<S> for StateRequest {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let Path(mut path) =
            Path::<HashMap<String, String>>::from_request_parts(parts, state).await?;
        let Query(mut options) = Query::<StateQuery>::from_request_parts(parts, state).await?;
        let action = path.remove("action").unwrap_or_default();
        check_name(&action).map_err(ApiError::bad_request)?;
        let key = path.remove("key").or_else(|| options.key.take());
        Ok(Self { action, key, options })
    }
}

async fn read(store: SharedStateStore, asked: StateRequest) -> Result<Response, ApiError> {
    let StateRequest { action, key: Some(key), .. } = asked else {
        return list(store, asked).await;
    };
    let found = store.get(&action, std::slice::from_ref(&key)).await?;
    let Some(entry) = found.into_iter().flatten().next() else {
        return Err(missing(&action, &key));
    };
    let headers =
        [(header::CONTENT_TYPE, "application/octet-stream"), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, entry.value).into_response())
}

async fn list(store: SharedStateStore, asked: StateRequest) -> Result<Response, ApiError> {
    let StateRequest { action, options, .. } = asked;
    let limit = options.limit.unwrap_or(PAGE).clamp(1, PAGE);
    let keys = store.list(&action, options.after.as_deref(), limit + 1).await;
    let mut keys = keys?;
    let more = keys.len() > limit;
    keys.truncate(limit);
    let (bytes, max_bytes) = (store.kept(&action).await?, store.quota(&action));
    let page = StateKeys { action, keys, more, bytes, max_bytes };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(page)).into_response())
}

async fn put(
    store: SharedStateStore,
    asked: StateRequest,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let StateRequest { action, key: Some(key), .. } = asked else { return Err(which_key()) };
    let value = request_body::read_whole(body, VALUE_MAX).await;
    let value = value.map_err(|missing| missing.refusal("value", too_large))?;
    let bytes = value.len();
    let write = StateWrite { key: key.clone(), value: Some(value), only_if: None };
    store.write(WriteGuard::Person, &action, &[write]).await?;
    info!(event = "state-put", action, key, bytes, "a person put {key:?} of {action}");
    Ok(StatusCode::NO_CONTENT)
}

/// Refuses a value for an action that would never read it. State may exist for an action that
/// this host does not know yet.
fn keeps_state(actions: &ProgrammeReceiver, name: &str) -> Result<(), ApiError> {
    let programme = actions.borrow();
    let action = programme.actions.iter().find(|action| **action.name() == *name);
    let Some(grants) = action.map(|action| &action.config().grants).filter(|it| !it.state) else {
        return Ok(());
    };
    let error = format!("the action {name} keeps no state, so it could not read this");
    let help = format!("write `state = true` into its settings: {}", grants.written_in);
    Err(ApiError::new(StatusCode::CONFLICT, error, help))
}

async fn delete(store: SharedStateStore, asked: StateRequest) -> Result<Response, ApiError> {
    let StateRequest { action, key: Some(key), .. } = asked else {
        return if asked.options.all {
            delete_all(store, &asked.action).await
        } else {
            Err(which_key())
        };
    };
    let found = store.get(&action, std::slice::from_ref(&key)).await?;
    if found.into_iter().flatten().next().is_none() {
        return Err(missing(&action, &key));
    }
    let write = StateWrite { key: key.clone(), value: None, only_if: None };
    store.write(WriteGuard::Person, &action, &[write]).await?;
    info!(event = "state-deleted", action, key, "a person deleted {key:?} of {action}");
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Deletes all keys that exist; one that is added meanwhile may remain.
async fn delete_all(store: SharedStateStore, action: &str) -> Result<Response, ApiError> {
    let mut deleted = 0;
    let mut after: Option<String> = None;
    let failed = |error, deleted: usize| {
        ApiError::from(error)
            .append(&format!("; {deleted} keys of {action} were deleted before that"))
    };
    loop {
        let keys = store.list(action, after.as_deref(), BATCH_MAX).await;
        let keys = keys.map_err(|error| failed(error, deleted))?;
        let Some(last) = keys.last() else { break };
        after = Some(last.clone());
        let count = keys.len();
        let delete = |key| StateWrite { key, value: None, only_if: None };
        let writes: Vec<_> = keys.into_iter().map(delete).collect();
        let done = store.write(WriteGuard::Person, action, &writes).await;
        done.map_err(|error| failed(error, deleted))?;
        deleted += count;
    }
    info!(
        event = "state-deleted",
        action, deleted, "a person deleted all {deleted} keys of {action}"
    );
    Ok(Json(DeletedKeys { deleted }).into_response())
}

fn which_key() -> ApiError {
    let help = "name it, as in /v1/state/ACTION/KEY; `?all=true` deletes all keys of an action";
    ApiError::new(StatusCode::BAD_REQUEST, "no key is named", help)
}

fn missing(action: &str, key: &str) -> ApiError {
    let help = format!("`soloist state list {action}` lists the keys that there are");
    ApiError::new(StatusCode::NOT_FOUND, format!("{action} keeps no key {key:?}"), help)
}

fn too_large() -> ApiError {
    ApiError::too_large(format!("the value is longer than {VALUE_MAX} bytes"))
}

#[cfg(test)]
mod tests;
