//! Where requests come in: at an action's address, or under `/leader/` at the control address.

use std::{convert::Infallible, sync::Arc};

use ::http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use tokio::time::timeout;

use super::{
    Carried,
    errand::Errand,
    headers,
    limits::{IN_FLIGHT, SOAK},
    refusal::Refusal,
    shared::Shared,
    trail::Trail,
};
use crate::action::{Action, Answers, Caller, Outright, Paths, say_forwarded, take_off, told};
use soloist_config::Standby;
use soloist_guests::{capability::Stamp, plugin::Kind};
use soloist_resources::{descriptors::for_hops, shares::Shares};

/// The path of the control address under which the actions are, each under its name.
pub(super) const LEADER: &str = "/leader/";

/// A place where requests come in.
pub(crate) struct Desk {
    shared: Arc<Shared>,
    /// For those that wait, or that other hosts answer.
    places: Arc<Shares>,
    /// Who is at the address.
    paths: Paths<Seat>,
}

/// Who is under a path.
#[derive(Clone)]
pub(super) enum Seat {
    /// An action.
    Action(Arc<Action>),
    /// Nobody, and this is what clients are told.
    Closed(Arc<str>),
}

impl Desk {
    /// A desk at which there are no actions yet.
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        let (shared, places) = (Arc::clone(shared), Shares::new(for_hops(IN_FLIGHT)));
        Self { shared, places, paths: Paths::default() }
    }

    /// Replaces those at the address.
    pub(super) fn set(&self, seats: Vec<(Arc<str>, Seat)>) {
        self.paths.set(seats);
    }

    /// Answers a request to the control address, from a client or from another host.
    pub(super) async fn respond_at_control(
        &self,
        mut request: Request<Incoming>,
        caller: Caller,
    ) -> Response<Carried> {
        let trail = Trail::read(request.headers());
        Stamp::take_off_all(request.headers_mut());
        let (action, taken) = match self.named(request.uri().path()) {
            Ok(found) => found,
            Err(refusal) => return refusal.response(trail.is_from_host()),
        };
        let prefix = format!("{LEADER}{}", action.name());
        if trail.is_from_host() {
            self.shared.hops.note_received();
            if trail.probe {
                return self.probe(&action, &trail);
            }
            if let Some(asked) = trail.asked.clone() {
                headers::restore_host(&mut request, asked);
            }
            return match take_off(&mut request, taken, None) {
                Some(()) => self.ask(action, Standby::Forward, trail, request, caller).await,
                None => Refusal::Nowhere(prefix).response(true),
            };
        }
        say_forwarded(request.headers_mut(), caller, &action.config().trusted_proxies);
        let Some(()) = take_off(&mut request, taken, Some(&prefix)) else {
            return Refusal::Nowhere(prefix).response(false);
        };
        self.ask(action, Standby::Forward, trail, request, caller).await
    }

    /// The action that a path of the control address names, and how much of the path is
    /// taken up by that.
    fn named(&self, path: &str) -> Result<(Arc<Action>, usize), Refusal> {
        let written = path.strip_prefix(LEADER).and_then(|rest| rest.split('/').next());
        let written = written.unwrap_or_default();
        // `%2D` is a hyphen (RFC 3986, section 6.2.2.2), and some write all of them so.
        let name = &*percent_decode_str(written).decode_utf8_lossy();
        let programme = Arc::clone(&self.shared.programme.borrow());
        let mut http = programme.actions.iter().filter(|action| action.kinds().has(Kind::Http));
        if let Some(action) = http.clone().find(|action| &**action.name() == name) {
            return Ok((Arc::clone(action), LEADER.len() + written.len()));
        }
        let mut refused = programme.refused.iter().filter(|refused| refused.name == name);
        if let Some((_, why)) = refused.find_map(|refused| refused.place()) {
            return Err(Refusal::Closed(why));
        }
        let known: Vec<_> = http.by_ref().map(|action| &**action.name()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Err(Refusal::Unknown { name: name.to_owned(), known })
    }

    /// Says whether the term goes on for which another host asks. No guest hears of it.
    fn probe(&self, action: &Action, trail: &Trail) -> Response<Carried> {
        let floor = self.shared.lobby.floor();
        let floor = floor.borrow();
        let performer = floor.performer(action.name());
        match (performer, &trail.to) {
            (Some(performer), Some((_, token))) if performer.admits_under(*token) => {
                told(StatusCode::OK, Carried::text("the term goes on\n".to_owned()))
            }
            _ => Refusal::Over.response(true),
        }
    }

    /// Answers a request to the address of actions.
    async fn respond_at_address(
        &self,
        mut request: Request<Incoming>,
        caller: Caller,
    ) -> Response<Carried> {
        Stamp::take_off_all(request.headers_mut());
        let found = self.paths.find(request.uri().path(), |path, seat, taken| {
            (Arc::clone(path), seat.clone(), taken)
        });
        let (path, action, taken) = match found {
            Ok((path, Seat::Action(action), taken)) => (path, action, taken),
            Ok((_, Seat::Closed(why), _)) => return Refusal::Closed(why).response(false),
            Err(known) => return Refusal::Nowhere(known).response(false),
        };
        say_forwarded(request.headers_mut(), caller, &action.config().trusted_proxies);
        if taken > 0 && take_off(&mut request, taken, Some(&path)).is_none() {
            return Refusal::Nowhere(path.to_string()).response(false);
        }
        let standby = action.config().relayed.standby;
        let trail = Trail { secure: caller.secure, ..Trail::default() };
        self.ask(action, standby, trail, request, caller).await
    }

    async fn ask(
        &self,
        action: Arc<Action>,
        standby: Standby,
        trail: Trail,
        request: Request<Incoming>,
        caller: Caller,
    ) -> Response<Carried> {
        let from_host = trail.is_from_host();
        if !from_host {
            // The leader would say so as well, when its client has begun to send it.
            let limit = action.config().limits.body;
            if request.body().size_hint().lower() > limit {
                return Refusal::TooLarge(limit).response(false);
            }
        }
        let places = Arc::clone(&self.places);
        let errand = Errand::new(&self.shared, action, standby, trail, caller, request, places);
        let body = errand.body();
        match errand.run().await {
            Ok(response) => response,
            Err(refusal) => {
                // It could be taken for a broken connection, if it came too soon.
                if from_host && refusal.unserved().is_some() {
                    let _ = timeout(SOAK, body.soak()).await;
                }
                refusal.response(from_host)
            }
        }
    }
}

impl Answers for Desk {
    type Body = Carried;

    async fn respond(
        &self,
        request: Request<Incoming>,
        caller: Caller,
    ) -> Result<Response<Carried>, Infallible> {
        Ok(self.respond_at_address(request, caller).await)
    }

    fn turn_away(&self, why: Outright) -> Response<Carried> {
        why.response(Carried::text)
    }
}
