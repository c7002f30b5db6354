//! stdout and stderr of an instance, as lines of its action's log.
//!
//! A line longer than [`LINE_MAX`] is logged in pieces, and one without a newline when the instance
//! ends, so a guest cannot make the host hold more than that.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use super::{
    OutputTail,
    action_log::{ActionLog, LINE_MAX, StdStream},
};

/// One of the two standard streams of an instance. Clones share the line being written.
#[derive(Clone)]
pub(crate) struct LogStream(Arc<Mutex<LineWriter>>);

impl LogStream {
    /// A stream that writes to `log`.
    pub(crate) fn new(stream: StdStream, log: Arc<ActionLog>) -> Self {
        let line = LineWriter { stream, log, tail: None, text: Vec::new() };
        Self(Arc::new(Mutex::new(line)))
    }

    /// Copies the output to `tail` as well.
    pub(crate) fn with_tail(self, tail: Option<OutputTail>) -> Self {
        self.0.lock().tail = tail;
        self
    }

    fn push(&self, bytes: &[u8]) {
        self.0.lock().push(bytes);
    }
}

/// Collects the line being written.
struct LineWriter {
    stream: StdStream,
    log: Arc<ActionLog>,
    tail: Option<OutputTail>,
    text: Vec<u8>,
}

impl LineWriter {
    fn push(&mut self, bytes: &[u8]) {
        if let Some(tail) = &self.tail {
            tail.push(bytes);
        }
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(end) => {
                    self.extend(end);
                    self.flush_line();
                }
                None => self.extend(part),
            }
        }
    }

    fn extend(&mut self, mut bytes: &[u8]) {
        while let Some((piece, rest)) = bytes.split_at_checked(LINE_MAX - self.text.len()) {
            if rest.is_empty() {
                break;
            }
            self.text.extend_from_slice(piece);
            self.flush_line();
            bytes = rest;
        }
        self.text.extend_from_slice(bytes);
    }

    fn flush_line(&mut self) {
        self.log.log(self.stream, &self.text);
        self.text.clear();
    }
}

impl Drop for LineWriter {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            self.flush_line();
        }
    }
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }

    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(LINE_MAX)
    }
}

impl AsyncWrite for LogStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> {
        self.push(b);
        Poll::Ready(Ok(b.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tracing::{Event, Metadata, Subscriber, field::Field, span};

    use super::*;
    use crate::capability::test_gate;
    use soloist_heart::clock::BootTime;

    /// Collects the messages, each with its level.
    #[derive(Clone, Default)]
    struct Messages(Arc<Mutex<Vec<String>>>);

    impl Subscriber for Messages {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
            span::Id::from_u64(1)
        }
        fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
        fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
        fn enter(&self, _: &span::Id) {}
        fn exit(&self, _: &span::Id) {}
        fn event(&self, event: &Event<'_>) {
            let mut line = format!("{}:", event.metadata().level());
            event.record(&mut |field: &Field, value: &dyn std::fmt::Debug| {
                if field.name() == "message" {
                    line.push_str(&format!("{value:?}"));
                }
            });
            self.0.lock().push(line);
        }
    }

    fn lines_of(stream: StdStream, writes: &[&[u8]]) -> Vec<String> {
        lines_within(u64::MAX, stream, writes)
    }

    fn lines_within(log: u64, stream: StdStream, writes: &[&[u8]]) -> Vec<String> {
        let messages = Messages::default();
        tracing::subscriber::with_default(messages.clone(), || {
            let action_log = ActionLog::new("web".into(), test_gate(BootTime::NEVER), log);
            let log = LogStream::new(stream, action_log.into());
            writes.iter().for_each(|bytes| log.push(bytes));
        });
        Arc::into_inner(messages.0).unwrap().into_inner()
    }

    #[test]
    fn writes_become_lines() {
        let lines = lines_of(StdStream::Stdout, &[b"one\ntw", b"o\r\n", b"\nrest"]);
        assert_eq!(lines, ["INFO:one", "INFO:two", "INFO:", "INFO:rest"]);
        assert_eq!(lines_of(StdStream::Stderr, &[b"oh\n"]), ["WARN:oh"]);
    }

    #[test]
    fn what_exceeds_the_limit_is_counted() {
        let lines = lines_within(250, StdStream::Stdout, &[b"one\n", b"two\n", b"three\nfour\n"]);
        assert_eq!(lines[..2], ["INFO:one", "INFO:two"]);
        assert!(lines[2].starts_with("WARN:2 lines"), "{lines:?}");
        assert_eq!(lines.len(), 3);
    }

    #[test]
    fn a_line_is_bounded() {
        let endless = [b'x'; 3 * LINE_MAX + 1];
        let lines = lines_of(StdStream::Stdout, &[&endless]);
        let lengths: Vec<_> = lines.iter().map(|line| line.len() - "INFO:".len()).collect();
        assert_eq!(lengths, [LINE_MAX, LINE_MAX, LINE_MAX, 1]);
    }
}
