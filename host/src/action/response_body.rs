//! The body of a response on its way to the client.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use ::http::Response;
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use super::{
    access_log::{AccessLogEntry, RequestLine},
    broken_flag::BrokenFlag,
    guest_body::GuestBody,
    guest_handle::GuestHandle,
    response_abort::ResponseAbort,
    response_monitor::ResponseMonitor,
};

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
        request: RequestLine,
        monitor: Arc<dyn ResponseMonitor>,
        broken: BrokenFlag,
        guest: GuestHandle,
    ) -> Result<Response<Self>, ResponseAbort> {
        let (head, body) = GuestBody::split(response, request, monitor, broken, guest)?;
        let source = ResponseSource::Guest(Box::new(body));
        Ok(Response::from_parts(head, Self { source, log_entry: None }))
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
            ResponseSource::Guest(body) => body.has_ended(),
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

    use ::http::{Method, Request, header};
    use futures::{FutureExt, stream};
    use http_body_util::{BodyExt, StreamBody};
    use tokio::task::{AbortHandle, yield_now};

    use super::{
        super::{guest_body::CompleteBody, guest_handle::GuestTask},
        *,
    };
    use soloist_heart::Group;
    use soloist_leadership::{Gate, GateShut};

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
