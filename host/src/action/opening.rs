//! How the responses of WASI 0.3 begin.
//!
//! Such a guest hands the head out first, and then the body piece by piece; but most
//! bodies are whole before the guest pauses. Those go out together with their head: in one
//! write instead of two, and with their length. No other waits for more than that pause:
//! until the guest waits for something, or has computed for a while.

use std::{
    collections::VecDeque,
    future::poll_fn,
    mem,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
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
use wasmtime_wasi_http::{Error, WasiBody};

use super::{body::has_no_body, request::Head};
use crate::clock::BootTime;

/// A piece of a body, and the end or the trailers: the next piece comes when somebody has
/// taken the first.
const FRAMES: usize = 2;

/// The longest that a head is kept while its guest yields again and again.
const MOST: Duration = Duration::from_millis(1);

/// The responses of one instance that have begun and are not out yet.
#[derive(Default)]
pub(super) struct Openings(Mutex<VecDeque<Opening>>);

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
            list.pop_front().into_iter().for_each(|opening| opening.send(sight));
        }
    }

    /// The guest pauses: lets all of them out.
    fn pause(&self) {
        for mut opening in mem::take(&mut *self.list()) {
            let sight = opening.look();
            opening.send(sight);
        }
    }

    /// The guest has failed: what is whole goes out. Clients of the others hear of the
    /// failure, instead of getting a part.
    fn fail(&self) {
        for mut opening in mem::take(&mut *self.list()) {
            if opening.look() == Sight::Whole {
                opening.send(Sight::Whole);
            }
        }
    }

    fn list(&self) -> MutexGuard<'_, VecDeque<Opening>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opening {
    /// Takes what there is of the body.
    fn look(&mut self) -> Sight {
        while self.frames.len() < FRAMES {
            // Whoever sends the body on asks again.
            match self.rest.poll_next_unpin(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Some(Ok(frame))) => self.frames.push(Ok(frame)),
                Poll::Ready(Some(Err(error))) => {
                    self.frames.push(Err(error));
                    return Sight::Full;
                }
                Poll::Ready(None) => return Sight::Whole,
                Poll::Pending => return Sight::Part,
            }
        }
        Sight::Full
    }

    fn send(mut self, sight: Sight) {
        if sight == Sight::Whole {
            tell_length(&mut self.head, &self.frames);
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
mod tests {
    use std::future::pending;

    use ::http::{HeaderMap, StatusCode};
    use futures::{FutureExt, Stream, channel::mpsc};
    use tokio::{sync::oneshot, time::timeout};

    use super::*;

    type Piece = Result<Frame<Bytes>, Error>;
    type Answer = Option<Response<WasiBody>>;

    fn data(text: &'static str) -> Piece {
        Ok(Frame::data(text.into()))
    }

    fn response(body: impl Stream<Item = Piece> + Send + 'static) -> Response<WasiBody> {
        Response::new(StreamBody::new(body).boxed_unsync())
    }

    /// What a client gets when `happens`.
    fn answer(response: Response<WasiBody>, happens: fn(&Openings)) -> Answer {
        let openings = Openings::default();
        let (head, mut answer) = oneshot::channel();
        openings.add(response, head);
        assert!(answer.try_recv().is_err(), "it goes out at once");
        happens(&openings);
        answer.try_recv().ok()?.ok()
    }

    fn at_a_pause(response: Response<WasiBody>) -> Response<WasiBody> {
        answer(response, Openings::pause).unwrap()
    }

    async fn text(response: Response<WasiBody>) -> Bytes {
        response.into_body().collect().await.unwrap().to_bytes()
    }

    #[tokio::test]
    async fn a_whole_body_has_its_length() {
        let answer = at_a_pause(response(stream::iter([data("four")])));
        assert_eq!(answer.headers()[CONTENT_LENGTH], "4");
        assert_eq!(text(answer).await, "four");
    }

    #[tokio::test]
    async fn what_the_guest_said_of_its_length_stays() {
        let mut head_alone = response(stream::empty());
        head_alone.headers_mut().insert(CONTENT_LENGTH, 7.into());
        assert_eq!(at_a_pause(head_alone).headers()[CONTENT_LENGTH], "7");
        assert!(!at_a_pause(response(stream::empty())).headers().contains_key(CONTENT_LENGTH));
        let mut not_modified = response(stream::iter([data("four")]));
        *not_modified.status_mut() = StatusCode::NOT_MODIFIED;
        assert!(!at_a_pause(not_modified).headers().contains_key(CONTENT_LENGTH));
    }

    #[test]
    fn no_head_waits_for_what_comes_after_a_pause() {
        let nothing = at_a_pause(response(stream::pending()));
        assert!(!nothing.headers().contains_key(CONTENT_LENGTH));
        let begun = stream::iter([data("one")]).chain(stream::pending());
        let mut begun = at_a_pause(response(begun));
        assert!(!begun.headers().contains_key(CONTENT_LENGTH));
        let first = begun.body_mut().frame().now_or_never().flatten().unwrap().unwrap();
        assert_eq!(first.into_data().unwrap(), "one");
    }

    #[tokio::test]
    async fn nothing_of_a_body_is_lost() {
        let trailers = || Ok(Frame::trailers(HeaderMap::new()));
        for pieces in [vec!["all"], vec!["a", "l", "l"], vec!["al", "l"]] {
            let frames: Vec<_> = pieces.into_iter().map(data).chain([trailers()]).collect();
            let answer = at_a_pause(response(stream::iter(frames)));
            assert!(!answer.headers().contains_key(CONTENT_LENGTH), "its end is the trailers");
            let body = answer.into_body().collect().await.unwrap();
            assert!(body.trailers().is_some());
            assert_eq!(body.to_bytes(), "all");
        }
    }

    #[tokio::test]
    async fn a_guest_that_fails_leaves_only_what_is_whole() {
        let whole = answer(response(stream::iter([data("four")])), Openings::fail);
        assert_eq!(text(whole.unwrap()).await, "four");
        let part = stream::iter([data("half")]).chain(stream::pending());
        assert!(answer(response(part), Openings::fail).is_none());
        let spoilt = stream::iter([data("half"), Err(Error::DnsTimeout)]);
        assert!(answer(response(spoilt), Openings::fail).is_none());
    }

    /// What a client gets of a guest that runs on and on.
    async fn while_it_runs(
        openings: &Openings,
        guest: impl Future<Output = wasmtime::Result<()>>,
        answer: oneshot::Receiver<Result<Response<WasiBody>, String>>,
    ) -> Response<WasiBody> {
        let answered = async {
            tokio::select! {
                _ = openings.run(guest) => panic!("the guest ends"),
                answer = answer => answer.unwrap().unwrap(),
            }
        };
        timeout(Duration::from_secs(10), answered).await.expect("an answer")
    }

    /// As wasmtime does before it goes on with a guest that has yielded.
    async fn yields() {
        let mut before = false;
        let once = poll_fn(|cx| {
            if mem::replace(&mut before, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        once.await;
    }

    #[tokio::test]
    async fn a_guest_that_yields_comes_to_the_end() {
        let openings = &Openings::default();
        let (head, answer) = oneshot::channel();
        let (body, pieces) = mpsc::unbounded();
        let guest = async move {
            openings.add(response(pieces), head);
            yields().await;
            body.unbounded_send(data("four")).unwrap();
            yields().await;
            drop(body);
            yields().await;
            pending().await
        };
        let answer = while_it_runs(openings, guest, answer).await;
        assert_eq!(answer.headers()[CONTENT_LENGTH], "4");
    }

    #[tokio::test]
    async fn a_guest_that_computes_does_not_keep_the_head() {
        let openings = Openings::default();
        let (head, answer) = oneshot::channel();
        let guest = async {
            openings.add(response(stream::pending()), head);
            loop {
                yields().await;
            }
        };
        while_it_runs(&openings, guest, answer).await;
    }
}
