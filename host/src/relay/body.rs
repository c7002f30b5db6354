//! The body of an answer, whoever gives it.

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

/// What a client gets. One that breaks off breaks off for the client, too.
pub(crate) struct RelayBody {
    source: BodySource,
    delayed_error: DeferredError<BoxError>,
    /// Until it is gone, the drain of the term that answers waits.
    _visit: Option<TaskTrackerToken>,
    /// Until it is gone, the request counts among those under way.
    slot: Option<Share>,
    /// The connection that it comes by, if that carries nothing else.
    connection: Option<Http2Connection>,
}

/// What a term of this host answers, or a text of the relay's own; or another host's answer.
type BodySource = Either<Box<ResponseBody>, Incoming>;

impl RelayBody {
    /// A text.
    pub(super) fn text(text: String) -> Self {
        let source = BodySource::Left(Box::new(ResponseBody::text(text)));
        Self {
            source,
            delayed_error: DeferredError::default(),
            _visit: None,
            slot: None,
            connection: None,
        }
    }

    /// What a term of this host answers.
    pub(super) fn local(answer: Response<ResponseBody>, visit: TaskTrackerToken) -> Response<Self> {
        answer.map(|body| {
            let (from, cut) = (BodySource::Left(Box::new(body)), DeferredError::default());
            Self {
                source: from,
                delayed_error: cut,
                _visit: Some(visit),
                slot: None,
                connection: None,
            }
        })
    }

    /// What another host answers.
    pub(super) fn remote(
        answer: Response<Incoming>,
        line: Option<Http2Connection>,
    ) -> Response<Self> {
        answer.map(|body| {
            let (from, cut) = (BodySource::Right(body), DeferredError::default());
            Self { source: from, delayed_error: cut, _visit: None, slot: None, connection: line }
        })
    }

    /// Gives the place back when it is gone.
    pub(super) fn hold_slot(&mut self, place: Option<Share>) {
        self.slot = place;
    }
}

impl Drop for RelayBody {
    fn drop(&mut self) {
        if self.source.is_end_stream()
            && let Some(line) = self.connection.take()
        {
            line.release();
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
        if let Some(cut) = this.delayed_error.take() {
            return Poll::Ready(Some(Err(cut)));
        }
        match ready!(Pin::new(&mut this.source).poll_frame(cx)) {
            // What the other host has sent before goes out first.
            Some(Err(cut)) if matches!(this.source, BodySource::Right(_)) => {
                this.delayed_error.defer(cut, cx)
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
