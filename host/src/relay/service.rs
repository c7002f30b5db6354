//! Where requests for the leader come in: at an action's address on any host, or under `/leader/`
//! at the control address.

use std::{convert::Infallible, sync::Arc};

use ::http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use tokio::time::timeout;

use super::{
    RelayBody,
    context::RelayContext,
    error::RelayError,
    host_header,
    limits::{IN_FLIGHT, SOAK},
    relay_headers::RelayHeaders,
    relayed_request::{RelayRoute, RelayedRequest},
};
use crate::{
    action::Action,
    http::{
        ConnectionInfo, EarlyResponse, MatchedRoute, PathMap, RequestHandler, set_forwarded,
        strip_prefix,
    },
};
use soloist_config::StandbyMode;
use soloist_guests::{capability::TermHeaders, plugin::Kind};
use soloist_resources::{descriptors::for_peer_requests, shares::Shares};

/// The path of the control address under which each action answers, by its name.
pub(super) const LEADER: &str = "/leader/";

/// Answers the requests of one address.
pub(crate) struct RelayService {
    context: Arc<RelayContext>,
    /// The limit of requests that wait or are under way to other hosts.
    slots: Arc<Shares>,
    /// What is served under which path; unused at the control address.
    paths: PathMap<RelayTarget>,
}

/// What is served under a path.
#[derive(Clone)]
pub(super) enum RelayTarget {
    Action(Arc<Action>),
    /// An action that this host refuses to run, for this reason.
    Refused(Arc<str>),
}

impl RelayService {
    /// A service without paths yet.
    pub(super) fn new(context: &Arc<RelayContext>) -> Self {
        let (context, slots) = (Arc::clone(context), Shares::new(for_peer_requests(IN_FLIGHT)));
        Self { context, slots, paths: PathMap::default() }
    }

    /// Replaces what is served at the address.
    pub(super) fn set_targets(&self, targets: Vec<(Arc<str>, RelayTarget)>) {
        self.paths.set(targets);
    }

    /// Answers a request to the control address, from a client or from another host.
    pub(super) async fn respond_at_control(
        &self,
        mut request: Request<Incoming>,
        caller: ConnectionInfo,
    ) -> Response<RelayBody> {
        let headers = RelayHeaders::read(request.headers());
        TermHeaders::strip_reserved(request.headers_mut());
        let from_host = headers.is_from_host();
        let (action, taken) = match self.action_in_path(request.uri().path()) {
            Ok(found) => found,
            Err(error) => return error.response(from_host),
        };
        let path: Arc<str> = format!("{LEADER}{}", action.name()).into();
        request.extensions_mut().insert(MatchedRoute(Arc::clone(&path)));
        if from_host {
            self.context.client.note_received();
            if headers.probe {
                return self.probe(&action, &headers);
            }
            if let Some(requested) = headers.requested_host.clone() {
                host_header::restore_host(&mut request, requested);
            }
        } else {
            set_forwarded(request.headers_mut(), caller, &action.config().trusted_proxies);
        }
        // The forwarding host has already told the plugin which prefix was taken off.
        let stripped_path = (!from_host).then_some(&*path);
        if strip_prefix(&mut request, taken, stripped_path).is_none() {
            return RelayError::UnknownPath(path.to_string()).response(from_host);
        }
        let route = RelayRoute { action, standby: StandbyMode::Forward, headers, caller };
        self.relay(route, request).await
    }

    /// The action that a path of the control address names, and the length in bytes of the part of
    /// the path that does so.
    fn action_in_path(&self, path: &str) -> Result<(Arc<Action>, usize), RelayError> {
        let written = path.strip_prefix(LEADER).and_then(|rest| rest.split('/').next());
        let written = written.unwrap_or_default();
        // `%2D` is a hyphen (RFC 3986, section 6.2.2.2), and some clients encode all hyphens.
        let name = &*percent_decode_str(written).decode_utf8_lossy();
        let programme = Arc::clone(&self.context.programme.borrow());
        let mut http = programme.actions.iter().filter(|action| action.kinds().has(Kind::Http));
        if let Some(action) = http.clone().find(|action| &**action.name() == name) {
            return Ok((Arc::clone(action), LEADER.len() + written.len()));
        }
        let mut refused = programme.refused.iter().filter(|refused| refused.name == name);
        if let Some((_, why)) = refused.find_map(|refused| refused.reserved_with_reason()) {
            return Err(RelayError::Refused(why));
        }
        let known: Vec<_> = http.by_ref().map(|action| &**action.name()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Err(RelayError::UnknownAction { name: name.to_owned(), known })
    }

    /// Tells another host whether the term that it names goes on. The request reaches no guest.
    fn probe(&self, action: &Action, headers: &RelayHeaders) -> Response<RelayBody> {
        let active = self.context.directory.active_actions();
        let active = active.borrow();
        match (active.get(action.name()), &headers.target_term) {
            (Some(local), Some((_, fencing_token))) if local.admits_under(*fencing_token) => {
                Response::new(RelayBody::text("the term goes on\n".to_owned()))
            }
            _ => RelayError::TermEnded.response(true),
        }
    }

    /// Answers a request to an address of actions.
    async fn respond_at_address(
        &self,
        mut request: Request<Incoming>,
        caller: ConnectionInfo,
    ) -> Response<RelayBody> {
        TermHeaders::strip_reserved(request.headers_mut());
        let found = self.paths.find(request.uri().path(), |path, target, taken| {
            (Arc::clone(path), target.clone(), taken)
        });
        let (path, action, taken) = match found {
            Ok((path, RelayTarget::Action(action), taken)) => (path, action, taken),
            Ok((_, RelayTarget::Refused(why), _)) => {
                return RelayError::Refused(why).response(false);
            }
            Err(known) => return RelayError::UnknownPath(known).response(false),
        };
        request.extensions_mut().insert(MatchedRoute(Arc::clone(&path)));
        set_forwarded(request.headers_mut(), caller, &action.config().trusted_proxies);
        if taken > 0 && strip_prefix(&mut request, taken, Some(&path)).is_none() {
            return RelayError::UnknownPath(path.to_string()).response(false);
        }
        let standby = action.config().relay.standby;
        let headers = RelayHeaders { secure: caller.secure, ..RelayHeaders::default() };
        self.relay(RelayRoute { action, standby, headers, caller }, request).await
    }

    async fn relay(&self, route: RelayRoute, request: Request<Incoming>) -> Response<RelayBody> {
        let from_host = route.headers.is_from_host();
        if !from_host {
            // The leader checks this as well, but only after the body was sent to it.
            let limit = route.action.config().limits.max_body_size;
            if request.body().size_hint().lower() > limit {
                return RelayError::TooLarge(limit).response(false);
            }
        }
        let relayed = RelayedRequest::new(&self.context, route, Arc::clone(&self.slots), request);
        let body = relayed.body();
        match relayed.run().await {
            Ok(response) => response,
            Err(error) => {
                // If the response came while the other host still sends its body, that host could
                // take the closed connection for a failure and never read why.
                if from_host && error.unserved().is_some() {
                    let _ = timeout(SOAK, body.buffer()).await;
                }
                error.response(from_host)
            }
        }
    }
}

impl RequestHandler for RelayService {
    type Body = RelayBody;

    async fn respond(
        &self,
        request: Request<Incoming>,
        caller: ConnectionInfo,
    ) -> Result<Response<RelayBody>, Infallible> {
        Ok(self.respond_at_address(request, caller).await)
    }

    fn respond_early(&self, why: EarlyResponse) -> Response<RelayBody> {
        why.response(RelayBody::text)
    }
}
