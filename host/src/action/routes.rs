//! Which action answers a request: the one whose path it begins with.

use std::{convert::Infallible, sync::Arc};

use ::http::{Request, Response};
use hyper::body::Incoming;
use parking_lot::RwLock;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    body::ReplyBody,
    connection::{Answers, Caller, Secure},
    headers::say_forwarded,
    inbound::Inbound,
    lobby::Lobby,
    paths::{Paths, take_off},
    refusal::Refusal,
    request::Server,
    valid::Outright,
};
use soloist_guests::capability::Stamp;
use soloist_leadership::Gate;

/// The place of one action among the routes. Versions of it come and go there.
pub(super) struct Slot {
    now: RwLock<Now>,
    /// Who is told of it.
    lobby: Lobby,
}

#[derive(Default)]
struct Now {
    /// The version that answers.
    server: Option<Arc<Server>>,
    /// Why none does, if none is to.
    closed: Option<Arc<str>>,
}

impl Slot {
    /// Nobody answers here yet.
    pub(super) fn new(lobby: Lobby) -> Self {
        Self { now: RwLock::default(), lobby }
    }

    /// Lets nobody answer from now on, and tells clients why; or, without a reason, whoever
    /// is there.
    pub(super) fn close(&self, why: Option<Arc<str>>) {
        self.now.write().closed = why;
    }

    /// Lets another version answer from now on, or none.
    pub(super) fn put(&self, server: Option<Arc<Server>>) {
        self.now.write().server = server;
        self.lobby.nudge();
    }

    /// The version that answers now. As long as the token lives, that version is not
    /// regarded as idle; it is taken together with it, so that no request falls
    /// between a version that goes and the one that comes.
    ///
    /// # Errors
    /// Says why there is none.
    pub(super) fn enter(&self) -> Result<(Arc<Server>, TaskTrackerToken), Refusal> {
        let now = self.now.read();
        if let Some(why) = &now.closed {
            return Err(Refusal::Closed(Arc::clone(why)));
        }
        let server = now.server.clone().ok_or(Refusal::Busy)?;
        drop(now);
        let token = server.occupy();
        Ok((server, token))
    }
}

/// The routes of one address.
pub(super) struct Routes {
    gate: Arc<Gate>,
    stamp: Stamp,
    paths: Paths<Arc<Slot>>,
}

impl Routes {
    /// No routes yet, under the term behind `gate`.
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        Self { stamp: Stamp::of(gate.term()), gate, paths: Paths::default() }
    }

    /// Replaces them.
    pub(super) fn set(&self, routes: Vec<(Arc<str>, Arc<Slot>)>) {
        self.paths.set(routes);
    }

    /// Who answers `request`, and the request as the plugin sees it.
    fn find(
        &self,
        mut request: Request<Incoming>,
        caller: Caller,
    ) -> Result<(Arc<Server>, TaskTrackerToken, Request<Inbound>), Refusal> {
        let found = self.paths.find(request.uri().path(), |path, slot, taken| {
            (slot.enter(), (taken > 0).then(|| (taken, Arc::clone(path))))
        });
        // Where somebody answers, it is for him to ask the gate.
        let (server, token, prefix) = match found {
            Ok((Ok((server, token)), prefix)) => (server, token, prefix),
            Ok((Err(refusal), _)) => {
                self.gate.admit()?;
                return Err(refusal);
            }
            Err(known) => {
                self.gate.admit()?;
                return Err(Refusal::Nowhere(known));
            }
        };
        say_forwarded(request.headers_mut(), caller, server.trusted_proxies());
        if let Some((taken, path)) = prefix {
            take_off(&mut request, taken, Some(&path)).ok_or(Refusal::NoTarget)?;
        }
        Ok((server, token, request.map(Inbound::Wire)))
    }
}

impl Answers for Routes {
    type Body = ReplyBody;

    async fn respond(
        &self,
        mut request: Request<Incoming>,
        caller: Caller,
    ) -> Result<Response<ReplyBody>, Infallible> {
        if caller.secure {
            request.extensions_mut().insert(Secure);
        }
        Stamp::take_off_all(request.headers_mut());
        let refusal = match self.find(request, caller) {
            Ok((server, _occupied, request)) => return Ok(server.respond(request).await),
            Err(refusal) => refusal,
        };
        let mut response = refusal.response();
        self.stamp.put(response.headers_mut());
        Ok(response)
    }

    fn turn_away(&self, why: Outright) -> Response<ReplyBody> {
        why.response(ReplyBody::text)
    }
}
