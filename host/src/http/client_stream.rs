//! The byte stream of a client's connection: whether writes are blocked by the client, and how each
//! of its two directions ends.
//!
//! A client may have sent its last byte and still wait for the response; and a client that gets an
//! error may still be sending its request. If the connection were closed in either case, data on
//! the way would be lost: the kernel answers bytes that come after a close with a reset, which
//! makes the client drop what it has not read yet (RFC 9112, section 9.6).

use std::{
    io::{self, IoSlice},
    mem::MaybeUninit,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    connection_slots::ConnectionState,
    limits::{HALF_CLOSED_TIMEOUT, LINGER, LINGER_CLOSING},
};

/// How many bytes are read and thrown away at a time.
const PIECE: usize = 8 << 10;

/// The bytes read from a client and written to it.
pub(super) struct ClientStream<S> {
    /// What was read of the stream before.
    first: Bytes,
    stream: S,
    connection: Arc<ConnectionState>,
    /// Whether the last write was blocked, as the connection's state has it.
    write_blocked: bool,
    /// Cancelled when the address is closed.
    closing: CancellationToken,
    /// Whether the client has sent its last byte.
    read_ended: bool,
    /// Whether the client may still be listening after its last byte.
    may_half_close: bool,
    /// How long a client that has sent its last byte is assumed to listen.
    half_closed_timer: Option<Pin<Box<Sleep>>>,
    /// How long input is still read after the host has sent its last byte.
    linger_timer: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl<S> ClientStream<S> {
    /// Wraps `stream`, of which `first` was read already; `connection` is told when writes are
    /// blocked.
    pub(super) fn new(
        stream: S,
        first: Bytes,
        connection: Arc<ConnectionState>,
        closing: CancellationToken,
    ) -> Self {
        Self {
            first,
            stream,
            connection,
            write_blocked: false,
            closing,
            read_ended: false,
            may_half_close: false,
            half_closed_timer: None,
            linger_timer: None,
        }
    }

    /// The client's end of input may come before the response to it. That is so for HTTP/1, where
    /// a client has nothing to send after a request.
    pub(super) fn allow_half_close(self) -> Self {
        Self { may_half_close: true, ..self }
    }

    fn note_blocked<T>(&mut self, written: &Poll<T>) {
        let blocked = written.is_pending();
        if blocked != self.write_blocked {
            self.write_blocked = blocked;
            self.connection.set_write_blocked(blocked);
        }
    }
}

impl<S: AsyncRead + Unpin> ClientStream<S> {
    /// Reads what was read before, together with what has come since: hyper sizes its next read by
    /// how full this one was, and with small reads it gives up on long requests too early.
    fn poll_read_first(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<()> {
        let length = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first.split_to(length));
        let before = buffer.filled().len();
        if buffer.remaining() > 0 && !self.read_ended {
            match Pin::new(&mut self.stream).poll_read(cx, buffer) {
                Poll::Ready(Ok(())) => self.read_ended = buffer.filled().len() == before,
                Poll::Ready(Err(_)) => self.read_ended = true,
                Poll::Pending => {}
            }
        }
        Poll::Ready(())
    }

    /// Reads and drops what the client sends, until its end or until the linger time is over. If
    /// nothing has come and the address is being closed, it does not wait.
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
        let timer = self.linger_timer.get_or_insert_with(|| Box::pin(linger(closing.clone())));
        timer.as_mut().poll(cx)
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
        if !this.first.is_empty() {
            return this.poll_read_first(cx, buffer).map(Ok);
        }
        if !this.read_ended {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))?;
            this.read_ended = buffer.filled().len() == before;
        }
        if this.read_ended && this.may_half_close && !this.connection.has_no_requests() {
            let timer =
                this.half_closed_timer.get_or_insert_with(|| Box::pin(sleep(HALF_CLOSED_TIMEOUT)));
            ready!(timer.as_mut().poll(cx));
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

    /// Ends the host's direction of the connection, and gives the client time to read what was
    /// sent.
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

    use super::super::connection_slots::ConnectionSlots;
    use super::*;

    /// A connection: the host's end, the client's end, and the token that closes the address.
    fn stream()
    -> (ClientStream<DuplexStream>, DuplexStream, CancellationToken, Arc<ConnectionState>) {
        let (near, far) = duplex(1 << 20);
        let slot = ConnectionSlots::for_control(4).acquire([127, 0, 0, 1].into()).unwrap();
        let (connection, closing) = (Arc::clone(slot.state()), CancellationToken::new());
        let stream =
            ClientStream::new(near, Bytes::new(), Arc::clone(&connection), closing.clone());
        (stream.allow_half_close(), far, closing, connection)
    }

    #[tokio::test]
    async fn what_was_read_before_comes_with_what_has_come_since() {
        let (near, mut far) = duplex(64);
        let slot = ConnectionSlots::for_control(4).acquire([127, 0, 0, 1].into()).unwrap();
        let connection = Arc::clone(slot.state());
        let first = Bytes::from_static(b"GET ");
        let mut stream = ClientStream::new(near, first, connection, CancellationToken::new());
        far.write_all(b"/ HTTP/1.1").await.unwrap();
        let mut buffer = [0; 64];
        assert_eq!(stream.read(&mut buffer[..2]).await.unwrap(), 2);
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 12);
        assert_eq!(&buffer[..12], b"T / HTTP/1.1");
        assert!(stream.read(&mut buffer).now_or_never().is_none());
        drop(far);
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_after_the_last_answer_is_taken_until_the_client_has_read_it() {
        let (mut stream, mut far, _closing, _connection) = stream();
        far.write_all(&[b'x'; 100_000]).await.unwrap();
        let mut shut = Box::pin(stream.shutdown());
        assert!(shut.as_mut().now_or_never().is_none(), "it does not wait");
        // The end of the host's direction was sent at once.
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
        far.write_all(&[b'x'; 100_000]).await.unwrap();
        assert!(shut.as_mut().now_or_never().is_none(), "it does not wait");
        drop(far);
        shut.now_or_never().expect("it waits on").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_goes_on_for_ever_is_hung_up_on() {
        let (mut stream, mut far, closing, _connection) = stream();
        let began = Instant::now();
        stream.shutdown().await.unwrap();
        assert!((LINGER..LINGER * 2).contains(&began.elapsed()), "{:?}", began.elapsed());
        far.write_all(b"x").await.unwrap();
        drop((stream, closing));

        let (mut stream, mut far, closing, _connection) = self::stream();
        far.write_all(b"x").await.unwrap();
        closing.cancel();
        let began = Instant::now();
        stream.shutdown().await.unwrap();
        let waited = began.elapsed();
        assert!((LINGER_CLOSING..LINGER).contains(&waited), "{waited:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_sends_nothing_holds_up_no_address() {
        let (mut stream, _far, closing, _connection) = stream();
        closing.cancel();
        stream.shutdown().now_or_never().expect("it waits").unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_said_all_may_listen_for_a_while() {
        let (mut stream, mut far, _closing, connection) = stream();
        far.shutdown().await.unwrap();
        let guard = connection.begin_request();
        assert!(stream.read(&mut [0]).now_or_never().is_none(), "the end comes at once");
        drop(guard);
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);

        let (mut stream, mut far, _closing, connection) = self::stream();
        far.shutdown().await.unwrap();
        let (_guard, began) = (connection.begin_request(), Instant::now());
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        assert!(began.elapsed() >= Duration::from_millis(900));
    }
}
