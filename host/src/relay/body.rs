//! The body of a relayed response, wherever it comes from.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll, ready},
};

use ::http::Response;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Either;
use hyper::body::Incoming;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::http2_pool::Http2Connection;
use crate::{action::ResponseBody, http::DeferredError};
use soloist_resources::shares::Share;

type BoxError = Box<dyn Error + Send + Sync>;

/// The body that a client gets. If its source breaks off, it breaks off for the client as well.
pub(crate) struct RelayBody {
    source: BodySource,
    delayed_error: DeferredError<BoxError>,
    /// Holds up the drain of the local term that answers, until this body is dropped.
    _visit: Option<TaskTrackerToken>,
    /// The request's share of the relay's limit, returned when this body is dropped.
    slot: Option<Share>,
    /// The HTTP/2 connection that the body arrives on, which carries nothing else.
    connection: Option<Http2Connection>,
}

/// Left: the answer of a local term, or a text of the relay's own. Right: another host's answer.
type BodySource = Either<Box<ResponseBody>, Incoming>;

impl RelayBody {
    /// A text of the relay's own.
    pub(super) fn text(text: String) -> Self {
        Self::from_source(BodySource::Left(Box::new(ResponseBody::text(text))))
    }

    /// The answer of a term of this host.
    pub(super) fn local(answer: Response<ResponseBody>, visit: TaskTrackerToken) -> Response<Self> {
        answer.map(|body| {
            let mut body = Self::from_source(BodySource::Left(Box::new(body)));
            body._visit = Some(visit);
            body
        })
    }

    /// The answer of another host, over `connection` if that is one of HTTP/2.
    pub(super) fn remote(
        answer: Response<Incoming>,
        connection: Option<Http2Connection>,
    ) -> Response<Self> {
        answer.map(|body| {
            let mut body = Self::from_source(BodySource::Right(body));
            body.connection = connection;
            body
        })
    }

    fn from_source(source: BodySource) -> Self {
        let delayed_error = DeferredError::default();
        Self { source, delayed_error, _visit: None, slot: None, connection: None }
    }

    /// Keeps `slot` until this body is dropped.
    pub(super) fn hold_slot(&mut self, slot: Option<Share>) {
        self.slot = slot;
    }
}

impl Drop for RelayBody {
    fn drop(&mut self) {
        if self.source.is_end_stream()
            && let Some(connection) = self.connection.take()
        {
            connection.release();
        }
    }
}

impl Body for RelayBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Some(error) = this.delayed_error.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match ready!(Pin::new(&mut this.source).poll_frame(cx)) {
            // The bytes that arrived before the error are flushed to the client first.
            Some(Err(error)) if matches!(this.source, BodySource::Right(_)) => {
                this.delayed_error.defer(error, cx)
            }
            frame => Poll::Ready(frame),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.source.size_hint()
    }
}
