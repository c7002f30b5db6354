//! The log of an action: what its guests print, as events of the host's log.
//!
//! Every line is an event of its own with the target `plugin`. Lines beyond the rate limit of the
//! action (`max_log_rate` in its settings) are dropped and counted. The count is logged when the action may
//! print again, or when the term ends.

use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;

use super::{LogBuffer, log_rate_limiter::LogRateLimiter};
use soloist_heart::clock::BootTime;
use soloist_leadership::Gate;
use soloist_telemetry::measure;

/// The longest line, in bytes.
pub(super) const LINE_MAX: usize = 8 << 10;

/// The standard stream that a line was written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StdStream {
    /// Logged at `info`.
    Stdout,
    /// Logged at `warn`.
    Stderr,
}

/// The log of all instances of an action under one term.
#[derive(Debug)]
pub(crate) struct ActionLog {
    action: Arc<str>,
    gate: Arc<Gate>,
    rate_limiter: LogRateLimiter,
    /// Keeps the latest lines, if that is wanted.
    buffer: OnceLock<LogBuffer>,
    /// What a guest was denied last, until somebody takes it.
    denial: Mutex<Option<String>>,
}

impl ActionLog {
    /// The log of `action` under the term of `gate`, limited to `rate` bytes a second.
    pub(crate) fn new(action: Arc<str>, gate: Arc<Gate>, rate: u64) -> Self {
        let rate_limiter = LogRateLimiter::new(rate);
        Self { action, gate, rate_limiter, buffer: OnceLock::new(), denial: Mutex::default() }
    }

    /// Keeps what a guest was denied, and which setting would grant it.
    pub(super) fn note_denial(&self, denial: String) {
        *self.denial.lock() = Some(denial);
    }

    /// The last denial, unless it was taken already.
    pub(super) fn take_denial(&self) -> Option<String> {
        self.denial.lock().take()
    }

    /// Keeps the latest lines in `buffer` from now on.
    pub(super) fn set_buffer(&self, buffer: LogBuffer) {
        // It is set once.
        let _ = self.buffer.set(buffer);
    }

    /// Adds a message of the host about the action to the latest lines. The caller logs it itself.
    pub(super) fn add_host_line(&self, text: &str) {
        self.buffer_line("host", text);
    }

    fn buffer_line(&self, stream: &str, text: &str) {
        if let Some(buffer) = self.buffer.get() {
            buffer.push(self.gate.term(), stream, text);
        }
    }

    /// Logs a line that was written to one of the standard streams.
    pub(super) fn log(&self, stream: StdStream, text: &[u8]) {
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
        let (host, group, fencing_token) = (&term.host, &term.group, term.fencing_token.0);
        // The tracing macros take their level at compile time.
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(target: "plugin", %action, %host, %group, fencing_token, stream = level, "{text}")
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
        let (host, group, fencing_token) = (&term.host, &term.group, term.fencing_token.0);
        match stream {
            StdStream::Stdout => {
                tracing::info!(target: "plugin", %action, %host, %group, fencing_token, stream = "stdout", "{text}");
                self.buffer_line("stdout", text);
            }
            StdStream::Stderr => {
                tracing::warn!(target: "plugin", %action, %host, %group, fencing_token, stream = "stderr", "{text}");
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
                "{lines} lines of the plugin were dropped: it prints more in a second than `max_log_rate` in its settings lets it"
            );
            tracing::warn!(
                action = %name, host = %term.host, group = %term.group, fencing_token = term.fencing_token.0, lines,
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
