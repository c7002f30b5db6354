//! The latest lines that guests have printed, for people to read.
//!
//! Invariant: the memory is bounded, by lines and bytes per action and by the number of actions. An
//! action cannot push out the lines of another.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
};

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use soloist_heart::{Term, clock::unix_ms};
use soloist_text::{rfc3339, sanitize};

/// The most lines kept per action.
pub const LINES_MAX: usize = 1000;
/// The most bytes kept per action; each line counts [`LINE_COST`] in addition to its text.
const BYTES_MAX: usize = 256 << 10;
/// What a line costs in addition to its text, in bytes.
const LINE_COST: usize = 100;
/// The most actions with lines. A further one replaces the action that printed longest ago.
const ACTIONS_MAX: usize = 256;

/// A line that an action printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// Its number: they count up from the start of the host process.
    pub id: u64,
    /// When it was printed, by the wall clock: RFC 3339 in UTC.
    pub time: String,
    /// The action that printed it.
    pub action: Arc<str>,
    /// The host that ran the action.
    pub host: Arc<str>,
    /// The group of the action.
    pub group: String,
    /// The fencing token of the term. `None` outside of a term.
    pub fencing_token: Option<i64>,
    /// `stdout`, `stderr`, the level of a `wasi:logging` message, or `host` for a message of the
    /// host about the action.
    pub stream: String,
    /// The line, without its newline.
    pub text: String,
}

impl fmt::Display for LogLine {
    /// For people. Control characters are escaped, so that a plugin cannot control their terminal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fencing_token = self
            .fencing_token
            .map_or_else(|| "–".to_owned(), |fencing_token| fencing_token.to_string());
        let Self { time, host, stream, text, .. } = self;
        write!(f, "{}", sanitize(&format!("{time} {host} {fencing_token} {stream} | {text}")))
    }
}

/// The buffers of all actions of a host. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct LogBuffers(Arc<Mutex<BTreeMap<Arc<str>, LogBuffer>>>);

/// The latest lines of one action. Clones share them.
#[derive(Clone, Debug)]
pub struct LogBuffer {
    action: Arc<str>,
    lines: Arc<Mutex<BufferedLines>>,
    /// The number of the latest line.
    latest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct BufferedLines {
    lines: VecDeque<Arc<LogLine>>,
    bytes: usize,
    /// When the latest line was printed, in milliseconds of Unix time.
    latest_at: u64,
}

impl LogBuffers {
    /// The buffer of `action`, which is made if there is none yet.
    #[must_use]
    pub fn of(&self, action: &Arc<str>) -> LogBuffer {
        let mut buffers = self.0.lock();
        if let Some(buffer) = buffers.get(action) {
            return buffer.clone();
        }
        if buffers.len() == ACTIONS_MAX {
            let oldest = buffers.iter().min_by_key(|(_, buffer)| buffer.lock().latest_at);
            let oldest = oldest.map(|(name, _)| Arc::clone(name));
            oldest.and_then(|name| buffers.remove(&name));
        }
        let (action, latest) = (Arc::clone(action), watch::Sender::new(0));
        let buffer = LogBuffer { action: Arc::clone(&action), lines: Arc::default(), latest };
        buffers.insert(action, buffer.clone());
        buffer
    }
}

impl LogBuffer {
    /// Adds a line that was printed just now.
    pub fn push(&self, term: &Term, stream: &str, text: &str) {
        let at = unix_ms();
        let mut buffered = self.lock();
        let id = *self.latest.borrow() + 1;
        buffered.latest_at = at;
        buffered.bytes += text.len() + LINE_COST;
        buffered.lines.push_back(Arc::new(LogLine {
            id,
            time: rfc3339(at),
            action: Arc::clone(&self.action),
            host: Arc::clone(&term.host),
            group: term.group.to_string(),
            // No fencing token is zero; zero means that there is no term.
            fencing_token: Some(term.fencing_token.0).filter(|fencing_token| *fencing_token != 0),
            stream: stream.to_owned(),
            text: text.to_owned(),
        }));
        while buffered.lines.len() > LINES_MAX || buffered.bytes > BYTES_MAX {
            let Some(line) = buffered.lines.pop_front() else { break };
            buffered.bytes -= line.text.len() + LINE_COST;
        }
        self.latest.send_replace(id);
    }

    /// The latest `most` lines that pass the filter `wanted`, the earliest first.
    #[must_use]
    pub fn latest(&self, most: usize, wanted: impl Fn(&LogLine) -> bool) -> Vec<Arc<LogLine>> {
        let buffered = self.lock();
        let found = buffered.lines.iter().rev().filter(|line| wanted(line)).take(most);
        let mut found: Vec<_> = found.cloned().collect();
        found.reverse();
        found
    }

    /// The number of the latest line, as a watch that changes with each line.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<u64> {
        self.latest.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, BufferedLines> {
        self.lines.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soloist_heart::{FencingToken, Group};

    fn term(fencing_token: i64) -> Term {
        Term { group: Group::main(), host: "a".into(), fencing_token: FencingToken(fencing_token) }
    }

    fn texts(lines: &[Arc<LogLine>]) -> Vec<&str> {
        lines.iter().map(|line| &*line.text).collect()
    }

    #[test]
    fn the_latest_lines_are_kept() {
        let lines = LogBuffers::default();
        let (loud, quiet) = (lines.of(&"loud".into()), lines.of(&"quiet".into()));
        quiet.push(&term(17), "stdout", "hi");
        for number in 0..LINES_MAX + 2 {
            loud.push(&term(17), "stdout", &number.to_string());
        }
        let buffered = loud.latest(usize::MAX, |_| true);
        assert_eq!((buffered.len(), &*buffered[0].text), (LINES_MAX, "2"));
        let last = *loud.follow().borrow();
        assert_eq!(texts(&loud.latest(2, |line| line.id < last)), ["999", "1000"]);
        assert_eq!(texts(&lines.of(&"quiet".into()).latest(9, |_| true)), ["hi"]);
    }

    #[test]
    fn bytes_are_bounded() {
        let buffer = LogBuffers::default().of(&"loud".into());
        let long = "x".repeat(BYTES_MAX / 4);
        (0..9).for_each(|_| buffer.push(&term(17), "stdout", &long));
        assert_eq!(buffer.latest(usize::MAX, |_| true).len(), 3);
    }

    #[test]
    fn actions_are_bounded() {
        let lines = LogBuffers::default();
        let name = |number: usize| Arc::from(number.to_string());
        let first = lines.of(&name(0));
        first.push(&term(17), "stdout", "hi");
        (1..=ACTIONS_MAX).for_each(|number| drop(lines.of(&name(number))));
        assert_eq!(lines.0.lock().len(), ACTIONS_MAX);
        // Actions that have printed nothing are dropped first.
        assert_eq!(lines.of(&name(0)).latest(9, |_| true).len(), 1);
    }

    #[test]
    fn a_line_for_people() {
        let buffer = LogBuffers::default().of(&"web".into());
        buffer.push(&term(17), "stderr", "oh \u{1b}[2J");
        buffer.push(&term(0), "stdout", "aside");
        let shown: Vec<_> = buffer.latest(9, |_| true).iter().map(|l| l.to_string()).collect();
        assert!(shown[0].ends_with("Z a 17 stderr | oh \\u{1b}[2J"), "{shown:?}");
        assert!(shown[1].ends_with("Z a – stdout | aside"), "{shown:?}");
    }
}
