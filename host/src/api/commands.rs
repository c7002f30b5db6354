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

use super::{
    api_error::ApiError, request_body, required_role::OPERATE, route_doc::RouteDoc,
    routes::ApiRoutes,
};
use crate::cluster::{
    CommandAnswer, CommandError, Commands, DrainOrder, PASSED_ON, PauseOrder, RemoveOrder,
    SwitchoverOrder,
};

/// The greatest body of a command, in bytes.
const ORDER_MAX: usize = 64 << 10;

const REFUSED: &[u16] = &[400, 404, 409, 503, 504];
const SWITCHOVER: RouteDoc =
    RouteDoc::new("The leader of a group hands over, and the answer comes when another leads.")
        .takes::<SwitchoverOrder>()
        .answers::<CommandAnswer>()
        .errors(REFUSED);
const PAUSE: RouteDoc = RouteDoc::new("Pauses changes of leadership, in one group or in all.")
    .takes::<PauseOrder>()
    .answers::<CommandAnswer>()
    .errors(REFUSED);
const RESUME: RouteDoc =
    RouteDoc::new("Ends a pause.").takes::<PauseOrder>().answers::<CommandAnswer>().errors(REFUSED);
const DRAIN: RouteDoc = RouteDoc::new("A host gives everything up and stays out.")
    .takes::<DrainOrder>()
    .answers::<CommandAnswer>()
    .errors(REFUSED);
const UNDRAIN: RouteDoc = RouteDoc::new("A drained host stands for election again.")
    .takes::<DrainOrder>()
    .answers::<CommandAnswer>()
    .errors(REFUSED);
const REMOVE: RouteDoc = RouteDoc::new("Takes a host out of the list of those that are known.")
    .takes::<RemoveOrder>()
    .answers::<CommandAnswer>()
    .errors(REFUSED);
const ADMIT: RouteDoc = RouteDoc::new("A host that was removed by force may join again.")
    .takes::<DrainOrder>()
    .answers::<CommandAnswer>()
    .errors(REFUSED);

type CommandsState = State<Arc<Commands>>;
type CommandResponse = Result<Json<CommandAnswer>, ApiError>;

pub(super) fn routes(commands: Arc<Commands>) -> ApiRoutes {
    ApiRoutes::new()
        .post("/v1/switchover", OPERATE, switchover, SWITCHOVER)
        .post("/v1/pause", OPERATE, pause, PAUSE)
        .post("/v1/resume", OPERATE, resume, RESUME)
        .post("/v1/drain", OPERATE, drain, DRAIN)
        .post("/v1/undrain", OPERATE, undrain, UNDRAIN)
        .post("/v1/remove", OPERATE, remove, REMOVE)
        .post("/v1/admit", OPERATE, admit, ADMIT)
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
            let error = format!("the body of a command has {ORDER_MAX} bytes at most");
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
    use soloist_stores::{Member, Store, ThisHost};

    /// The commands of a host that has not seen its cluster yet.
    pub(in crate::api) fn nobody(store: Arc<dyn Store>) -> Commands {
        Commands {
            host: ThisHost::of(&Member::named("a")),
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
