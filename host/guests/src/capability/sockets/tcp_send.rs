//! Sends bytes of a WASI 0.3 guest to a connection, through the gate.
//!
//! wasmtime pipes the guest's stream into the socket itself. So a stream of ours is put in between,
//! which passes a piece on only while the gate is open. Data that a guest has begun to send then
//! does not leave after the term, even though no guest code runs any more.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc::{Receiver, channel};
use tokio_util::sync::PollSender;
use wasmtime::{
    AsContextMut, StoreContextMut,
    component::{
        Access, Destination, FutureReader, Linker, Resource, Source, StreamConsumer,
        StreamProducer, StreamReader, StreamResult,
    },
};
use wasmtime_wasi::{
    WasiView,
    p3::bindings::sockets::types::{ErrorCode, HostTcpSocketWithStore, TcpSocket},
    sockets::{WasiSockets, WasiSocketsView},
};

use super::{gated_stream::PIECE, view::SocketsView};
use crate::capability::replace::replace;
use soloist_leadership::Gate;

/// The interface of WASI 0.3, in wasmtime's version.
const TYPES: &str = "wasi:sockets/types@0.3.0";

type SendResult = FutureReader<Result<(), ErrorCode>>;

/// Reads what the guest writes, one piece ahead of the producer.
struct PieceConsumer(PollSender<Bytes>);

/// Passes the pieces on to the connection.
struct GatedProducer {
    pieces: Receiver<Bytes>,
    /// A piece that was read, but for which there was no room yet.
    next: Option<Bytes>,
    gate: Arc<Gate>,
}

/// Replaces the function that sends.
pub(super) fn add_to_linker<T: WasiView + 'static>(
    linker: &mut Linker<T>,
    view: fn(&mut T) -> SocketsView<'_>,
) -> wasmtime::Result<()> {
    replace(
        linker,
        TYPES,
        "[method]tcp-socket.send",
        move |mut store: StoreContextMut<'_, T>,
              (socket, data): (Resource<TcpSocket>, StreamReader<u8>)| {
            let gate = Arc::clone(view(store.data_mut()).access.gate());
            Ok((send(store, gate, socket, data)?,))
        },
    )
}

fn send<T: WasiView + 'static>(
    mut store: StoreContextMut<'_, T>,
    gate: Arc<Gate>,
    socket: Resource<TcpSocket>,
    data: StreamReader<u8>,
) -> wasmtime::Result<SendResult> {
    let (to, pieces) = channel(1);
    data.pipe(&mut store, PieceConsumer(PollSender::new(to)))?;
    let outlet = GatedProducer { pieces, next: None, gate };
    let gated = StreamReader::new(&mut store, outlet)?;
    let access = Access::<T, WasiSockets>::new(store, T::sockets);
    WasiSockets::send(access, socket, gated)
}

impl<D> StreamConsumer<D> for PieceConsumer {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.0.poll_reserve(cx) {
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
            // The connection accepts no more data.
            Poll::Ready(Err(_)) => return Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Ready(Ok(())) => {}
        }
        let mut source = source.as_direct(store);
        let all = source.remaining();
        // An empty write only asks whether there is room.
        if all.is_empty() {
            self.0.abort_send();
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let piece = Bytes::copy_from_slice(&all[..all.len().min(PIECE)]);
        source.mark_read(piece.len());
        let sent = self.0.send_item(piece);
        Poll::Ready(Ok(if sent.is_ok() { StreamResult::Completed } else { StreamResult::Dropped }))
    }
}

impl GatedProducer {
    /// The next piece, or `None` at the end. Once the gate is shut this stays pending, so that a
    /// stream which was cut off does not look complete.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let next = match self.next.take() {
            Some(next) => Some(next),
            None => ready!(self.pieces.poll_recv(cx)),
        };
        if self.gate.pass().is_err() { Poll::Pending } else { Poll::Ready(next) }
    }
}

impl<D> StreamProducer<D> for GatedProducer {
    type Item = u8;
    type Buffer = BytesMut;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut to: Destination<'a, u8, BytesMut>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match self.poll_next(cx) {
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Ready(Some(piece)) if to.remaining(store.as_context_mut()) == Some(0) => {
                self.next = Some(piece);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Some(piece)) => {
                to.set_buffer(BytesMut::from(piece));
                Poll::Ready(Ok(StreamResult::Completed))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::{future::poll_fn, poll};

    use super::*;
    use crate::capability::test_gate;
    use soloist_heart::clock::BootTime;

    #[tokio::test]
    async fn past_the_gate_no_piece_is_handed_out_and_no_end() {
        let gate = test_gate(BootTime::NEVER);
        let (to, pieces) = channel(1);
        let mut outlet = GatedProducer { pieces, next: None, gate: Arc::clone(&gate) };
        to.send(Bytes::from_static(b"one")).await.unwrap();
        assert_eq!(poll_fn(|cx| outlet.poll_next(cx)).await.as_deref(), Some(&b"one"[..]));
        to.send(Bytes::from_static(b"two")).await.unwrap();
        gate.close();
        assert!(poll!(poll_fn(|cx| outlet.poll_next(cx))).is_pending());
        drop(to);
        assert!(poll!(poll_fn(|cx| outlet.poll_next(cx))).is_pending());
    }
}
