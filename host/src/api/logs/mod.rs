//! What actions print.
//!
//! ```text
//! GET /v1/logs/ACTION    the latest lines of the leader's; ?lines=N&host=HOST
//!                        &format=json: an object a line; &follow=true: and each that comes
//! ```
//!
//! Each host keeps the lines that were printed on it, in memory. Any host can be asked: it passes
//! the request on to the leader of the action's group, or to the named host. With `follow`, the
//! listener is moved from leader to leader. JSON streams contain empty lines as heartbeats.

mod log_api;
mod log_follower;

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};

pub use self::log_api::LogApi;
use self::{
    log_api::{LogHost, LogQuery},
    log_follower::LogFollower,
};
use super::{
    api_error::ApiError,
    extract::{Path, Query},
    live_streams::LiveStreams,
    required_role::READ,
    route_doc::RouteDoc,
    routes::ApiRoutes,
};
use crate::cluster::{PASSED_ON, PeerAddress};

const LOGS: RouteDoc =
    RouteDoc::new("The latest lines that an action printed, on the leader or on one host.")
        .query::<LogQuery>()
        .answers_as("text/plain")
        .errors(&[400, 404, 409, 503]);

#[derive(Clone)]
struct LogsState {
    source: Arc<LogApi>,
    live: LiveStreams,
}

pub(super) fn routes(source: Arc<LogApi>, live: LiveStreams) -> ApiRoutes {
    ApiRoutes::new().get("/v1/logs/{action}", READ, logs, LOGS).with(LogsState { source, live })
}

async fn logs(
    State(state): State<LogsState>,
    Path(action): Path<String>,
    Query(wanted): Query<LogQuery>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let source = Arc::clone(&state.source);
    let (action, group) = source.action(&action)?;
    let passed_on = headers.contains_key(PASSED_ON);
    let whose = if passed_on { LogHost::Own } else { source.host_for(&group, &wanted)? };
    let form = wanted.format.media_type();
    if wanted.follow {
        if let LogHost::Of(host, url) = &whose {
            source.check_address(PeerAddress { host, url }, &action, &wanted).await?;
        }
        // The leader may change, so the follower looks it up again, unless a host was named.
        let group = group.filter(|_| !passed_on && wanted.host.is_none());
        let following = LogFollower { source, action, group, whose, term: None, wanted };
        return state.live.answer(form, |to| following.run(to));
    }
    let lines: Vec<_> = match whose {
        LogHost::Own => wanted.pick(&source.buffer(&action)),
        LogHost::Of(host, url) => {
            source.ask(PeerAddress { host: &host, url: &url }, &action, &wanted).await?
        }
    };
    let text: Vec<u8> = lines.iter().flat_map(|line| wanted.format.write(line)).collect();
    let headers = [(header::CONTENT_TYPE, form), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, text).into_response())
}

#[cfg(test)]
pub(super) mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::cluster::{PeerClient, PeerCredentials};
    use soloist_guests::capability::LogBuffers;
    use soloist_stores::{Member, ThisHost};

    /// The lines of a host without actions.
    pub(in crate::api) fn none() -> LogApi {
        let (_, programme) = watch::channel(Arc::default());
        let (_, roster) = watch::channel(None);
        let peers = PeerClient::new(&PeerCredentials::default()).unwrap();
        LogApi {
            host: ThisHost::of(&Member::named("a")),
            programme,
            peers,
            roster,
            lines: LogBuffers::default(),
        }
    }
}
