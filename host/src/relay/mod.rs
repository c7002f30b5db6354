//! The relay: makes the leader's actions reachable through every host.
//!
//! ```text
//!  client ──► action's address (`standby = "forward"`) ─┐                   ┌─ this host leads: its own term
//!                                                       ├─► RelayedRequest ─┼─ another leads: its /leader/…
//!  client ──► control address, /leader/ACTION/… ────────┘                   └─ nobody: held, for `max_hold` at most
//! ```
//!
//! Invariants:
//! - The relay runs from the host's start to its end, outside of every term: a hand-over closes no
//!   connection of a client.
//! - The answer of a local term runs as a task of that term, and every chunk of it passes the
//!   term's gate. The relay only copies it.
//! - A request is sent to a second leader only if no guest has seen it, or if its method is
//!   idempotent (RFC 9110, section 9.2.2); in both cases only if its whole body is still kept.
//! - A host that is asked by another one for a term of its own answers by that term, or says that
//!   the request was not begun; it never forwards such a request. So hosts whose views of the
//!   cluster differ cannot send a request around in a circle.
//! - Requests that wait or are under way are bounded in number, in time and in bytes.

mod body;
mod client;
mod context;
mod error;
mod forward_error;
mod host_header;
mod http2_pool;
mod known_leader;
mod limits;
mod listeners;
mod relay_headers;
mod relayed_request;
mod service;
mod tunnel;
mod unreached_leaders;
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
pub use self::unreached_leaders::UnreachedLeaders;
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
use soloist_stores::{Roster, ThisHost};

/// Answers requests for actions, whichever host leads their group. Clones share everything.
#[derive(Clone)]
pub struct Relay {
    context: Arc<RelayContext>,
    control: Arc<RelayService>,
}

/// A relay whose listeners are open.
pub struct RunningRelay {
    relay: Relay,
    listeners: JoinHandle<()>,
}

impl Relay {
    /// How many headers a request from another host may have.
    pub(crate) const HEADERS: usize = limits::HEADERS;

    /// The relay of `host`; `directory` holds the actions that run on it.
    #[must_use]
    pub fn new(
        host: ThisHost,
        peers: PeerClient,
        directory: ActionDirectory,
        programme: watch::Receiver<Arc<Programme>>,
        roster: watch::Receiver<Option<Roster>>,
    ) -> Self {
        let scope = TaskScope::new();
        let (client, closing) = (RelayClient::new(peers, &scope), CancellationToken::new());
        let unreached = UnreachedLeaders::default();
        let context = Arc::new(RelayContext {
            host,
            directory,
            programme,
            roster,
            client,
            unreached,
            scope,
            closing,
        });
        Self { control: Arc::new(RelayService::new(&context)), context }
    }

    /// The leaders that requests could not be forwarded to.
    #[must_use]
    pub fn unreached_leaders(&self) -> UnreachedLeaders {
        self.context.unreached.clone()
    }

    /// Opens the addresses that every host listens on, and follows changes of the programme.
    #[must_use]
    pub fn start(self) -> RunningRelay {
        let listeners = RelayListeners::new(Arc::clone(&self.context));
        let listeners = tokio::spawn(listeners.run(self.context.programme.clone()));
        RunningRelay { relay: self, listeners }
    }

    /// Whether `path` of the control address belongs to the relay.
    pub(crate) fn serves_path(path: &str) -> bool {
        path.starts_with(service::LEADER)
    }

    /// Whether another host forwarded the request with these headers.
    pub(crate) fn is_from_host(headers: &HeaderMap) -> bool {
        relay_headers::is_from_host(headers)
    }

    /// Removes the headers that only hosts may send to each other.
    pub(crate) fn strip_host_headers(headers: &mut HeaderMap) {
        TermHeaders::strip_reserved(headers);
    }

    /// Marks a response as a refusal of the forwarding host itself, and not of its client.
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
    /// Closes the listeners. Requests under way go on until [`RunningRelay::finish`].
    pub fn close(&self) {
        self.relay.context.closing.cancel();
    }

    /// Waits up to `patience` for the requests under way, and cuts off the rest. To be called when
    /// the terms of this host have ended, while the control API still serves.
    pub async fn finish(mut self, patience: Duration) {
        let context = &self.relay.context;
        self.close();
        // Other hosts may not know yet that this one no longer leads, and still forward to it.
        if context.client.were_received() {
            sleep(limits::LINGER).await;
        }
        if timeout(patience, &mut self.listeners).await.is_err() {
            tracing::warn!("requests were still in progress: they are cut off");
        }
        context.scope.stop().await;
        if !self.listeners.is_finished() {
            // Now that its connections are gone, it ends at once.
            let _ = self.listeners.await;
        }
    }
}

/// For tests: a relay of a host without actions.
#[cfg(test)]
pub(crate) fn test_relay() -> Relay {
    let (_, programme) = watch::channel(Arc::default());
    let (_, roster) = watch::channel(None);
    let peers = PeerClient::new(&crate::cluster::PeerCredentials::default()).unwrap();
    let host = ThisHost::of(&soloist_stores::Member::named("a"));
    Relay::new(host, peers, ActionDirectory::default(), programme, roster)
}
