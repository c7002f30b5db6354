//! Which action answers a request: the one whose path it begins with.

use std::{
    convert::Infallible,
    sync::{Arc, PoisonError, RwLock},
};

use ::http::{HeaderName, HeaderValue, Request, Response, Uri, uri::PathAndQuery};
use hyper::body::Incoming;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::{
    body::ReplyBody,
    connection::{Answers, Caller, Secure},
    inbound::Inbound,
    lobby::Lobby,
    refusal::Refusal,
    request::Server,
};
use crate::capability::{Gate, Stamp};

/// What tells a plugin which part of the path was taken off. Reverse proxies do so.
pub(crate) const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");

/// The place of one action among the routes. Versions of it come and go there.
pub(super) struct Slot {
    server: RwLock<Option<Arc<Server>>>,
    /// Who is told of it.
    lobby: Lobby,
}

impl Slot {
    /// Nobody answers here yet.
    pub(super) fn new(lobby: Lobby) -> Self {
        Self { server: RwLock::default(), lobby }
    }

    /// Lets another version answer from now on, or none.
    pub(super) fn put(&self, server: Option<Arc<Server>>) {
        *self.server.write().unwrap_or_else(PoisonError::into_inner) = server;
        self.lobby.nudge();
    }

    /// The version that answers now. As long as the token lives, that version is not
    /// regarded as idle; it is taken together with it, so that no request falls
    /// between a version that goes and the one that comes.
    pub(super) fn enter(&self) -> Option<(Arc<Server>, TaskTrackerToken)> {
        let server = self.server.read().unwrap_or_else(PoisonError::into_inner).clone()?;
        let token = server.occupy();
        Some((server, token))
    }
}

/// A path, and who answers under it.
#[derive(Clone)]
pub(super) struct Route {
    /// `/`, or a path without a slash at its end.
    pub(super) path: Arc<str>,
    /// Who answers.
    pub(super) slot: Arc<Slot>,
}

impl Route {
    fn rest<'a>(&self, path: &'a str) -> Option<&'a str> {
        rest(&self.path, path)
    }
}

/// What is left of `path` under `mount`, if it is under it.
pub(crate) fn rest<'a>(mount: &str, path: &'a str) -> Option<&'a str> {
    if mount == "/" {
        return Some(path);
    }
    let rest = path.strip_prefix(mount)?;
    (rest.is_empty() || rest.starts_with('/')).then_some(rest)
}

/// The routes of one address.
pub(super) struct Routes {
    gate: Arc<Gate>,
    stamp: Stamp,
    /// The longest path first.
    table: RwLock<Vec<Route>>,
}

impl Routes {
    /// No routes yet, under the term behind `gate`.
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        Self { stamp: Stamp::of(gate.term()), gate, table: RwLock::default() }
    }

    /// Replaces the routes.
    pub(super) fn set(&self, mut routes: Vec<Route>) {
        routes.sort_by(|a, b| b.path.len().cmp(&a.path.len()).then_with(|| a.path.cmp(&b.path)));
        *self.table.write().unwrap_or_else(PoisonError::into_inner) = routes;
    }

    /// Who answers `request`, and the request as the plugin sees it.
    fn find(
        &self,
        mut request: Request<Incoming>,
    ) -> Result<(Arc<Server>, TaskTrackerToken, Request<Inbound>), Refusal> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let path = request.uri().path();
        let found = table.iter().find_map(|route| Some((route, route.rest(path)?.len())));
        let Some((route, rest)) = found else {
            self.gate.admit()?;
            let known: Vec<_> = table.iter().map(|route| &*route.path).collect();
            return Err(Refusal::Nowhere(known.join(", ")));
        };
        // Where somebody answers, it is for him to ask the gate.
        let Some((server, token)) = route.slot.enter() else {
            self.gate.admit()?;
            return Err(Refusal::Busy);
        };
        let taken = path.len() - rest;
        if taken > 0 {
            let prefix = HeaderValue::from_str(&route.path).map_err(|_| Refusal::NoHost)?;
            *request.uri_mut() = without(request.uri(), taken).ok_or(Refusal::NoHost)?;
            request.headers_mut().append(PREFIX, prefix);
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
        let refusal = match self.find(request) {
            Ok((server, _occupied, request)) => return Ok(server.respond(request).await),
            Err(refusal) => refusal,
        };
        let mut response = refusal.response();
        self.stamp.put(response.headers_mut());
        Ok(response)
    }
}

/// `uri` without the first `taken` bytes of its path.
pub(crate) fn without(uri: &Uri, taken: usize) -> Option<Uri> {
    let old = uri.path_and_query()?.as_str().get(taken..)?;
    let slash = if old.starts_with('/') { "" } else { "/" };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("{slash}{old}")).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_off_at_its_slashes() {
        let rest = |path: &str, of: &str| super::rest(path, of).map(ToOwned::to_owned);
        assert_eq!(rest("/", "/a/b").as_deref(), Some("/a/b"));
        assert_eq!(rest("/a", "/a/b").as_deref(), Some("/b"));
        assert_eq!(rest("/a", "/a").as_deref(), Some(""));
        assert_eq!(rest("/a", "/ab"), None);
        assert_eq!(rest("/a", "/"), None);
    }

    #[test]
    fn what_is_left_begins_with_a_slash() {
        let left = |uri: &str, taken| without(&uri.parse().unwrap(), taken).unwrap().to_string();
        assert_eq!(left("/a/b?c=1", 2), "/b?c=1");
        assert_eq!(left("/a", 2), "/");
        assert_eq!(left("/a?c=1", 2), "/?c=1");
        assert_eq!(left("http://h:1/a/b", 2), "http://h:1/b");
    }
}
