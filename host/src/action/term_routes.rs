//! Which action answers a request: the one whose path the request's path starts with.

use std::{convert::Infallible, sync::Arc};

use ::http::{Request, Response};
use hyper::body::Incoming;
use parking_lot::RwLock;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    action_refusal::ActionRefusal, action_server::ActionServer, response_body::ResponseBody,
};
use crate::http::{
    ConnectionInfo, EarlyResponse, MatchedRoute, OverTls, PathMap, RequestBody, RequestHandler,
    set_forwarded, strip_prefix,
};
use soloist_guests::capability::TermHeaders;
use soloist_leadership::Gate;

/// One action among the routes. Versions of the action come and go in it.
pub(super) struct RouteTarget {
    state: RwLock<TargetState>,
    /// Called after a change of the server.
    on_change: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct TargetState {
    /// The version that answers.
    server: Option<Arc<ActionServer>>,
    /// Why no version answers, if none should.
    closed: Option<Arc<str>>,
}

impl RouteTarget {
    /// A target where nothing answers yet; `on_change` is called after each change of the server.
    pub(super) fn new(on_change: impl Fn() + Send + Sync + 'static) -> Self {
        Self { state: RwLock::default(), on_change: Box::new(on_change) }
    }

    /// With a reason, no version answers from now on and clients are told why. Without one, the
    /// current version answers again.
    pub(super) fn close(&self, why: Option<Arc<str>>) {
        self.state.write().closed = why;
    }

    /// Sets the version that answers from now on.
    pub(super) fn set_server(&self, server: Option<Arc<ActionServer>>) {
        self.state.write().server = server;
        (self.on_change)();
    }

    /// The version that answers now. While the token lives, that version does not count as idle.
    /// Both are taken in one step, so that no request falls between a version that leaves and its
    /// successor.
    ///
    /// # Errors
    /// Says why no version answers.
    pub(super) fn acquire(&self) -> Result<(Arc<ActionServer>, TaskTrackerToken), ActionRefusal> {
        let now = self.state.read();
        if let Some(why) = &now.closed {
            return Err(ActionRefusal::Closed(Arc::clone(why)));
        }
        let server = now.server.clone().ok_or(ActionRefusal::Busy)?;
        drop(now);
        let token = server.hold();
        Ok((server, token))
    }
}

/// The routes of one address.
pub(super) struct TermRoutes {
    gate: Arc<Gate>,
    stamp: TermHeaders,
    paths: PathMap<Arc<RouteTarget>>,
}

impl TermRoutes {
    /// An address without routes, under the term behind `gate`.
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        Self { stamp: TermHeaders::of(gate.term()), gate, paths: PathMap::default() }
    }

    /// Replaces the routes.
    pub(super) fn set(&self, routes: Vec<(Arc<str>, Arc<RouteTarget>)>) {
        self.paths.set(routes);
    }

    /// The server for `request`, and the request as the plugin gets it.
    fn find(
        &self,
        mut request: Request<Incoming>,
        info: ConnectionInfo,
    ) -> Result<(Arc<ActionServer>, TaskTrackerToken, Request<RequestBody>), ActionRefusal> {
        let found = self.paths.find(request.uri().path(), |path, slot, taken| {
            (slot.acquire(), (taken > 0).then(|| (taken, Arc::clone(path))))
        });
        // A server checks the gate itself.
        let (server, token, prefix) = match found {
            Ok((Ok((server, token)), prefix)) => (server, token, prefix),
            Ok((Err(refusal), _)) => {
                self.gate.admit()?;
                return Err(refusal);
            }
            Err(known) => {
                self.gate.admit()?;
                return Err(ActionRefusal::Nowhere(known));
            }
        };
        set_forwarded(request.headers_mut(), info, server.trusted_proxies());
        if let Some((taken, path)) = prefix {
            request.extensions_mut().insert(MatchedRoute(Arc::clone(&path)));
            strip_prefix(&mut request, taken, Some(&path)).ok_or(ActionRefusal::NoTarget)?;
        }
        Ok((server, token, request.map(RequestBody::Streaming)))
    }
}

impl RequestHandler for TermRoutes {
    type Body = ResponseBody;

    async fn respond(
        &self,
        mut request: Request<Incoming>,
        info: ConnectionInfo,
    ) -> Result<Response<ResponseBody>, Infallible> {
        if info.secure {
            request.extensions_mut().insert(OverTls);
        }
        TermHeaders::strip_reserved(request.headers_mut());
        let refusal = match self.find(request, info) {
            Ok((server, _occupied, request)) => return Ok(server.respond(request).await),
            Err(refusal) => refusal,
        };
        let mut response = refusal.response(ResponseBody::text);
        self.stamp.insert_into(response.headers_mut());
        Ok(response)
    }

    fn respond_early(&self, why: EarlyResponse) -> Response<ResponseBody> {
        why.response(ResponseBody::text)
    }
}
