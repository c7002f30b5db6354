//! The relay: the leader's actions, from any host.
//!
//! ```text
//!  client ──► action's address (`standby = "forward"`) ─┐            ┌─ leads here: the term's routes
//!                                                       ├─► Errand ──┼─ leads there: /leader/… of that host
//!  client ──► control address, /leader/ACTION/… ────────┘            └─ nobody yet: held, `hold` at most
//! ```
//!
//! Invariants:
//! - It is there from the host's start to its end, outside of every term: a hand-over
//!   closes no connection of a client.
//! - What a term of this host answers runs as a task of that term, and its gate watches
//!   every piece of the answer. The relay only carries it.
//! - A request is given to a second leader only if no guest has seen it, or if doing it
//!   twice is as good as once (RFC 9110, section 9.2.2) and its body is still whole.
//! - A host that is asked by another for a term of its own answers by that term or says
//!   that it did not begin; it never passes such a request on. So hosts whose views of the
//!   cluster differ cannot send a request around in a circle.
//! - What waits and what is under way is bounded, in number, in time and in bytes.

mod body;
mod client;
mod context;
mod error;
mod forward_error;
mod host_header;
mod http2_pool;
mod limits;
mod listeners;
mod relay_headers;
mod relayed_request;
mod service;
mod tunnel;
mod unserved_header;

use std::{convert::Infallible, sync::Arc, time::Duration};

use ::http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::body::RelayBody;
use self::{
    client::RelayClient, context::RelayContext, listeners::RelayListeners, service::RelayService,
};
use crate::{
    action::{ActionDirectory, Programme},
    cluster::PeerClient,
    http::ConnectionInfo,
    task_scope::TaskScope,
};
use soloist_guests::capability::TermHeaders;
use soloist_stores::Roster;

/// Answers requests for actions, whoever performs them. Clones are the same.
#[derive(Clone)]
pub struct Relay {
    context: Arc<RelayContext>,
    control: Arc<RelayService>,
}

/// A relay at work.
pub struct RunningRelay {
    relay: Relay,
    listeners: JoinHandle<()>,
}

impl Relay {
    /// How many headers a request may have that comes from another host.
    pub(crate) const HEADERS: usize = limits::HEADERS;

    /// A relay of `host`, where `lobby` tells who performs.
    #[must_use]
    pub fn new(
        host: Arc<str>,
        peers: PeerClient,
        lobby: ActionDirectory,
        programme: watch::Receiver<Arc<Programme>>,
        roster: watch::Receiver<Option<Roster>>,
    ) -> Self {
        let tasks = TaskScope::new();
        let (hops, closing) = (RelayClient::new(peers, &tasks), CancellationToken::new());
        let context = Arc::new(RelayContext {
            host,
            directory: lobby,
            programme,
            roster,
            client: hops,
            tasks,
            closing,
        });
        Self { control: Arc::new(RelayService::new(&context)), context }
    }

    /// Opens the addresses that every host listens on, and keeps up with what they are.
    #[must_use]
    pub fn start(self) -> RunningRelay {
        let doors = RelayListeners::new(Arc::clone(&self.context));
        let doors = tokio::spawn(doors.run(self.context.programme.clone()));
        RunningRelay { relay: self, listeners: doors }
    }

    /// Whether the control API leaves what is under `path` to the relay.
    pub(crate) fn serves_path(path: &str) -> bool {
        path.starts_with(service::LEADER)
    }

    /// Whether another host says that it has passed this on.
    pub(crate) fn is_from_host(headers: &HeaderMap) -> bool {
        relay_headers::is_from_host(headers)
    }

    /// Takes off what only hosts say to each other.
    pub(crate) fn strip_host_headers(headers: &mut HeaderMap) {
        TermHeaders::strip_reserved(headers);
    }

    /// Tells the host that has asked that it was not let in, and not its client.
    pub(crate) fn mark_unauthorized(headers: &mut HeaderMap) {
        unserved_header::mark_unauthorized(headers);
    }

    /// Answers a request to the control address, under `/leader/`.
    pub(crate) async fn respond(
        &self,
        request: Request<Incoming>,
        caller: ConnectionInfo,
    ) -> Result<Response<RelayBody>, Infallible> {
        Ok(self.control.respond_at_control(request, caller).await)
    }
}

impl RunningRelay {
    /// Lets go of the addresses. What is under way goes on, until [`Handle::finish`].
    pub fn close(&self) {
        self.relay.context.closing.cancel();
    }

    /// Waits for what is under way, for so long at most, and cuts the rest. The terms of
    /// this host have ended by now; the control API is still there.
    pub async fn finish(mut self, patience: Duration) {
        let shared = &self.relay.context;
        self.close();
        // Others may not have heard yet of the end of its terms, and would find nobody.
        if shared.client.were_received() {
            sleep(limits::LINGER).await;
        }
        if timeout(patience, &mut self.listeners).await.is_err() {
            tracing::warn!("requests were still under way: they are cut off");
        }
        shared.tasks.stop().await;
        if !self.listeners.is_finished() {
            // Its connections are gone.
            let _ = self.listeners.await;
        }
    }
}

/// For tests: a relay of a host that performs nothing.
#[cfg(test)]
pub(crate) fn test_relay() -> Relay {
    let (_, programme) = watch::channel(Arc::default());
    let (_, roster) = watch::channel(None);
    let peers = PeerClient::new(&crate::cluster::PeerCredentials::default()).unwrap();
    Relay::new("a".into(), peers, ActionDirectory::default(), programme, roster)
}
