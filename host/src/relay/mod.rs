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
mod desk;
mod doors;
mod errand;
mod failed;
mod headers;
mod hop;
mod limits;
mod line;
mod marks;
mod refusal;
mod shared;
mod trail;
mod tunnel;

use std::{convert::Infallible, sync::Arc, time::Duration};

use ::http::{HeaderMap, Request, Response};
use hyper::body::Incoming;
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::body::Carried;
use self::{desk::Desk, doors::Doors, hop::Hops, shared::Shared};
use crate::{
    action::{Caller, Lobby, Programme, Tasks},
    cluster::Peers,
};
use soloist_guests::capability::Stamp;
use soloist_stores::Roster;

/// Answers requests for actions, whoever performs them. Clones are the same.
#[derive(Clone)]
pub struct Relay {
    shared: Arc<Shared>,
    control: Arc<Desk>,
}

/// A relay at work.
pub struct Handle {
    relay: Relay,
    doors: JoinHandle<()>,
}

impl Relay {
    /// How many headers a request may have that comes from another host.
    pub(crate) const HEADERS: usize = limits::HEADERS;

    /// A relay of `host`, where `lobby` tells who performs.
    #[must_use]
    pub fn new(
        host: Arc<str>,
        peers: Peers,
        lobby: Lobby,
        programme: watch::Receiver<Arc<Programme>>,
        roster: watch::Receiver<Option<Roster>>,
    ) -> Self {
        let tasks = Tasks::new();
        let (hops, closing) = (Hops::new(peers, &tasks), CancellationToken::new());
        let shared = Arc::new(Shared { host, lobby, programme, roster, hops, tasks, closing });
        Self { control: Arc::new(Desk::new(&shared)), shared }
    }

    /// Opens the addresses that every host listens on, and keeps up with what they are.
    #[must_use]
    pub fn start(self) -> Handle {
        let doors = Doors::new(Arc::clone(&self.shared));
        let doors = tokio::spawn(doors.keep(self.shared.programme.clone()));
        Handle { relay: self, doors }
    }

    /// Whether the control API leaves what is under `path` to the relay.
    pub(crate) fn is_at(path: &str) -> bool {
        path.starts_with(desk::LEADER)
    }

    /// Whether another host says that it has passed this on.
    pub(crate) fn is_from_host(headers: &HeaderMap) -> bool {
        trail::is_from_host(headers)
    }

    /// Takes off what only hosts say to each other.
    pub(crate) fn take_off_own(headers: &mut HeaderMap) {
        Stamp::take_off_all(headers);
    }

    /// Tells the host that has asked that it was not let in, and not its client.
    pub(crate) fn mark_stranger(headers: &mut HeaderMap) {
        marks::mark_stranger(headers);
    }

    /// Answers a request to the control address, under `/leader/`.
    pub(crate) async fn respond(
        &self,
        request: Request<Incoming>,
        caller: Caller,
    ) -> Result<Response<Carried>, Infallible> {
        Ok(self.control.respond_at_control(request, caller).await)
    }
}

impl Handle {
    /// Lets go of the addresses. What is under way goes on, until [`Handle::finish`].
    pub fn close(&self) {
        self.relay.shared.closing.cancel();
    }

    /// Waits for what is under way, for so long at most, and cuts the rest. The terms of
    /// this host have ended by now; the control API is still there.
    pub async fn finish(mut self, patience: Duration) {
        let shared = &self.relay.shared;
        self.close();
        // Others may not have heard yet of the end of its terms, and would find nobody.
        if shared.hops.were_received() {
            sleep(limits::LINGER).await;
        }
        if timeout(patience, &mut self.doors).await.is_err() {
            tracing::warn!("requests were still under way: they are cut off");
        }
        shared.tasks.stop().await;
        if !self.doors.is_finished() {
            // Its connections are gone.
            let _ = self.doors.await;
        }
    }
}

/// For tests: a relay of a host that performs nothing.
#[cfg(test)]
pub(crate) fn test_relay() -> Relay {
    let (_, programme) = watch::channel(Arc::default());
    let (_, roster) = watch::channel(None);
    let peers = Peers::new(&crate::cluster::Passport::default()).unwrap();
    Relay::new("a".into(), peers, Lobby::default(), programme, roster)
}
