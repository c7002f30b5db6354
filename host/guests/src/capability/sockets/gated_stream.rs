//! Puts the gate in front of the streams of a connection.

use std::{mem, sync::Arc};

use bytes::Bytes;
use wasmtime_wasi::p2::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamError,
    StreamResult,
    pipe::{ClosedInputStream, ClosedOutputStream},
};

use soloist_leadership::Gate;

/// The most bytes that are passed to the kernel at once. Up to this much data written within a term
/// may wait in the host for room in the socket.
pub(super) const PIECE: usize = 8 << 10;

struct GatedStream<S> {
    stream: S,
    gate: Arc<Gate>,
}

/// Puts `gate` in front of `stream`.
pub(super) fn gate_input(stream: &mut DynInputStream, gate: &Arc<Gate>) {
    let inner = mem::replace(stream, Box::new(ClosedInputStream));
    *stream = Box::new(GatedStream { stream: inner, gate: gate.clone() });
}

/// Puts `gate` in front of `stream`.
pub(super) fn gate_output(stream: &mut DynOutputStream, gate: &Arc<Gate>) {
    let inner = mem::replace(stream, Box::new(ClosedOutputStream));
    *stream = Box::new(GatedStream { stream: inner, gate: gate.clone() });
}

impl<S> GatedStream<S> {
    fn pass(&self) -> StreamResult<()> {
        self.gate.pass().map_err(|shut| StreamError::LastOperationFailed(shut.into()))
    }
}

#[async_trait::async_trait]
impl Pollable for GatedStream<DynInputStream> {
    async fn ready(&mut self) {
        self.stream.ready().await;
    }
}

#[async_trait::async_trait]
impl Pollable for GatedStream<DynOutputStream> {
    async fn ready(&mut self) {
        self.stream.ready().await;
    }
}

#[async_trait::async_trait]
impl InputStream for GatedStream<DynInputStream> {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let bytes = self.stream.read(size)?;
        self.pass()?;
        Ok(bytes)
    }

    async fn cancel(&mut self) {
        self.stream.cancel().await;
    }
}

#[async_trait::async_trait]
impl OutputStream for GatedStream<DynOutputStream> {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.pass()?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.stream.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.pass()?;
        Ok(self.stream.check_write()?.min(PIECE))
    }

    async fn cancel(&mut self) {
        self.stream.cancel().await;
    }
}

#[cfg(test)]
mod tests {
    use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};

    use super::*;
    use crate::capability::test_gate;
    use soloist_heart::clock::BootTime;

    #[test]
    fn past_the_gate_nothing_is_written_or_read() {
        let gate = test_gate(BootTime::NEVER);
        let sink = MemoryOutputPipe::new(100_000);
        let mut output: DynOutputStream = Box::new(sink.clone());
        let mut input: DynInputStream = Box::new(MemoryInputPipe::new("come"));
        gate_output(&mut output, &gate);
        gate_input(&mut input, &gate);
        assert_eq!(output.check_write().unwrap(), PIECE);
        output.write("one".into()).unwrap();
        assert_eq!(input.read(2).unwrap(), "co");
        gate.close();
        assert!(output.write("two".into()).is_err() && output.check_write().is_err());
        assert!(input.read(2).is_err());
        assert_eq!(sink.contents(), "one");
    }
}
