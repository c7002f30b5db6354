//! The body of an answer, whoever gives it.

use std::{
    error::Error,
    pin::Pin,
    task::{Context, Poll},
};

use ::http::Response;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::action::ReplyBody;

type BoxError = Box<dyn Error + Send + Sync>;

/// What a client gets. One that breaks off breaks off for the client, too.
pub(crate) struct Carried {
    from: From,
    /// Until it is gone, the drain of the term that answers waits.
    _visit: Option<TaskTrackerToken>,
    /// Until it is gone, the request counts among those under way.
    place: Option<OwnedSemaphorePermit>,
}

enum From {
    /// A text of the relay's own.
    Text(Full<Bytes>),
    /// A term of this host.
    Here(Box<ReplyBody>),
    /// Another host.
    There(Incoming),
}

impl Carried {
    /// A text.
    pub(super) fn text(text: String) -> Self {
        Self { from: From::Text(Full::new(text.into())), _visit: None, place: None }
    }

    /// What a term of this host answers.
    pub(super) fn here(answer: Response<ReplyBody>, visit: TaskTrackerToken) -> Response<Self> {
        let from = |body| From::Here(Box::new(body));
        answer.map(|body| Self { from: from(body), _visit: Some(visit), place: None })
    }

    /// What another host answers.
    pub(super) fn there(answer: Response<Incoming>) -> Response<Self> {
        answer.map(|body| Self { from: From::There(body), _visit: None, place: None })
    }

    /// Gives the place back when it is gone.
    pub(super) fn keep(&mut self, place: Option<OwnedSemaphorePermit>) {
        self.place = place;
    }
}

impl Body for Carried {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.get_mut().from {
            From::Text(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            From::Here(body) => Pin::new(&mut **body).poll_frame(cx).map_err(Into::into),
            From::There(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.from {
            From::Text(body) => body.is_end_stream(),
            From::Here(body) => body.is_end_stream(),
            From::There(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.from {
            From::Text(body) => body.size_hint(),
            From::Here(body) => body.size_hint(),
            From::There(body) => body.size_hint(),
        }
    }
}
