//! What actions print, for people.
//!
//! ```text
//! GET /v1/logs/ACTION    the latest lines of the leader's; ?lines=N&host=HOST
//!                        &format=json: an object a line; &follow=true: and each that comes
//! ```
//!
//! Each host keeps what was printed there, in memory. Any host is asked: it passes the
//! question on to the host that leads the action's group, or that is named. Who follows is
//! led from leader to leader. A stream of JSON has empty lines as signs of life.

mod follow;
mod source;

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};

pub use self::source::LogSource;
use self::{
    follow::Following,
    source::{Wanted, Whose},
};
use super::{
    extract::{Path, Query},
    live::Live,
    needs::READ,
    refusal::Refusal,
    routes::Routes,
};
use crate::cluster::PASSED_ON;

#[derive(Clone)]
struct Desk {
    source: Arc<LogSource>,
    live: Live,
}

pub(super) fn routes(source: Arc<LogSource>, live: Live) -> Routes {
    Routes::new().get("/v1/logs/{action}", READ, logs).with(Desk { source, live })
}

async fn logs(
    State(desk): State<Desk>,
    Path(action): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let source = Arc::clone(&desk.source);
    let (action, group) = source.action(&action)?;
    let passed_on = headers.contains_key(PASSED_ON);
    let whose = if passed_on { Whose::Own } else { source.whose(&group, &wanted)? };
    let form = wanted.format.media_type();
    if wanted.follow {
        // Whom to ask is looked up again and again, unless it is said.
        let group = group.filter(|_| !passed_on && wanted.host.is_none());
        let following = Following { source, action, group, whose, term: None, wanted };
        return desk.live.answer(form, |to| following.run(to));
    }
    let lines: Vec<_> = match whose {
        Whose::Own => wanted.pick(&source.shelf(&action)),
        Whose::Of(host, url) => source.ask(&host, &url, &action, &wanted).await?,
    };
    let text: Vec<u8> = lines.iter().flat_map(|line| wanted.format.write(line)).collect();
    let headers = [(header::CONTENT_TYPE, form), (header::CACHE_CONTROL, "no-store")];
    Ok((headers, text).into_response())
}

#[cfg(test)]
pub(super) mod tests {
    use tokio::sync::watch;

    use super::*;
    use crate::cluster::{Passport, Peers};
    use soloist_guests::capability::Lines;

    /// The lines of a host without actions.
    pub(in crate::api) fn none() -> LogSource {
        let (_, programme) = watch::channel(Arc::default());
        let (_, roster) = watch::channel(None);
        let peers = Peers::new(&Passport::default()).unwrap();
        LogSource { host: "a".into(), programme, peers, roster, lines: Lines::default() }
    }
}
