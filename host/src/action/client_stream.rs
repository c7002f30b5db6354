//! The bytes of a connection: whether something waits for the client to take it, and how its two
//! ends are reached.
//!
//! A client may have sent its last byte and still listen; and one that is told something may
//! still be sending. A connection that was closed under either would take with it what is on the
//! way: the kernel answers what comes after that by a reset, which drops what the client has not
//! read (RFC 9112, section 9.6).

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    connection_slots::ConnectionState,
    limits::{HALF_CLOSED, LINGER, LINGER_CLOSING},
};

/// How much is taken at once of what nobody reads.
const PIECE: usize = 8 << 10;

/// What is read from a client and written to it.
pub(super) struct ClientStream<S> {
    stream: S,
    connection: Arc<ConnectionState>,
    /// As the seat was told.
    write_blocked: bool,
    /// Told when the address is let go.
    closing: CancellationToken,
    /// Whether the client has sent its last byte.
    read_ended: bool,
    /// Whether the client may listen after that.
    may_half_close: bool,
    /// For how long it is taken for one that does.
    half_closed_timer: Option<Pin<Box<Sleep>>>,
    /// For how long what comes after our own last byte is taken.
    linger_timer: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<S> ClientStream<S> {
    /// The bytes of `stream`, for the connection in `seat`.
    pub(super) fn new(
        stream: S,
        connection: Arc<ConnectionState>,
        closing: CancellationToken,
    ) -> Self {
        let (write_blocked, read_ended, may_half_close) = (false, false, false);
        let (half_closed_timer, linger_timer) = (None, None);
        Self {
            stream,
            connection,
            write_blocked,
            closing,
            read_ended,
            may_half_close,
            half_closed_timer,
            linger_timer,
        }
    }

    /// Whether the end of what a client sends may come before the answer to it: only HTTP/1 has
    /// nothing to say after a request.
    pub(super) fn allow_half_close(self, half_closing: bool) -> Self {
        Self { may_half_close: half_closing, ..self }
    }

    fn note_blocked<T>(&mut self, written: &Poll<T>) {
        let stuck = written.is_pending();
        if stuck != self.write_blocked {
            self.write_blocked = stuck;
            self.connection.set_write_blocked(stuck);
        }
    }
}

impl<S: AsyncRead + Unpin> ClientStream<S> {
    /// Takes what comes and leaves it, until the client has sent all, or for so long. Where
    /// nothing has come, an address that is let go waits for nobody.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut piece = [MaybeUninit::uninit(); PIECE];
        let mut came = false;
        while !self.read_ended {
            let mut piece = ReadBuf::uninit(&mut piece);
            match Pin::new(&mut self.stream).poll_read(cx, &mut piece) {
                Poll::Pending => break,
                Poll::Ready(read) => self.read_ended = read.is_err() || piece.filled().is_empty(),
            }
            came = true;
        }
        if self.read_ended || (!came && self.linger_timer.is_none() && self.closing.is_cancelled())
        {
            return Poll::Ready(());
        }
        let closing = &self.closing;
        let lingers = self.linger_timer.get_or_insert_with(|| Box::pin(linger(closing.clone())));
        lingers.as_mut().poll(cx)
    }
}

async fn linger(closing: CancellationToken) {
    tokio::select! {
        () = sleep(LINGER) => {}
        () = async { closing.cancelled().await; sleep(LINGER_CLOSING).await } => {}
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if !this.read_ended {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
            this.read_ended = buffer.filled().len() == before;
        }
        if this.read_ended && this.may_half_close && !this.connection.has_no_requests() {
            let listens =
                this.half_closed_timer.get_or_insert_with(|| Box::pin(sleep(HALF_CLOSED)));
            ready!(listens.as_mut().poll(cx));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.note_blocked(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bytes);
        self.note_blocked(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.note_blocked(&flushed);
        flushed
    }

    /// Says that nothing more is sent, and lets the client come to read that.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.linger_timer.is_none() {
            ready!(Pin::new(&mut this.stream).poll_shutdown(cx))?;
        }
        if this.connection.is_upgraded() {
            return Poll::Ready(Ok(()));
        }
        this.poll_linger(cx).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures::FutureExt;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
        time::Instant,
    };

    use super::{super::connection_slots::ConnectionSlots, *};

    /// A connection: its near end, its far end, and its address as it is let go.
    fn wire() -> (ClientStream<DuplexStream>, DuplexStream, CancellationToken, Arc<ConnectionState>)
    {
        let (near, far) = duplex(1 << 20);
        let place = ConnectionSlots::for_control(4).acquire([127, 0, 0, 1].into()).unwrap();
        let (seat, closing) = (Arc::clone(place.state()), CancellationToken::new());
        let wire = ClientStream::new(near, Arc::clone(&seat), closing.clone());
        (wire.allow_half_close(true), far, closing, seat)
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_after_the_last_answer_is_taken_until_the_client_has_read_it() {
        let (mut wire, mut far, _closing, _seat) = wire();
        far.write_all(&[b'x'; 100_000]).await.unwrap();
        let mut shut = Box::pin(wire.shutdown());
        assert!(shut.as_mut().now_or_never().is_none(), "it does not wait");
        // The end was said at once.
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
        far.write_all(&[b'x'; 100_000]).await.unwrap();
        assert!(shut.as_mut().now_or_never().is_none(), "it does not wait");
        drop(far);
        shut.now_or_never().expect("it waits on").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_on_for_ever_is_hung_up_on() {
        let (mut wire, mut far, closing, _seat) = wire();
        let began = Instant::now();
        wire.shutdown().await.unwrap();
        assert!((LINGER..LINGER * 2).contains(&began.elapsed()), "{:?}", began.elapsed());
        far.write_all(b"x").await.unwrap();
        drop((wire, closing));

        let (mut wire, mut far, closing, _seat) = self::wire();
        far.write_all(b"x").await.unwrap();
        closing.cancel();
        let began = Instant::now();
        wire.shutdown().await.unwrap();
        let waited = began.elapsed();
        assert!((LINGER_CLOSING..LINGER).contains(&waited), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_nothing_holds_up_no_address() {
        let (mut wire, _far, closing, _seat) = wire();
        closing.cancel();
        wire.shutdown().now_or_never().expect("it waits").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_said_all_may_listen_for_a_while() {
        let (mut wire, mut far, _closing, seat) = wire();
        far.shutdown().await.unwrap();
        let visit = seat.begin_request();
        assert!(wire.read(&mut [0]).now_or_never().is_none(), "the end comes at once");
        drop(visit);
        assert_eq!(wire.read(&mut [0]).await.unwrap(), 0);

        let (mut wire, mut far, _closing, seat) = self::wire();
        far.shutdown().await.unwrap();
        let (_visit, began) = (seat.begin_request(), Instant::now());
        assert_eq!(wire.read(&mut [0]).await.unwrap(), 0);
        assert!(began.elapsed() >= Duration::from_millis(900));
    }
}
