//! A client for a host's server-sent events.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::time::timeout;

use super::PATIENCE;

/// Reads events as they come.
pub(crate) struct Events {
    answer: reqwest::Response,
    unread: String,
    /// The latest status.
    status: Value,
}

/// An event; a comment has no name.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Events {
    pub(crate) async fn of(api: SocketAddr) -> Self {
        let answer = reqwest::get(format!("http://{api}/v1/events")).await.expect("an answer");
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let (answer, unread) = (answer.error_for_status().expect("events"), String::new());
        Self { answer, unread, status: Value::Null }
    }

    /// The next event; none at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.unread.split_once("\n\n") {
                let line =
                    |of| event.lines().find_map(|line| line.strip_prefix(of)).unwrap_or_default();
                let data = serde_json::from_str(line("data: ")).unwrap_or_default();
                let event = Event { name: line("event: ").to_owned(), data };
                self.unread = rest.to_owned();
                if event.name == "status" {
                    self.status.clone_from(&event.data);
                }
                return Some(event);
            }
            let piece = timeout(PATIENCE, self.answer.chunk()).await.expect("a sign of life");
            self.unread += std::str::from_utf8(&piece.ok()??).expect("UTF-8");
        }
    }

    /// The next transition with this name.
    pub(crate) async fn transition(&mut self, event: &str) -> Value {
        let mut seen = Vec::new();
        let found = timeout(PATIENCE, async {
            while let Some(next) = self.next().await {
                if next.name == "transition" && next.data["event"] == event {
                    return Some(next.data);
                }
                seen.push(next);
            }
            None
        });
        let found = found.await.ok().flatten();
        found.unwrap_or_else(|| panic!("no {event} among {seen:#?}"))
    }

    /// Waits until `wanted` accepts the latest status.
    pub(crate) async fn status(&mut self, wanted: impl Fn(&Value) -> bool) {
        let liked = timeout(PATIENCE, async {
            while !wanted(&self.status) {
                self.next().await.expect("an event");
            }
        });
        let liked = liked.await;
        assert!(liked.is_ok(), "the latest status is {:#}", self.status);
    }
}
