//! What guests print, as log lines: stdout at `info`, stderr at `warn`, and `wasi:logging` messages
//! at their own level.
//!
//! Every line is an event of its own with the target `plugin`. A line longer than [`LINE_MAX`] is
//! logged in pieces, and one without a newline when the instance ends, so a guest cannot make the
//! host hold more than that. Lines beyond the rate limit of the action (`log` in its settings) are
//! dropped and counted. The count is logged when the action may print again, or when the term ends.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::io::AsyncWrite;
use wasmtime_wasi::{
    cli::{IsTerminal, StdoutStream},
    p2::{OutputStream, Pollable, StreamResult},
};

use super::{LogBuffer, OutputTail, log_rate_limiter::LogRateLimiter};
use soloist_heart::clock::BootTime;
use soloist_leadership::Gate;
use soloist_telemetry::measure;

/// The longest line, in bytes.
const LINE_MAX: usize = 8 << 10;

/// The standard stream that a line was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StdStream {
    /// Logged at `info`.
    Stdout,
    /// Logged at `warn`.
    Stderr,
}

/// One of the two standard streams of an instance. Clones share the line being written.
#[derive(Clone)]
pub(crate) struct LogStream(Arc<Mutex<LineWriter>>);

impl LogStream {
    /// A stream that writes to `log`.
    pub(crate) fn new(stream: StdStream, console: Arc<ActionLog>) -> Self {
        let line = LineWriter { stream, log: console, tail: None, text: Vec::new() };
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

/// The log of all instances of an action under one term.
#[derive(Debug)]
pub(crate) struct ActionLog {
    action: Arc<str>,
    gate: Arc<Gate>,
    rate_limiter: LogRateLimiter,
    /// Keeps the latest lines, if that is wanted.
    buffer: OnceLock<LogBuffer>,
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

impl ActionLog {
    /// The log of `action` under the term of `gate`, limited to `rate` bytes a second.
    pub(crate) fn new(action: Arc<str>, gate: Arc<Gate>, rate: u64) -> Self {
        Self { action, gate, rate_limiter: LogRateLimiter::new(rate), buffer: OnceLock::new() }
    }

    /// Keeps the latest lines in `buffer` from now on.
    pub(super) fn set_buffer(&self, shelf: LogBuffer) {
        // It is set once.
        let _ = self.buffer.set(shelf);
    }

    /// Adds a message of the host about the action to the latest lines. The caller logs it itself.
    pub(super) fn add_host_line(&self, text: &str) {
        self.buffer_line("host", text);
    }

    fn buffer_line(&self, stream: &str, text: &str) {
        if let Some(shelf) = self.buffer.get() {
            shelf.put(self.gate.term(), stream, text);
        }
    }

    fn log(&self, stream: StdStream, text: &[u8]) {
        if let Some(dropped) = self.rate_limiter.admit(text.len(), BootTime::now()) {
            self.report_dropped(dropped);
            self.print(stream, text);
        }
    }

    /// Logs a `wasi:logging` message, one event for each of its lines. Each line is cut off at
    /// [`LINE_MAX`].
    pub(super) fn log_at_level(&self, level: &'static str, text: &str) {
        for line in text.trim_end_matches('\n').split('\n') {
            let end = line.floor_char_boundary(LINE_MAX);
            let line = line[..end].trim_end_matches('\r');
            if let Some(dropped) = self.rate_limiter.admit(line.len(), BootTime::now()) {
                self.report_dropped(dropped);
                self.print_at(level, line);
            }
        }
    }

    fn print_at(&self, level: &'static str, text: &str) {
        let (action, term) = (&self.action, self.gate.term());
        let (host, group, token) = (&term.host, &term.group, term.token.0);
        // The tracing macros take their level at compile time.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(target: "plugin", %action, %host, %group, token, stream = level, "{text}")
            };
        }
        match level {
            "trace" => line!(trace),
            "debug" => line!(debug),
            "info" => line!(info),
            "warn" => line!(warn),
            _ => line!(error),
        }
        self.buffer_line(level, text);
    }

    fn print(&self, stream: StdStream, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        let text = text.trim_end_matches('\r');
        let (action, term) = (&self.action, self.gate.term());
        let (host, group, token) = (&term.host, &term.group, term.token.0);
        match stream {
            StdStream::Stdout => {
                tracing::info!(target: "plugin", %action, %host, %group, token, stream = "stdout", "{text}");
                self.buffer_line("stdout", text);
            }
            StdStream::Stderr => {
                tracing::warn!(target: "plugin", %action, %host, %group, token, stream = "stderr", "{text}");
                self.buffer_line("stderr", text);
            }
        }
    }

    /// Logs how many lines were dropped, if any were.
    fn report_dropped(&self, lines: u64) {
        if lines > 0 {
            let (name, term) = (&self.action, self.gate.term());
            measure::lines_dropped(name, lines);
            let what = format!(
                "{lines} lines of the plugin were dropped: it prints more in a second than `log` in [action.{name}] lets it"
            );
            tracing::warn!(
                action = %name, host = %term.host, group = %term.group, token = term.token.0, lines,
                "{what}",
            );
            self.add_host_line(&what);
        }
    }
}

impl Drop for ActionLog {
    fn drop(&mut self) {
        self.report_dropped(self.rate_limiter.take_dropped());
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
            let console = ActionLog::new("web".into(), test_gate(BootTime::NEVER), log);
            let log = LogStream::new(stream, console.into());
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
