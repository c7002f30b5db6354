//! How the responses of WASI 0.3 begin.
//!
//! Such a guest hands the head out first, and then the body piece by piece; but most
//! bodies are whole before the guest pauses. Those go out together with their head: in one
//! write instead of two, and with their length. No other waits for more than that pause:
//! until the guest waits for something, has computed for a tick, or waits for its turn to
//! compute.

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

use super::{
    body::{Whole, has_no_body},
    request::Head,
};
use soloist_heart::clock::BootTime;

/// A piece of a body, and the end or the trailers: the next piece comes when somebody has
/// taken the first.
const FRAMES: usize = 2;

/// The longest that a head is kept while its guest yields again and again.
const MOST: Duration = Duration::from_millis(1);

/// The responses of one instance that have begun and are not out yet.
#[derive(Default)]
pub(super) struct Openings {
    list: Mutex<VecDeque<Opening>>,
    /// Whether the instance has run since this was asked last.
    ran: AtomicBool,
}

/// One response, and what there is of its body.
struct Opening {
    to: Head,
    head: Parts,
    frames: Vec<Result<Frame<Bytes>, Error>>,
    rest: BodyStream<WasiBody>,
    begun: BootTime,
}

/// How far a body has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// The frames are all of it.
    Whole,
    /// No more comes before somebody takes them.
    Full,
    /// The guest is at it.
    Part,
}

/// The waker of a task, which notes whether it was used.
#[derive(Default)]
struct Bell {
    task: AtomicWaker,
    rung: AtomicBool,
}

impl Openings {
    /// Runs the instance, and lets its responses out at the right moments.
    pub(super) async fn run<T>(
        &self,
        instance: impl Future<Output = wasmtime::Result<T>>,
    ) -> wasmtime::Result<T> {
        let mut instance = pin!(instance);
        let bell = Arc::new(Bell::default());
        let waker = Waker::from(bell.clone());
        let run = poll_fn(|cx| {
            bell.mute(cx.waker());
            self.ran.store(true, Ordering::Relaxed);
            let ended = instance.as_mut().poll(&mut Context::from_waker(&waker));
            match &ended {
                Poll::Ready(Err(_)) => self.fail(),
                Poll::Pending if bell.has_rung() => self.pass(),
                Poll::Ready(Ok(_)) | Poll::Pending => self.pause(),
            }
            ended
        });
        run.await
    }

    /// Sees to it that none waits while its instance, which is `run` within `paced`, waits
    /// for its turn.
    pub(super) async fn beside<F: Future>(&self, paced: F) -> F::Output {
        let mut paced = pin!(paced);
        let beside = poll_fn(|cx| {
            let ended = paced.as_mut().poll(cx);
            if !self.ran.swap(false, Ordering::Relaxed) {
                self.pause();
            }
            ended
        });
        beside.await
    }

    /// Has a response go out, to a client that waits for its head.
    pub(super) fn add(&self, response: Response<WasiBody>, to: Head) {
        let (head, body) = response.into_parts();
        let rest = BodyStream::new(body);
        let begun = BootTime::now();
        self.list().push_back(Opening { to, head, frames: Vec::new(), rest, begun });
    }

    /// The guest has yielded, and goes on: lets out what is complete, one after the other.
    fn pass(&self) {
        let mut list = self.list();
        while let Some(first) = list.front_mut() {
            let sight = first.look();
            if sight == Sight::Part && BootTime::now().since(first.begun) < MOST {
                return;
            }
            if let Some(first) = list.pop_front() {
                first.send(sight);
            }
        }
    }

    /// The guest pauses: lets all of them out.
    fn pause(&self) {
        let all = mem::take(&mut *self.list());
        for mut opening in all {
            let sight = opening.look();
            opening.send(sight);
        }
    }

    /// The guest has failed: what is whole goes out. Clients of the others hear of the
    /// failure, instead of getting a part.
    fn fail(&self) {
        let all = mem::take(&mut *self.list());
        for mut opening in all {
            if opening.look() == Sight::Whole {
                opening.send(Sight::Whole);
            }
        }
    }

    fn list(&self) -> MutexGuard<'_, VecDeque<Opening>> {
        self.list.lock()
    }
}

impl Opening {
    /// Takes what there is of the body.
    fn look(&mut self) -> Sight {
        while self.frames.len() < FRAMES {
            // Whoever sends the body on asks again.
            let frame = match self.rest.poll_next_unpin(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Some(frame)) => frame,
                Poll::Ready(None) => return Sight::Whole,
                Poll::Pending => return Sight::Part,
            };
            let sight = match &frame {
                Ok(frame) if frame.is_trailers() => Sight::Whole,
                Ok(frame) if frame.data_ref().is_some_and(Bytes::is_empty) => continue,
                Ok(_) => Sight::Part,
                Err(_) => Sight::Full,
            };
            self.frames.push(frame);
            if sight != Sight::Part {
                return sight;
            }
        }
        Sight::Full
    }

    fn send(mut self, sight: Sight) {
        if sight == Sight::Whole {
            tell_length(&mut self.head, &self.frames);
            self.head.extensions.insert(Whole);
        }
        let body = StreamBody::new(stream::iter(self.frames).chain(self.rest));
        let response = Response::from_parts(self.head, body.boxed_unsync());
        // The client may have gone.
        let _ = self.to.send(Ok(response));
    }
}

impl Bell {
    /// It has not rung yet; when it does, `task` is woken.
    fn mute(&self, task: &Waker) {
        self.rung.store(false, Ordering::Relaxed);
        self.task.register(task);
    }

    fn has_rung(&self) -> bool {
        self.rung.load(Ordering::Relaxed)
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Relaxed);
        self.task.wake();
    }
}

/// Says how long a body is that consists of one piece, unless the guest has said so. Of no
/// body nothing is said: it may be the answer to HEAD.
fn tell_length(head: &mut Parts, frames: &[Result<Frame<Bytes>, Error>]) {
    let [Ok(frame)] = frames else { return };
    if let Some(data) = frame.data_ref()
        && !has_no_body(head.status)
    {
        head.headers.entry(CONTENT_LENGTH).or_insert_with(|| data.len().into());
    }
}

#[cfg(test)]
mod tests;
