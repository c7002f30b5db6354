//! The body of a response on its way to the client.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use ::http::{HeaderMap, Method, Response, StatusCode, header};
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use wasmtime_wasi_http::{Error, p2::body::HyperOutgoingBody};

use super::{
    access_log::{AccessLogEntry, RequestLine},
    guest_handle::{BrokenFlag, GuestHandle},
    headers::sanitize_trailers,
};
use soloist_leadership::{Gate, GateShut};

/// Why a response was cut off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResponseAbort {
    #[error("{0}")]
    GateShut(#[from] GateShut),
    #[error("the plugin failed before its response was complete")]
    GuestFailed,
    #[error("the plugin dropped its body, or wrote another length of it than it had said")]
    BodyFailed(#[source] Error),
    #[error("{0} bytes are missing of those that `content-length` had promised")]
    TooShort(u64),
}

/// Is told how a response ends.
pub(super) trait ResponseMonitor: Send + Sync {
    /// The gate of the term that answers.
    fn gate(&self) -> &Gate;

    /// The guest did not fail, but broke off its response.
    fn response_aborted(&self, asked: &RequestLine, why: &ResponseAbort);
}

/// An error that is returned one poll later than it is known: when a body fails, hyper drops what
/// it has not sent yet; when a body pauses, hyper sends it.
#[derive(Debug)]
pub(crate) struct DeferredError<E>(Option<E>);

impl<E> Default for DeferredError<E> {
    fn default() -> Self {
        Self(None)
    }
}

impl<E> DeferredError<E> {
    /// Keeps `error` for the next poll, which follows at once.
    pub(crate) fn defer<T>(&mut self, error: E, cx: &Context<'_>) -> Poll<T> {
        self.0 = Some(error);
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// The deferred error, if there is one.
    pub(crate) fn take(&mut self) -> Option<E> {
        self.0.take()
    }
}

/// Marks a response whose whole body is there: it is good, whatever becomes of its guest.
#[derive(Clone)]
pub(super) struct CompleteBody;

/// The body that a client gets.
pub(crate) struct ResponseBody {
    source: ResponseSource,
    /// Its entry in the access log, which is written when this body is dropped.
    log_entry: Option<Box<AccessLogEntry>>,
}

enum ResponseSource {
    /// A text from the host.
    Text(Full<Bytes>),
    /// The body that a guest writes.
    Guest(Box<GuestBody>),
}

/// The body that a guest writes, guarded by the gate.
pub(crate) struct GuestBody {
    inner: HyperOutgoingBody,
    request: RequestLine,
    monitor: Arc<dyn ResponseMonitor>,
    /// What was read before the head was sent: a frame, or the end.
    first_frame: Option<Option<Frame<Bytes>>>,
    deferred_abort: DeferredError<ResponseAbort>,
    /// Whether the guest broke off; `None` if that does not matter.
    broken: Option<BrokenFlag>,
    /// Ends the guest when the body is dropped before its end: the client is gone.
    guest: Option<GuestHandle>,
    /// How many bytes are still to come, if the response said so.
    remaining: Option<u64>,
}

impl ResponseBody {
    /// A body with this text.
    pub(crate) fn text(text: String) -> Self {
        Self { source: ResponseSource::Text(Full::new(text.into())), log_entry: None }
    }

    /// Writes this access-log entry when the body ends.
    pub(super) fn attach_log_entry(&mut self, entry: Option<Box<AccessLogEntry>>) {
        self.log_entry = entry;
    }

    /// Makes the client's response from the guest's, with the body guarded by the gate. If no body
    /// is sent to the client, hyper never polls it, and the guest just runs to its end.
    ///
    /// Fails if the gate is shut, or the body has already broken off.
    pub(super) fn from_guest(
        response: Response<HyperOutgoingBody>,
        asked: RequestLine,
        overseer: Arc<dyn ResponseMonitor>,
        fate: BrokenFlag,
        guest: GuestHandle,
    ) -> Result<Response<Self>, ResponseAbort> {
        overseer.gate().pass()?;
        let mut guest = Some(guest);
        let left = content_length(response.headers());
        let head = asked.method == Method::HEAD;
        let none = head || has_no_body(response.status()) || left == Some(0);
        if none {
            detach_guest(&mut guest);
        }
        let fate = response.extensions().get::<CompleteBody>().is_none().then_some(fate);
        let (head, inner) = response.into_parts();
        let (ahead, cut) = (None, DeferredError::default());
        let mut body = GuestBody {
            inner,
            request: asked,
            monitor: overseer,
            first_frame: ahead,
            deferred_abort: cut,
            broken: fate,
            guest,
            remaining: left,
        };
        if !none {
            body.look_ahead()?;
        }
        let from = ResponseSource::Guest(Box::new(body));
        Ok(Response::from_parts(head, Self { source: from, log_entry: None }))
    }
}

/// Whether responses of `status` never have a body (RFC 9110, 15.3.5 and 15.4.5).
pub(super) fn has_no_body(status: StatusCode) -> bool {
    status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn detach_guest(guest: &mut Option<GuestHandle>) {
    if let Some(guest) = guest.take() {
        guest.detach();
    }
}

impl GuestBody {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, ResponseAbort>>> {
        if let Some(ahead) = self.first_frame.take() {
            self.monitor.gate().pass()?;
            return Poll::Ready(ahead.map(Ok));
        }
        if let Some(cut) = self.deferred_abort.take() {
            return Poll::Ready(Some(Err(cut)));
        }
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(cx));
        self.monitor.gate().pass()?;
        match self.check_frame(frame) {
            Ok(frame) => Poll::Ready(frame.map(Ok)),
            Err(cut) => self.deferred_abort.defer(cut, cx),
        }
    }

    /// Takes what there is of the body before anything is sent. No waker is needed: hyper polls it
    /// again.
    fn look_ahead(&mut self) -> Result<(), ResponseAbort> {
        match self.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(ahead) => self.first_frame = Some(ahead.transpose()?),
            Poll::Pending => self.deferred_abort.take().map_or(Ok(()), Err)?,
        }
        Ok(())
    }

    /// Checks what the guest writes against what it has promised.
    fn check_frame(
        &mut self,
        frame: Option<Result<Frame<Bytes>, Error>>,
    ) -> Result<Option<Frame<Bytes>>, ResponseAbort> {
        let cut = match frame {
            Some(Ok(mut frame)) => {
                if let Some(trailers) = frame.trailers_mut() {
                    sanitize_trailers(trailers);
                }
                self.count_remaining(&frame);
                return Ok(Some(frame));
            }
            // The task of the guest has already reported why it failed.
            _ if self.broken.as_ref().is_some_and(BrokenFlag::is_broken) => {
                return Err(ResponseAbort::GuestFailed);
            }
            Some(Err(error)) => ResponseAbort::BodyFailed(error),
            None => match self.remaining {
                Some(left) if left > 0 && self.guest.is_some() => ResponseAbort::TooShort(left),
                _ => {
                    detach_guest(&mut self.guest);
                    return Ok(None);
                }
            },
        };
        self.monitor.response_aborted(&self.request, &cut);
        Err(cut)
    }

    /// After the last byte that was promised, hyper does not poll again.
    fn count_remaining(&mut self, frame: &Frame<Bytes>) {
        let length = frame.data_ref().map_or(0, Buf::remaining) as u64;
        self.remaining = self.remaining.map(|left| left.saturating_sub(length));
        if self.remaining == Some(0) {
            detach_guest(&mut self.guest);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseAbort;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseAbort>>> {
        let this = self.get_mut();
        let frame = match &mut this.source {
            ResponseSource::Text(text) => {
                Pin::new(text).poll_frame(cx).map_err(|infallible| match infallible {})
            }
            ResponseSource::Guest(body) => body.poll(cx),
        };
        if let (Some(entry), Poll::Ready(Some(Ok(frame)))) = (&mut this.log_entry, &frame) {
            entry.bytes += frame.data_ref().map_or(0, Buf::remaining) as u64;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            ResponseSource::Text(text) => text.is_end_stream(),
            ResponseSource::Guest(body) => matches!(body.first_frame, Some(None)),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            ResponseSource::Text(text) => text.size_hint(),
            ResponseSource::Guest(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use ::http::Request;
    use futures::{FutureExt, stream};
    use http_body_util::{BodyExt, StreamBody};
    use tokio::task::{AbortHandle, yield_now};

    use super::{super::guest_handle::GuestTask, *};
    use soloist_heart::Group;

    /// A term, and how many responses broke off in it.
    struct TestMonitor {
        gate: Arc<Gate>,
        broken: AtomicUsize,
    }

    impl ResponseMonitor for TestMonitor {
        fn gate(&self) -> &Gate {
            &self.gate
        }

        fn response_aborted(&self, _: &RequestLine, _: &ResponseAbort) {
            self.broken.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A response of two pieces on its way out, and what decides about it.
    struct ResponseFixture {
        watch: Arc<TestMonitor>,
        fate: BrokenFlag,
        guest: AbortHandle,
        response: Result<Response<ResponseBody>, ResponseAbort>,
    }

    fn asked(expects_body: bool) -> RequestLine {
        let method = if expects_body { Method::GET } else { Method::HEAD };
        RequestLine::of(&Request::builder().method(method).body(()).unwrap())
    }

    fn watch() -> Arc<TestMonitor> {
        let gate = Arc::new(Gate::without_term(Group::main(), "a".into()));
        TestMonitor { gate, broken: AtomicUsize::new(0) }.into()
    }

    fn reply(expects_body: bool, length: Option<u64>, closed: bool) -> ResponseFixture {
        reply_of(&["one", "two"], expects_body, length, closed)
    }

    fn reply_of(
        pieces: &[&'static str],
        expects_body: bool,
        length: Option<u64>,
        closed: bool,
    ) -> ResponseFixture {
        let watch = watch();
        if closed {
            watch.gate.close();
        }
        let fate = BrokenFlag::default();
        let guest = GuestTask::new(tokio::spawn(std::future::pending()));
        let handle = guest.abort_handle();
        let pieces: Vec<_> =
            pieces.iter().map(|piece| Ok(Frame::data(Bytes::from(*piece)))).collect();
        let mut response = Response::new(StreamBody::new(stream::iter(pieces)).boxed_unsync());
        if let Some(length) = length {
            response.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        }
        let (tie, overseer) = (GuestHandle::Task(guest), watch.clone());
        let response =
            ResponseBody::from_guest(response, asked(expects_body), overseer, fate.clone(), tie);
        ResponseFixture { watch, fate, guest: handle, response }
    }

    async fn aborted(guest: &AbortHandle) -> bool {
        yield_now().await;
        guest.is_finished()
    }

    #[tokio::test]
    async fn a_whole_body_leaves_the_guest_be() {
        let reply = reply(true, None, false);
        let text = reply.response.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text, "onetwo");
        assert!(!aborted(&reply.guest).await);
    }

    #[tokio::test]
    async fn all_that_was_promised_is_a_whole_body() {
        let reply = reply(true, Some(6), false);
        let mut body = reply.response.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        body.frame().await.unwrap().unwrap();
        drop(body);
        assert!(!aborted(&reply.guest).await);
    }

    #[tokio::test]
    async fn a_client_without_interest_in_the_body_does_not_end_the_guest() {
        let reply = reply(false, None, false);
        drop(reply.response);
        assert!(!aborted(&reply.guest).await);
    }

    #[tokio::test]
    async fn a_body_that_nobody_takes_ends_the_guest() {
        let reply = reply(true, Some(6), false);
        let mut body = reply.response.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        drop(body);
        assert!(aborted(&reply.guest).await);
    }

    #[tokio::test]
    async fn half_a_body_does_not_look_whole() {
        let reply = reply(true, None, false);
        drop(reply.fate.guard());
        let end = reply.response.unwrap().into_body().collect().await;
        assert!(matches!(end, Err(ResponseAbort::GuestFailed)));
    }

    #[tokio::test]
    async fn what_breaks_off_before_it_is_out_is_no_answer() {
        let reply = reply_of(&[], true, Some(6), false);
        assert!(matches!(reply.response.err(), Some(ResponseAbort::TooShort(6))));
        assert_eq!(reply.watch.broken.load(Ordering::Relaxed), 1);
        let head = reply_of(&[], false, Some(6), false);
        assert!(head.response.is_ok(), "whoever asks for the head gets no body");
    }

    #[tokio::test]
    async fn an_error_waits_until_what_came_before_is_sent() {
        let reply = reply(true, Some(7), false);
        let mut body = reply.response.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        body.frame().await.unwrap().unwrap();
        assert!(body.frame().now_or_never().is_none());
        assert!(matches!(body.frame().await, Some(Err(ResponseAbort::TooShort(1)))));
        assert_eq!(reply.watch.broken.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn what_is_whole_stays_whole() {
        let fate = BrokenFlag::default();
        drop(fate.guard());
        let body = stream::iter([Ok(Frame::data(Bytes::from("whole")))]);
        let mut response = Response::new(StreamBody::new(body).boxed_unsync());
        response.extensions_mut().insert(CompleteBody);
        let guest = GuestHandle::Finished(None);
        let response =
            ResponseBody::from_guest(response, asked(true), watch(), fate, guest).unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "whole");
    }

    #[tokio::test]
    async fn a_closed_gate_lets_neither_head_nor_body_out() {
        let shut = reply(true, None, true);
        assert!(matches!(shut.response.err(), Some(ResponseAbort::GateShut(GateShut::Closed))));
        assert!(aborted(&shut.guest).await);

        let reply = reply(true, None, false);
        let mut body = reply.response.unwrap().into_body();
        body.frame().await.unwrap().unwrap();
        reply.watch.gate.close();
        assert!(matches!(body.frame().await, Some(Err(ResponseAbort::GateShut(GateShut::Closed)))));
    }
}
