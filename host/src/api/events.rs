//! Status and transitions as they change: server-sent events (WHATWG HTML, section 9.2).
//!
//! ```text
//! GET /v1/events     event: status      data: what GET /v1/status answers
//!                    event: transition  data: {"id", "at", "event", "host", "group", "fencing_token", "cause"}
//! ```
//!
//! A listener first gets the current status and the recorded transitions, and then each new one
//! as it happens. While anyone listens, the status is polled, and sent when it differs by more
//! than the passing of time. Comments in between show that the connection is alive.

use std::{sync::Arc, time::Duration};

use axum::{extract::State, response::Response};
use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    Status, StatusSource,
    api_error::ApiError,
    live_streams::{ListenerGone, LiveStreams, StreamWriter},
    required_role::READ,
    route_doc::RouteDoc,
    routes::ApiRoutes,
};
use soloist_heart::clock::BootTime;
use soloist_telemetry::journal::Journal;

const EVENTS: RouteDoc = RouteDoc::new(
    "The status and each transition, as they change: server-sent events `status` and `transition`.",
)
.answers_as("text/event-stream");

/// How often the status is polled.
const LOOK: Duration = Duration::from_millis(200);
/// How often a heartbeat is sent. The dashboard gives up after three missing ones.
const BEAT: Duration = Duration::from_secs(2);
/// A lease deadline that moved by less counts as unchanged.
const MOVED: Duration = Duration::from_millis(100);

/// Sends events to listeners.
pub(super) struct EventFeed {
    source: Arc<dyn StatusSource>,
    journal: Journal,
    live: LiveStreams,
    latest: Mutex<Option<StatusEvent>>,
}

/// The latest status that was sent; all listeners share it.
struct StatusEvent {
    /// Increases with each new status.
    number: u64,
    status: Status,
    looked: BootTime,
    /// When the status was taken.
    made: BootTime,
    event: Arc<str>,
}

pub(super) fn routes(
    source: Arc<dyn StatusSource>,
    journal: Journal,
    live: LiveStreams,
) -> ApiRoutes {
    let feed = EventFeed { source, journal, live, latest: Mutex::default() };
    ApiRoutes::new().get("/v1/events", READ, events, EVENTS).with(Arc::new(feed))
}

async fn events(State(feed): State<Arc<EventFeed>>) -> Result<Response, ApiError> {
    let streamed = Arc::clone(&feed);
    feed.live.answer("text/event-stream", move |to| async move { streamed.stream(to).await })
}

impl EventFeed {
    async fn stream(&self, to: StreamWriter) -> Result<(), ListenerGone> {
        let mut happened = self.journal.follow();
        let (mut look, mut beat) = (interval(LOOK), interval(BEAT));
        // A slow listener does not get a burst of missed ticks.
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut told, mut seen) = (0, 0);
        loop {
            let (number, status) = self.latest(BootTime::now());
            if number != told {
                to.send(status.as_bytes().to_vec()).await?;
                told = number;
            }
            happened.borrow_and_update();
            for transition in self.journal.after(seen) {
                seen = transition.id;
                to.send(event("transition", &*transition)).await?;
            }
            tokio::select! {
                _ = look.tick() => {}
                _ = happened.changed() => {}
                _ = beat.tick() => to.send(":\n\n").await?,
            }
        }
    }

    /// The latest status as an event, and its number.
    fn latest(&self, now: BootTime) -> (u64, Arc<str>) {
        let mut latest = self.latest.lock();
        let told = |latest: &StatusEvent| (latest.number, Arc::clone(&latest.event));
        if let Some(latest) = &*latest
            && now.since(latest.looked) < LOOK
        {
            return told(latest);
        }
        let status = self.source.status();
        if let Some(latest) = &mut *latest
            && is_like(&latest.status, &status, now.since(latest.made))
        {
            latest.looked = now;
            return told(latest);
        }
        let number = latest.as_ref().map_or(1, |latest| latest.number + 1);
        let event: Arc<str> = event("status", &status).into();
        let (looked, made) = (now, now);
        *latest = Some(StatusEvent { number, status, looked, made, event: Arc::clone(&event) });
        (number, event)
    }
}

/// Formats a server-sent event. Compact JSON has no line breaks.
fn event(name: &str, data: &impl Serialize) -> String {
    match serde_json::to_string(data) {
        Ok(json) => format!("event: {name}\ndata: {json}\n\n"),
        Err(error) => format!(": {error}\n\n"),
    }
}

/// Whether `now` differs from `before` only because this much time has passed.
fn is_like(before: &Status, now: &Status, passed: Duration) -> bool {
    let mut expected = before.clone();
    for (name, group) in &mut expected.groups {
        let left = now.groups.get(name).and_then(|group| group.deadline_in_ms);
        let (Some(was), Some(is)) = (group.deadline_in_ms, left) else { continue };
        let expected = Duration::from_millis(was).saturating_sub(passed);
        if expected.abs_diff(Duration::from_millis(is)) >= MOVED {
            return false;
        }
        group.deadline_in_ms = Some(is);
    }
    expected == *now
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::tests::example;

    #[test]
    fn time_that_passes_is_no_news() {
        let lease = |ms| {
            let mut status = example();
            status.groups.get_mut("main").unwrap().deadline_in_ms = ms;
            status
        };
        let second = Duration::from_secs(1);
        assert!(is_like(&lease(Some(4000)), &lease(Some(3010)), second));
        assert!(!is_like(&lease(Some(4000)), &lease(Some(4000)), second), "renewed");
        assert!(!is_like(&lease(Some(4000)), &lease(None), second));
        let mut other = lease(Some(3000));
        other.actions[0].restarts += 1;
        assert!(!is_like(&lease(Some(4000)), &other, second));
    }
}
