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

use super::line::Line;
use crate::action::{Late, ReplyBody};
use soloist_resources::shares::Share;

type BoxError = Box<dyn Error + Send + Sync>;

/// What a client gets. One that breaks off breaks off for the client, too.
pub(crate) struct Carried {
    from: From,
    cut: Late<BoxError>,
    /// Until it is gone, the drain of the term that answers waits.
    _visit: Option<TaskTrackerToken>,
    /// Until it is gone, the request counts among those under way.
    place: Option<Share>,
    /// The connection that it comes by, if that carries nothing else.
    line: Option<Line>,
}

/// What a term of this host answers, or a text of the relay's own; or another host's answer.
type From = Either<Box<ReplyBody>, Incoming>;

impl Carried {
    /// A text.
    pub(super) fn text(text: String) -> Self {
        let from = From::Left(Box::new(ReplyBody::text(text)));
        Self { from, cut: Late::default(), _visit: None, place: None, line: None }
    }

    /// What a term of this host answers.
    pub(super) fn here(answer: Response<ReplyBody>, visit: TaskTrackerToken) -> Response<Self> {
        answer.map(|body| {
            let (from, cut) = (From::Left(Box::new(body)), Late::default());
            Self { from, cut, _visit: Some(visit), place: None, line: None }
        })
    }

    /// What another host answers.
    pub(super) fn there(answer: Response<Incoming>, line: Option<Line>) -> Response<Self> {
        answer.map(|body| {
            let (from, cut) = (From::Right(body), Late::default());
            Self { from, cut, _visit: None, place: None, line }
        })
    }

    /// Gives the place back when it is gone.
    pub(super) fn keep(&mut self, place: Option<Share>) {
        self.place = place;
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        if self.from.is_end_stream()
            && let Some(line) = self.line.take()
        {
            line.give_back();
        }
    }
}

impl Body for Carried {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Some(cut) = this.cut.take() {
            return Poll::Ready(Some(Err(cut)));
        }
        match ready!(Pin::new(&mut this.from).poll_frame(cx)) {
            // What the other host has sent before goes out first.
            Some(Err(cut)) if matches!(this.from, From::Right(_)) => this.cut.keep(cut, cx),
            frame => Poll::Ready(frame),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.from.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.from.size_hint()
    }
}
