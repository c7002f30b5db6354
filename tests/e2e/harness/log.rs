//! The log of a process, as events that can be awaited.

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

/// All lines so far; JSON where the line is JSON, else a string.
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

    /// How many lines there are: what is awaited from here comes later.
    pub(crate) fn len(&self) -> usize {
        self.lines.lock().unwrap().len()
    }

    /// All lines so far.
    pub(crate) fn lines(&self) -> Vec<Value> {
        self.lines.lock().unwrap().clone()
    }

    /// Where the last line with this `event` is, or will be.
    pub(crate) fn last(&self, name: &str) -> usize {
        let lines = self.lines.lock().unwrap();
        lines.iter().rposition(|line| line["event"] == name).unwrap_or(lines.len())
    }

    /// The lines that have the field `event` with this value.
    pub(crate) fn events(&self, name: &str) -> Vec<Value> {
        self.lines.lock().unwrap().iter().filter(|line| line["event"] == name).cloned().collect()
    }

    /// The names of all events, in order.
    pub(crate) fn story(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter_map(|line| line["event"].as_str()).map(ToOwned::to_owned).collect()
    }

    /// The first line at or after `from` that `wanted` likes.
    pub(crate) async fn find(
        &self,
        from: usize,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        self.find_within(PATIENCE, from, what, wanted).await
    }

    /// The same, where it may take as long as this.
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

    /// The first such event at or after `from`.
    pub(crate) async fn event(&self, from: usize, name: &str) -> Value {
        self.find(from, &format!("event {name:?}"), |line| line["event"] == name).await
    }
}

impl std::fmt::Display for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.lines.lock().unwrap().iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}
