//! The log of a process, whose lines tests can wait for.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    sync::Notify,
    time::timeout,
};

use super::PATIENCE;

/// All lines so far: JSON where a line is JSON, else a string.
#[derive(Clone, Default)]
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<Value>>>,
    grown: Arc<Notify>,
}

impl Log {
    /// Reads `from` to its end, in the background.
    pub(crate) fn read(&self, from: impl AsyncRead + Unpin + Send + 'static) {
        let log = self.clone();
        tokio::spawn(async move {
            let mut lines = BufReader::new(from).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let value = serde_json::from_str(&line).unwrap_or(Value::String(line));
                log.lines.lock().unwrap().push(value);
                log.grown.notify_waiters();
            }
        });
    }

    /// The number of lines. Lines from this position on are written later.
    pub(crate) fn len(&self) -> usize {
        self.lines.lock().unwrap().len()
    }

    /// All lines so far.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.lines.lock().unwrap().clone()
    }

    /// The position of the last line with this `event`; the end of the log if there is none yet.
    pub(crate) fn last(&self, name: &str) -> usize {
        let lines = self.lines.lock().unwrap();
        lines.iter().rposition(|line| line["event"] == name).unwrap_or(lines.len())
    }

    /// The lines with this value of the field `event`.
    pub(crate) fn events(&self, name: &str) -> Vec<Value> {
        self.lines.lock().unwrap().iter().filter(|line| line["event"] == name).cloned().collect()
    }

    /// The names of all events, in order.
    pub(crate) fn story(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter_map(|line| line["event"].as_str()).map(ToOwned::to_owned).collect()
    }

    /// The first line from `from` on that `wanted` accepts.
    pub(crate) async fn find(
        &self,
        from: usize,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        self.find_within(PATIENCE, from, what, wanted).await
    }

    /// The same, with another time limit.
    pub(crate) async fn find_within(
        &self,
        patience: Duration,
        from: usize,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        let found = timeout(patience, async {
            loop {
                let grown = self.grown.notified();
                let hit = self.lines.lock().unwrap().iter().skip(from).find(|l| wanted(l)).cloned();
                if let Some(line) = hit {
                    return line;
                }
                grown.await;
            }
        });
        found.await.unwrap_or_else(|_| panic!("no {what} in this log:\n{self}"))
    }

    /// The first line from `from` on with this `event`.
    pub(crate) async fn event(&self, from: usize, name: &str) -> Value {
        self.find(from, &format!("event {name:?}"), |line| line["event"] == name).await
    }
}

impl std::fmt::Display for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.lines.lock().unwrap().iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}
