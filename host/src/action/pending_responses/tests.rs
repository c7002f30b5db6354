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
fn answer(response: Response<WasiBody>, happens: fn(&PendingResponses)) -> Answer {
    let openings = PendingResponses::default();
    let (head, mut answer) = oneshot::channel();
    openings.add(response, head);
    assert!(answer.try_recv().is_err(), "it goes out at once");
    happens(&openings);
    answer.try_recv().ok()?.ok()
}

fn at_a_pause(response: Response<WasiBody>) -> Response<WasiBody> {
    answer(response, PendingResponses::flush_all).unwrap()
}

async fn text(response: Response<WasiBody>) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn a_whole_body_has_its_length() {
    let answer = at_a_pause(response(stream::iter([data(""), data("four"), data("")])));
    assert_eq!(answer.headers()[CONTENT_LENGTH], "4");
    assert_eq!(text(answer).await, "four");
}

#[tokio::test]
async fn what_the_guest_said_of_its_length_stays() {
    let mut head_alone = response(stream::empty());
    head_alone.headers_mut().insert(CONTENT_LENGTH, 7.into());
    assert_eq!(at_a_pause(head_alone).headers()[CONTENT_LENGTH], "7");
    for nothing in [vec![], vec![data("")]] {
        let answer = at_a_pause(response(stream::iter(nothing)));
        assert!(!answer.headers().contains_key(CONTENT_LENGTH), "it may be for HEAD");
    }
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
    for pieces in [vec!["", "all"], vec!["a", "l", "l"], vec!["al", "l"]] {
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
    let whole = answer(response(stream::iter([data("four")])), PendingResponses::flush_on_failure);
    let whole = whole.unwrap();
    assert!(whole.extensions().get::<CompleteBody>().is_some());
    assert_eq!(text(whole).await, "four");
    let ended = [data("four"), Ok(Frame::trailers(HeaderMap::new()))];
    assert!(answer(response(stream::iter(ended)), PendingResponses::flush_on_failure).is_some());
    let part = stream::iter([data("half")]).chain(stream::pending());
    assert!(answer(response(part), PendingResponses::flush_on_failure).is_none());
    let spoilt = stream::iter([data("half"), Err(Error::DnsTimeout)]);
    assert!(answer(response(spoilt), PendingResponses::flush_on_failure).is_none());
}

/// What a client gets of a guest that runs on and on.
async fn while_it_runs(
    openings: &PendingResponses,
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

/// Yields as wasmtime does before it goes on with a guest that has yielded.
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
    let openings = &PendingResponses::default();
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
    let openings = PendingResponses::default();
    let (head, answer) = oneshot::channel();
    let guest = async {
        openings.add(response(stream::pending()), head);
        loop {
            yields().await;
        }
    };
    while_it_runs(&openings, guest, answer).await;
}

#[tokio::test]
async fn a_guest_that_waits_for_its_turn_does_not_keep_the_head() {
    let openings = &PendingResponses::default();
    let (head, mut answer) = oneshot::channel();
    let guest = async {
        openings.add(response(stream::pending()), head);
        yields().await;
        wasmtime::error::Ok(())
    };
    let mut run = pin!(openings.run(guest));
    let mut steps = 0;
    // The second step has to wait.
    let paced = poll_fn(|cx| {
        steps += 1;
        if steps == 1 { run.as_mut().poll(cx).map(drop) } else { Poll::Pending }
    });
    let mut beside = pin!(openings.flush_while_paced(paced));
    let mut poll = || beside.as_mut().now_or_never();
    assert!(poll().is_none() && answer.try_recv().is_err(), "it goes out at once");
    assert!(poll().is_none() && answer.try_recv().is_ok(), "it waits");
}
