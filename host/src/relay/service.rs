//! Where requests come in: at an action's address, or under `/leader/` at the control address.

use std::{convert::Infallible, sync::Arc};

use ::http::{Request, Response, StatusCode};
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
    relayed_request::RelayedRequest,
};
use crate::{
    action::Action,
    http::{
        ConnectionInfo, EarlyResponse, PathMap, RequestHandler, plain_response, set_forwarded,
        strip_prefix,
    },
};
use soloist_config::StandbyMode;
use soloist_guests::{capability::TermHeaders, plugin::Kind};
use soloist_resources::{descriptors::for_peer_requests, shares::Shares};

/// The path of the control address under which the actions are, each under its name.
pub(super) const LEADER: &str = "/leader/";

/// A place where requests come in.
pub(crate) struct RelayService {
    context: Arc<RelayContext>,
    /// For those that wait, or that other hosts answer.
    slots: Arc<Shares>,
    /// Who is at the address.
    paths: PathMap<RelayTarget>,
}

/// Who is under a path.
#[derive(Clone)]
pub(super) enum RelayTarget {
    /// An action.
    Action(Arc<Action>),
    /// Nobody, and this is what clients are told.
    Closed(Arc<str>),
}

impl RelayService {
    /// A desk at which there are no actions yet.
    pub(super) fn new(shared: &Arc<RelayContext>) -> Self {
        let (context, slots) = (Arc::clone(shared), Shares::new(for_peer_requests(IN_FLIGHT)));
        Self { context, slots, paths: PathMap::default() }
    }

    /// Replaces those at the address.
    pub(super) fn set_targets(&self, seats: Vec<(Arc<str>, RelayTarget)>) {
        self.paths.set(seats);
    }

    /// Answers a request to the control address, from a client or from another host.
    pub(super) async fn respond_at_control(
        &self,
        mut request: Request<Incoming>,
        caller: ConnectionInfo,
    ) -> Response<RelayBody> {
        let trail = RelayHeaders::read(request.headers());
        TermHeaders::strip_reserved(request.headers_mut());
        let (action, taken) = match self.action_in_path(request.uri().path()) {
            Ok(found) => found,
            Err(refusal) => return refusal.response(trail.is_from_host()),
        };
        let prefix = format!("{LEADER}{}", action.name());
        if trail.is_from_host() {
            self.context.client.note_received();
            if trail.probe {
                return self.probe(&action, &trail);
            }
            if let Some(asked) = trail.requested_host.clone() {
                host_header::restore_host(&mut request, asked);
            }
            return match strip_prefix(&mut request, taken, None) {
                Some(()) => self.relay(action, StandbyMode::Forward, trail, request, caller).await,
                None => RelayError::UnknownPath(prefix).response(true),
            };
        }
        set_forwarded(request.headers_mut(), caller, &action.config().trusted_proxies);
        let Some(()) = strip_prefix(&mut request, taken, Some(&prefix)) else {
            return RelayError::UnknownPath(prefix).response(false);
        };
        self.relay(action, StandbyMode::Forward, trail, request, caller).await
    }

    /// The action that a path of the control address names, and how much of the path is
    /// taken up by that.
    fn action_in_path(&self, path: &str) -> Result<(Arc<Action>, usize), RelayError> {
        let written = path.strip_prefix(LEADER).and_then(|rest| rest.split('/').next());
        let written = written.unwrap_or_default();
        // `%2D` is a hyphen (RFC 3986, section 6.2.2.2), and some write all of them so.
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

    /// Says whether the term goes on for which another host asks. No guest hears of it.
    fn probe(&self, action: &Action, trail: &RelayHeaders) -> Response<RelayBody> {
        let floor = self.context.directory.active_actions();
        let floor = floor.borrow();
        let performer = floor.get(action.name());
        match (performer, &trail.target_term) {
            (Some(performer), Some((_, token))) if performer.admits_under(*token) => {
                plain_response(StatusCode::OK, RelayBody::text("the term goes on\n".to_owned()))
            }
            _ => RelayError::TermEnded.response(true),
        }
    }

    /// Answers a request to the address of actions.
    async fn respond_at_address(
        &self,
        mut request: Request<Incoming>,
        caller: ConnectionInfo,
    ) -> Response<RelayBody> {
        TermHeaders::strip_reserved(request.headers_mut());
        let found = self.paths.find(request.uri().path(), |path, seat, taken| {
            (Arc::clone(path), seat.clone(), taken)
        });
        let (path, action, taken) = match found {
            Ok((path, RelayTarget::Action(action), taken)) => (path, action, taken),
            Ok((_, RelayTarget::Closed(why), _)) => {
                return RelayError::Refused(why).response(false);
            }
            Err(known) => return RelayError::UnknownPath(known).response(false),
        };
        set_forwarded(request.headers_mut(), caller, &action.config().trusted_proxies);
        if taken > 0 && strip_prefix(&mut request, taken, Some(&path)).is_none() {
            return RelayError::UnknownPath(path.to_string()).response(false);
        }
        let standby = action.config().relay.standby;
        let trail = RelayHeaders { secure: caller.secure, ..RelayHeaders::default() };
        self.relay(action, standby, trail, request, caller).await
    }

    async fn relay(
        &self,
        action: Arc<Action>,
        standby: StandbyMode,
        trail: RelayHeaders,
        request: Request<Incoming>,
        caller: ConnectionInfo,
    ) -> Response<RelayBody> {
        let from_host = trail.is_from_host();
        if !from_host {
            // The leader would say so as well, when its client has begun to send it.
            let limit = action.config().limits.body;
            if request.body().size_hint().lower() > limit {
                return RelayError::TooLarge(limit).response(false);
            }
        }
        let places = Arc::clone(&self.slots);
        let errand =
            RelayedRequest::new(&self.context, action, standby, trail, caller, request, places);
        let body = errand.body();
        match errand.run().await {
            Ok(response) => response,
            Err(refusal) => {
                // It could be taken for a broken connection, if it came too soon.
                if from_host && refusal.unserved().is_some() {
                    let _ = timeout(SOAK, body.buffer()).await;
                }
                refusal.response(from_host)
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
