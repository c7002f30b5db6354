//! The body of a request as it comes in: readable once, or kept so that it can be read again.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use ::http::HeaderMap;
use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use parking_lot::{Mutex, MutexGuard};

use soloist_resources::budget::{Account, Charge};

/// The memory that a piece takes in addition to its bytes, in bytes.
const PIECE_OVERHEAD: usize = 256;
/// The most pieces that are kept: a body may come byte by byte.
const PIECES_MAX: usize = 1024;

/// The body of a request.
pub(crate) enum RequestBody {
    /// Comes from the client, and can be read once.
    Streaming(Incoming),
    /// What was read of it is kept.
    Replay(ReplayReader),
    /// There is no body.
    Empty,
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Streaming(body) => Pin::new(body).poll_frame(cx),
            Self::Replay(body) => Pin::new(body).poll_frame(cx),
            Self::Empty => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Streaming(body) => body.is_end_stream(),
            Self::Replay(body) => body.is_end_stream(),
            Self::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Streaming(body) => body.size_hint(),
            Self::Replay(body) => body.size_hint(),
            Self::Empty => SizeHint::with_exact(0),
        }
    }
}

/// A body whose first bytes are kept. As long as it is not longer than that, it can be read again
/// from its start.
pub(crate) struct ReplayableBody<B = Incoming>(Arc<Mutex<ReplaySource<B>>>);

/// Reads a [`ReplayableBody`] from its start. Once there is a later reader, this one never yields
/// anything again: half a body must not look like a whole one.
pub(crate) struct ReplayReader<B = Incoming> {
    source: Arc<Mutex<ReplaySource<B>>>,
    number: usize,
    /// How many pieces it has read.
    position: usize,
}

struct ReplaySource<B> {
    inner: B,
    pieces: Vec<BodyPiece>,
    charge: Charge,
    /// How many more bytes may be kept; `None` once that was exceeded.
    room: Option<usize>,
    /// The number of the latest reader.
    latest_reader: usize,
    ended: bool,
    /// Whether reading it from the client failed.
    failed: bool,
}

#[derive(Clone)]
enum BodyPiece {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl BodyPiece {
    fn frame(self) -> Frame<Bytes> {
        match self {
            Self::Data(data) => Frame::data(data),
            Self::Trailers(trailers) => Frame::trailers(trailers),
        }
    }

