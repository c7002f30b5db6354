//! What answers the requests of an address.

use std::{convert::Infallible, error::Error};

use ::http::{Request, Response};
use bytes::Bytes;
use http_body::Body;
use hyper::body::Incoming;

use super::{connection_info::ConnectionInfo, early_response::EarlyResponse};

/// Answers the requests that come to an address.
pub(crate) trait RequestHandler: Send + Sync + 'static {
    /// The body of its responses.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>>
        + Send
        + Unpin
        + 'static;

    /// Answers `request`; errors become responses as well.
    fn respond(
        &self,
        request: Request<Incoming>,
        info: ConnectionInfo,
    ) -> impl Future<Output = Result<Response<Self::Body>, Infallible>> + Send;

    /// The response to a request that no action needs to see.
    fn respond_early(&self, why: EarlyResponse) -> Response<Self::Body>;
}
