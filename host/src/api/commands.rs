//! Commands for the cluster: handing over, pausing, draining, removing.
//!
//! ```text
//! POST   /v1/switchover        {"group", "to", "by", "reason"}
//! POST   /v1/pause             {"group", "keep_failover", "by", "reason"}
//! POST   /v1/resume            {"group", "by", "reason"}
//! POST   /v1/drain, /undrain   {"host", "by", "reason"}
//! POST   /v1/remove            {"host", "force", "by", "reason"}
//! POST   /v1/admit             {"host", "by", "reason"}
//! ```
//!
//! Every key may be left out. Any host accepts a command, and responds when it is done.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use serde::de::DeserializeOwned;

use super::{api_error::ApiError, request_body, required_role::OPERATE, routes::ApiRoutes};
use crate::cluster::{
    CommandAnswer, CommandError, Commands, DrainOrder, PASSED_ON, PauseOrder, RemoveOrder,
    SwitchoverOrder,
};

/// The greatest body of a command, in bytes.
const ORDER_MAX: usize = 64 << 10;

type CommandsState = State<Arc<Commands>>;
type CommandResponse = Result<Json<CommandAnswer>, ApiError>;

pub(super) fn routes(commands: Arc<Commands>) -> ApiRoutes {
    ApiRoutes::new()
        .post("/v1/switchover", OPERATE, switchover)
        .post("/v1/pause", OPERATE, pause)
        .post("/v1/resume", OPERATE, resume)
        .post("/v1/drain", OPERATE, drain)
        .post("/v1/undrain", OPERATE, undrain)
        .post("/v1/remove", OPERATE, remove)
        .post("/v1/admit", OPERATE, admit)
        .with(commands)
}

async fn switchover(State(to): CommandsState, headers: HeaderMap, body: Body) -> CommandResponse {
    let order: SwitchoverOrder = read(body).await?;
    answer(to.switchover(order, headers.contains_key(PASSED_ON)).await)
}

async fn pause(State(to): CommandsState, body: Body) -> CommandResponse {
    let order: PauseOrder = read(body).await?;
    answer(to.pause(order).await)
}

async fn resume(State(to): CommandsState, body: Body) -> CommandResponse {
    let order: PauseOrder = read(body).await?;
    answer(to.resume(order).await)
}

async fn drain(State(to): CommandsState, body: Body) -> CommandResponse {
    let order: DrainOrder = read(body).await?;
    answer(to.drain(order).await)
}

async fn undrain(State(to): CommandsState, body: Body) -> CommandResponse {
    let order: DrainOrder = read(body).await?;
    answer(to.undrain(order).await)
}

async fn remove(State(to): CommandsState, body: Body) -> CommandResponse {
    let order: RemoveOrder = read(body).await?;
    answer(to.remove(order).await)
}

async fn admit(State(to): CommandsState, body: Body) -> CommandResponse {
    let order: DrainOrder = read(body).await?;
    answer(to.admit(order).await)
}

/// Reads the body of a command. An empty body leaves every key out.
async fn read<T: DeserializeOwned + Default>(body: Body) -> Result<T, ApiError> {
    let body = request_body::read_whole(body, ORDER_MAX).await.map_err(|missing| {
        missing.refusal("order", || {
            let error = format!("an order is of {ORDER_MAX} bytes at most");
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, error, "give a shorter reason")
        })
    })?;
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(&body)
        .map_err(|error| ApiError::bad_request(format!("no order: {error}")))
}

fn answer(outcome: Result<CommandAnswer, CommandError>) -> CommandResponse {
    Ok(Json(outcome?))
}

#[cfg(test)]
pub(super) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cluster::{PeerClient, PeerCredentials};
    use soloist_leadership::RosterView;
    use soloist_stores::{Member, Store};

    /// The commands of a host that has not seen its cluster yet.
    pub(in crate::api) fn nobody(store: Arc<dyn Store>) -> Commands {
        let member = Member {
            url: "http://127.0.0.1:9".into(),
            version: "0".into(),
            machine: "m".into(),
            ..Member::named("a")
        };
        Commands {
            member,
            peers: PeerClient::new(&PeerCredentials::default()).unwrap(),
            store,
            roster_view: RosterView::empty(),
            groups: Box::new(Vec::new),
            events: tokio::sync::mpsc::unbounded_channel().0,
            journal: soloist_telemetry::journal::Journal::default(),
            patience: Duration::from_secs(1),
        }
    }
}
