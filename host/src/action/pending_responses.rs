//! How responses of WASI 0.3 start.
//!
//! Such a guest hands out the head first and then the body piece by piece, but most bodies are
//! complete before the guest pauses. Those are sent together with their head: in one write instead
//! of two, and with a content-length. No response is held back longer than until the guest pauses:
//! until it waits for something, has computed for a tick, or waits for its turn to compute.

use std::{
    collections::VecDeque,
    future::poll_fn,
    mem,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use ::http::{Response, header::CONTENT_LENGTH, response::Parts};
use bytes::Bytes;
use futures::{StreamExt, stream, task::AtomicWaker};
use http_body::Frame;
use http_body_util::{BodyExt, BodyStream, StreamBody};
use parking_lot::{Mutex, MutexGuard};
use wasmtime_wasi_http::{Error, WasiBody};

use super::{guest_body::CompleteBody, guest_request::ResponseSender};
use crate::http::has_no_body;
use soloist_heart::clock::BootTime;

/// A piece of a body, and the end or the trailers: the next piece comes only when the first has
/// been taken.
const FRAMES: usize = 2;

/// The longest that a head is held back while its guest yields again and again.
const HOLD_MAX: Duration = Duration::from_millis(1);

/// The responses of one instance that have started and were not sent yet.
#[derive(Default)]
pub(super) struct PendingResponses {
    list: Mutex<VecDeque<PendingResponse>>,
    /// Whether the instance has been polled since this was last read.
    ran: AtomicBool,
}

/// One response, and what there is of its body.
struct PendingResponse {
    sender: ResponseSender,
    head: Parts,
    frames: Vec<Result<Frame<Bytes>, Error>>,
    rest: BodyStream<WasiBody>,
    started: BootTime,
}

/// How far a body has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum BodyProgress {
    /// The frames are the whole body.
    Complete,
    /// No more comes before the frames are taken.
    BufferFull,
    /// The guest is still writing.
    Partial,
}

/// The waker of a task that notes whether it was used.
#[derive(Default)]
struct WakeFlag {
    task: AtomicWaker,
    woken: AtomicBool,
}

impl PendingResponses {
    /// Runs the instance, and sends its responses at the right moments.
    pub(super) async fn run<T>(
        &self,
        instance: impl Future<Output = wasmtime::Result<T>>,
    ) -> wasmtime::Result<T> {
        let mut instance = pin!(instance);
        let flag = Arc::new(WakeFlag::default());
        let waker = Waker::from(flag.clone());
        let run = poll_fn(|cx| {
            flag.reset(cx.waker());
            self.ran.store(true, Ordering::Relaxed);
            let ended = instance.as_mut().poll(&mut Context::from_waker(&waker));
            match &ended {
                Poll::Ready(Err(_)) => self.flush_on_failure(),
                Poll::Pending if flag.was_woken() => self.flush_complete(),
                Poll::Ready(Ok(_)) | Poll::Pending => self.flush_all(),
            }
            ended
        });
        run.await
    }

    /// Sends the responses when their instance, which is [`run`](Self::run) within `paced`, waits
    /// for its turn to compute.
    pub(super) async fn flush_while_paced<F: Future>(&self, paced: F) -> F::Output {
        let mut paced = pin!(paced);
        let beside = poll_fn(|cx| {
            let ended = paced.as_mut().poll(cx);
            if !self.ran.swap(false, Ordering::Relaxed) {
                self.flush_all();
            }
            ended
        });
        beside.await
    }

    /// Adds a response whose head the receiver of `sender` is waiting for.
    pub(super) fn add(&self, response: Response<WasiBody>, sender: ResponseSender) {
        let (head, body) = response.into_parts();
        let rest = BodyStream::new(body);
        let started = BootTime::now();
        self.list().push_back(PendingResponse { sender, head, frames: Vec::new(), rest, started });
    }

    /// The guest has yielded and goes on: sends the complete responses, in order.
    fn flush_complete(&self) {
        let mut list = self.list();
        while let Some(first) = list.front_mut() {
            let progress = first.poll_body();
            if progress == BodyProgress::Partial && BootTime::now().since(first.started) < HOLD_MAX
            {
                return;
            }
            if let Some(first) = list.pop_front() {
                first.send(progress);
            }
        }
    }

    /// The guest pauses: sends all responses.
    fn flush_all(&self) {
        let all = mem::take(&mut *self.list());
        for mut response in all {
            let progress = response.poll_body();
            response.send(progress);
        }
    }

    /// The guest has failed: sends the complete responses. The clients of the others are told of
    /// the failure instead of getting a part.
    fn flush_on_failure(&self) {
        let all = mem::take(&mut *self.list());
        for mut response in all {
            if response.poll_body() == BodyProgress::Complete {
                response.send(BodyProgress::Complete);
            }
        }
    }

    fn list(&self) -> MutexGuard<'_, VecDeque<PendingResponse>> {
        self.list.lock()
    }
}

impl PendingResponse {
    /// Takes what there is of the body.
    fn poll_body(&mut self) -> BodyProgress {
        while self.frames.len() < FRAMES {
            // No waker is needed: whoever sends the body polls it again.
            let frame = match self.rest.poll_next_unpin(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Some(frame)) => frame,
                Poll::Ready(None) => return BodyProgress::Complete,
                Poll::Pending => return BodyProgress::Partial,
            };
            let progress = match &frame {
                Ok(frame) if frame.is_trailers() => BodyProgress::Complete,
                Ok(frame) if frame.data_ref().is_some_and(Bytes::is_empty) => continue,
                Ok(_) => BodyProgress::Partial,
                Err(_) => BodyProgress::BufferFull,
            };
            self.frames.push(frame);
            if progress != BodyProgress::Partial {
                return progress;
            }
        }
        BodyProgress::BufferFull
    }

    fn send(mut self, progress: BodyProgress) {
        if progress == BodyProgress::Complete {
            set_content_length(&mut self.head, &self.frames);
            self.head.extensions.insert(CompleteBody);
        }
        let body = StreamBody::new(stream::iter(self.frames).chain(self.rest));
        let response = Response::from_parts(self.head, body.boxed_unsync());
        // The client may be gone.
        let _ = self.sender.send(Ok(response));
    }
}

impl WakeFlag {
    /// Clears the flag, and has `task` woken when it is set.
    fn reset(&self, task: &Waker) {
        self.woken.store(false, Ordering::Relaxed);
        self.task.register(task);
    }

    fn was_woken(&self) -> bool {
        self.woken.load(Ordering::Relaxed)
    }
}

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
        self.task.wake();
    }
}

/// Sets the content-length of a body of one piece, unless the guest did. Without a body it stays
/// unset: the response may be to a HEAD.
fn set_content_length(head: &mut Parts, frames: &[Result<Frame<Bytes>, Error>]) {
    let [Ok(frame)] = frames else { return };
    if let Some(data) = frame.data_ref()
        && !has_no_body(head.status)
    {
        head.headers.entry(CONTENT_LENGTH).or_insert_with(|| data.len().into());
    }
}

#[cfg(test)]
mod tests;
