//! What hyper calls for each request of a connection.

use std::{convert::Infallible, sync::Arc};

use ::http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use super::{
    connection_context::ConnectionContext,
    connection_info::ConnectionInfo,
    connection_slots::{ConnectionState, InFlightGuard},
    http_version::HttpVersion,
    request_handler::RequestHandler,
    tracked_body::TrackedBody,
    validation,
};

/// Checks the requests of one connection, and has them answered.
pub(super) struct RequestService<A> {
    handler: Arc<A>,
    info: ConnectionInfo,
    version: HttpVersion,
    /// Whether other hosts send requests to this address as well.
    from_hosts: bool,
    state: Arc<ConnectionState>,
}

impl<A> Clone for RequestService<A> {
    fn clone(&self) -> Self {
        let (handler, state) = (Arc::clone(&self.handler), Arc::clone(&self.state));
        Self { handler, state, ..*self }
    }
}

impl<A: RequestHandler> RequestService<A> {
    /// The service of a connection that speaks `version`.
    pub(super) fn new(
        context: &ConnectionContext<A>,
        info: ConnectionInfo,
        version: HttpVersion,
        state: &Arc<ConnectionState>,
    ) -> Self {
        let (handler, from_hosts) = (Arc::clone(&context.handler), context.max_headers.is_some());
        Self { handler, info, version, from_hosts, state: Arc::clone(state) }
    }

    /// Answers a request; the connection is busy from the call on, not only once it is polled.
    pub(super) fn call(
        &self,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<TrackedBody<A::Body>>, Infallible>> + Send + use<A>
    {
        let in_flight = self.state.begin_request();
        self.clone().answer(request, in_flight)
    }

    async fn answer(
        self,
        request: Request<Incoming>,
        in_flight: InFlightGuard,
    ) -> Result<Response<TrackedBody<A::Body>>, Infallible> {
        let is_head = request.method() == Method::HEAD;
        let response = match validation::validate(request, self.info, self.from_hosts) {
            Ok(request) => self.handler.respond(request, self.info).await?,
            Err(why) => self.handler.respond_early(why),
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            self.state.set_upgraded();
        }
        // Over HTTP/1 hyper itself leaves out a body that must not be sent.
        let has_body =
            self.version == HttpVersion::Http1 || !(is_head || has_no_body(response.status()));
        let tracked = |body| TrackedBody::new(has_body.then_some(body), in_flight);
        Ok(response.map(tracked))
    }
}

/// Whether responses of `status` never have a body (RFC 9110, 15.3.5 and 15.4.5).
pub(crate) fn has_no_body(status: StatusCode) -> bool {
    status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}
