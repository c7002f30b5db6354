//! Commands of people: handing over, pausing, draining, removing.
//!
//! ```text
//! POST   /v1/resign            {"group", "to", "by", "reason"}
//! POST   /v1/pause             {"group", "freeze", "by", "reason"}
//! POST   /v1/resume            {"group", "by", "reason"}
//! POST   /v1/drain, /undrain   {"host", "by", "reason"}
//! POST   /v1/remove            {"host", "force", "by", "reason"}
//! ```
//!
//! Every key may be left out. Any host takes a command; it answers when it is done.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use serde::de::DeserializeOwned;

use super::refusal::Refusal;
use crate::cluster::{
    CommandError, Commands, Done, DrainOrder, PASSED_ON, PauseOrder, RemoveOrder, ResignOrder,
};

type To = State<Arc<Commands>>;
type Answer = Result<Json<Done>, Refusal>;

pub(super) fn routes(commands: Arc<Commands>) -> Router {
    Router::new()
        .route("/v1/resign", post(resign))
        .route("/v1/pause", post(pause))
        .route("/v1/resume", post(resume))
        .route("/v1/drain", post(drain))
        .route("/v1/undrain", post(undrain))
        .route("/v1/remove", post(remove))
        .with_state(commands)
}

async fn resign(State(to): To, headers: HeaderMap, body: Bytes) -> Answer {
    let order: ResignOrder = read(&body)?;
    answer(to.resign(order, headers.contains_key(PASSED_ON)).await)
}

async fn pause(State(to): To, body: Bytes) -> Answer {
    let order: PauseOrder = read(&body)?;
    answer(to.pause(order).await)
}

async fn resume(State(to): To, body: Bytes) -> Answer {
    let order: PauseOrder = read(&body)?;
    answer(to.resume(order).await)
}

async fn drain(State(to): To, body: Bytes) -> Answer {
    let order: DrainOrder = read(&body)?;
    answer(to.drain(order).await)
}

async fn undrain(State(to): To, body: Bytes) -> Answer {
    let order: DrainOrder = read(&body)?;
    answer(to.undrain(order).await)
}

async fn remove(State(to): To, body: Bytes) -> Answer {
    let order: RemoveOrder = read(&body)?;
    answer(to.remove(order).await)
}

/// What is asked for. Nothing at all is an order with everything left out.
fn read<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Refusal> {
    if body.is_empty() {
        return Ok(T::default());
    }
    serde_json::from_slice(body).map_err(|error| Refusal::bad(format!("no order: {error}")))
}

fn answer(outcome: Result<Done, CommandError>) -> Answer {
    outcome.map(Json).map_err(|CommandError { kind, error, help }| {
        let code = StatusCode::from_u16(kind.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Refusal::new(code, error, help)
    })
}

#[cfg(test)]
pub(super) mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        time::Duration,
    };

    use super::*;
    use crate::store::{Member, Store};

    /// The commands of a host that has not seen its cluster yet.
    pub(in crate::api) fn nobody(store: Arc<dyn Store>) -> Commands {
        let member = Member {
            name: "a".into(),
            url: "http://127.0.0.1:9".into(),
            labels: BTreeMap::new(),
            priority: 0,
            joined: 0,
            version: "0".into(),
            machine: "m".into(),
            failing: BTreeMap::new(),
            tasks: BTreeSet::new(),
        };
        Commands {
            member,
            store,
            roster: tokio::sync::watch::channel(None).1,
            groups: Box::new(Vec::new),
            events: tokio::sync::mpsc::unbounded_channel().0,
            journal: crate::journal::Journal::default(),
            patience: Duration::from_secs(1),
        }
    }
}