    fn length(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Trailers(_) => 0,
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> ReplayableBody<B> {
    /// Keeps up to `room` bytes of `inner`, charged to `account`.
    pub(crate) fn new(inner: B, room: usize, account: &Account) -> Self {
        let (pieces, charge, room) = (Vec::new(), account.empty_charge(), Some(room));
        let (latest, over, bad) = (0, false, false);
        Self(Arc::new(Mutex::new(ReplaySource {
            inner,
            pieces,
            charge,
            room,
            latest_reader: latest,
            ended: over,
            failed: bad,
        })))
    }

    /// Reads it from its start; earlier readers stop. Check [`is_replayable`](Self::is_replayable)
    /// first.
    pub(crate) fn read(&self) -> ReplayReader<B> {
        let mut source = lock(&self.0);
        source.latest_reader += 1;
        ReplayReader { source: Arc::clone(&self.0), number: source.latest_reader, position: 0 }
    }

    /// Whether it can be read from its start.
    pub(crate) fn is_replayable(&self) -> bool {
        lock(&self.0).room.is_some()
    }

    /// Whether it broke off or was not sent as HTTP requires, which is the client's fault.
    pub(crate) fn has_failed(&self) -> bool {
        lock(&self.0).failed
    }

    /// Reads what comes, to the end or as far as it is kept. A client that is refused before it has
    /// sent everything may not read the refusal.
    pub(crate) async fn buffer(&self) {
        let mut reading = self.read();
        while self.is_replayable() {
            match poll_fn(|cx| Pin::new(&mut reading).poll_frame(cx)).await {
                Some(Ok(_)) => {}
                None | Some(Err(_)) => return,
            }
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> ReplaySource<B> {
    fn pull(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
            Some(Ok(frame)) => Poll::Ready(Some(Ok(self.keep_frame(frame)))),
            Some(Err(error)) => {
                self.failed = true;
                Poll::Ready(Some(Err(error)))
            }
            None => {
                self.ended = true;
                Poll::Ready(None)
            }
        }
    }

    fn keep_frame(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        let Some(room) = self.room else { return frame };
        let length = frame.data_ref().map_or(0, Buf::remaining);
        self.room = room.checked_sub(length);
        let few = self.pieces.len() < PIECES_MAX;
        if self.room.is_none() || !few || !self.charge.try_grow((length + PIECE_OVERHEAD) as u64) {
            self.room = None;
            self.pieces = Vec::new();
            self.charge.shrink_to(0);
            return frame;
        }
        let piece = match frame.into_data() {
            Ok(data) => BodyPiece::Data(data),
            Err(frame) => BodyPiece::Trailers(frame.into_trailers().unwrap_or_default()),
        };
        self.pieces.push(piece.clone());
        piece.frame()
    }

    fn unread(&self, at: usize) -> &[BodyPiece] {
        self.pieces.get(at..).unwrap_or_default()
    }
}

fn lock<B>(source: &Mutex<ReplaySource<B>>) -> MutexGuard<'_, ReplaySource<B>> {
    source.lock()
}

impl<B: Body<Data = Bytes> + Unpin> Body for ReplayReader<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        let mut source = lock(&this.source);
        if source.latest_reader != this.number {
            return Poll::Pending;
        }
        if let Some(piece) = source.unread(this.position).first() {
            let frame = piece.clone().frame();
            this.position += 1;
            return Poll::Ready(Some(Ok(frame)));
        }
        if source.ended {
            return Poll::Ready(None);
        }
        let pulled = ready!(source.pull(cx));
        this.position += 1;
        Poll::Ready(pulled)
    }

    fn is_end_stream(&self) -> bool {
        let source = lock(&self.source);
        let current =
            source.latest_reader == self.number && source.unread(self.position).is_empty();
        current && (source.ended || source.inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let source = lock(&self.source);
        let kept: usize = source.unread(self.position).iter().map(BodyPiece::length).sum();
        let (kept, rest) = (kept as u64, source.inner.size_hint());
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(kept));
        if let Some(upper) = rest.upper().and_then(|upper| upper.checked_add(kept)) {
            hint.set_upper(upper);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, stream};
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    fn account() -> Account {
        Account::alone(&"web".into())
    }

    type Pieces = StreamBody<stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, hyper::Error>>>>;

    fn body(pieces: &[&'static str]) -> Pieces {
        let mut frames: Vec<_> = pieces
            .iter()
            .map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes()))))
            .collect();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", 1.into());
        frames.push(Ok(Frame::trailers(trailers)));
        StreamBody::new(stream::iter(frames))
    }

    #[tokio::test]
    async fn what_was_kept_is_read_again_with_its_trailers() {
        let kept = ReplayableBody::new(body(&["one", "two"]), 6, &account());
        let mut first = kept.read();
        first.frame().await.unwrap().unwrap();
        let second = kept.read();
        assert!(first.frame().now_or_never().is_none(), "an earlier reading goes on");
        assert!(kept.is_replayable());
        let all = second.collect().await.unwrap();
        assert!(all.trailers().is_some_and(|trailers| trailers.contains_key("x-sum")));
        assert_eq!(all.to_bytes(), "onetwo");
        let third = kept.read();
        assert_eq!(third.size_hint().lower(), 6);
        assert_eq!(third.collect().await.unwrap().to_bytes(), "onetwo");
    }

    #[tokio::test]
    async fn what_was_too_much_passes_and_is_not_whole_any_more() {
        let kept = ReplayableBody::new(body(&["one", "two", "three"]), 5, &account());
        assert_eq!(kept.read().collect().await.unwrap().to_bytes(), "onetwothree");
        assert!(!kept.is_replayable());
    }

    #[tokio::test]
    async fn what_there_is_no_room_for_passes_as_well() {
        let account = account();
        let other = account.charge(256 << 20).unwrap();
        let kept = ReplayableBody::new(body(&["one", "two"]), 6, &account);
        assert_eq!(kept.read().collect().await.unwrap().to_bytes(), "onetwo");
        assert!(!kept.is_replayable());
        drop(other);
        let kept = ReplayableBody::new(body(&["one", "two"]), 6, &account);
        assert_eq!(kept.read().collect().await.unwrap().to_bytes(), "onetwo");
        assert!(kept.is_replayable());
    }

    #[tokio::test]
    async fn what_comes_byte_by_byte_is_not_kept_for_ever() {
        for (pieces, whole) in [(PIECES_MAX - 1, true), (PIECES_MAX, false)] {
            let kept = ReplayableBody::new(body(&vec!["x"; pieces]), 64 << 10, &account());
            assert_eq!(kept.read().collect().await.unwrap().to_bytes().len(), pieces);
            assert_eq!(kept.is_replayable(), whole, "{pieces} and the trailers");
        }
    }
}
