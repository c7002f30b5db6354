//! A connection that passes the gate at every read and write.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

use soloist_leadership::Gate;

/// A connection of one term.
pub(crate) struct GatedConnection {
    stream: TcpStream,
    gate: Arc<Gate>,
}

impl GatedConnection {
    pub(super) fn new(stream: TcpStream, gate: Arc<Gate>) -> Self {
        Self { stream, gate }
    }

    fn pass(&self) -> io::Result<()> {
        self.gate.pass().map_err(io::Error::other)
    }
}

impl Drop for GatedConnection {
    /// Resets the connection after the end of the term, so that the kernel does not send what it
    /// has buffered.
    fn drop(&mut self) {
        if self.gate.pass().is_err() {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl Connection for GatedConnection {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for GatedConnection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        Poll::Ready(self.pass())
    }
}

impl AsyncWrite for GatedConnection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.pass()?;
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.pass()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;
    use crate::capability::test_gate;
    use soloist_heart::clock::BootTime;

    async fn pair(gate: Arc<Gate>) -> (GatedConnection, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (GatedConnection::new(stream, gate), listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn past_the_gate_nothing_leaves_or_arrives() {
        let gate = test_gate(BootTime::NEVER);
        let (mut gated, mut peer) = pair(gate.clone()).await;
        gated.write_all(b"one").await.unwrap();
        peer.write_all(b"two").await.unwrap();
        gate.close();
        assert!(gated.write_all(b"three").await.is_err());
        assert!(gated.read_u8().await.is_err());
        drop(gated);
        let mut received = Vec::new();
        // The connection is reset, so the peer may not even see all that arrived.
        let _ = peer.read_to_end(&mut received).await;
        assert!(b"one".starts_with(&received), "{received:?}");
    }

    #[tokio::test]
    async fn the_clock_alone_shuts_it() {
        let (mut gated, _peer) = pair(test_gate(BootTime::now())).await;
        assert!(gated.write_all(b"late").await.is_err());
    }

    #[tokio::test]
    async fn what_the_kernel_holds_back_is_dropped_with_the_term() {
        let gate = test_gate(BootTime::NEVER);
        let (mut gated, mut peer) = pair(gate.clone()).await;
        let piece = vec![0; 1 << 20];
        let mut sent = 0;
        // Until the buffers on both sides are full.
        while let Ok(count) =
            tokio::time::timeout(Duration::from_millis(100), gated.write(&piece)).await
        {
            sent += count.unwrap();
        }
        gate.close();
        drop(gated);
        let mut received = Vec::new();
        let ended = peer.read_to_end(&mut received).await;
        assert!(ended.is_err() && received.len() < sent, "{} of {sent} bytes came", received.len());
    }
}
