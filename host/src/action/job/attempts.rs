//! One firing, from its claim to its end: attempts, and the pauses between them.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use wasmtime_wasi::I32Exit;

use super::{
    super::running::Run,
    ledger::{Ledger, Over, Page},
    record::{Outcome, Record},
    timetable::{self, GRACE},
};
use crate::wall_clock::WallClock;
use soloist_config::{JobConfig, moment};
use soloist_guests::{
    capability::{Errand, GuestState, Tail},
    plugin::{Guest, ServiceEntry, Slot},
};
use soloist_heart::clock::{BootTime, back_off};
use soloist_telemetry::measure;
use soloist_trace::{KeyValue, Role, Span};

/// What a firing is carried out with.
pub(super) struct Attempts {
    pub(super) run: Arc<Run>,
    pub(super) entry: ServiceEntry,
    pub(super) job: Arc<JobConfig>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) clock: WallClock,
    /// When it is due, if it is missed rather than begun late.
    pub(super) due: Option<DateTime<Utc>>,
    /// Cancelled when a later firing takes the place of this one.
    pub(super) replaced: CancellationToken,
}

/// How an attempt ended.
#[derive(Debug, PartialEq, Eq)]
struct End {
    exit: Option<i32>,
    error: Option<String>,
}

impl Attempts {
    /// Carries out the firing of `page`, and returns what became of it.
    pub(super) async fn carry_out(self, mut page: Page) -> Option<Record> {
        let began = BootTime::now();
        let tail = Tail::default();
        let ended = self.replaced.run_until_cancelled(self.attempts(&mut page, &tail)).await;
        match ended {
            Some(Ok(())) => {}
            // The next leader finds it as it was left.
            Some(Err(Over)) => return None,
            None => {
                page.record.outcome = Outcome::Replaced;
                page.record.output = tail.text();
                page.record.error = Some("a later firing took its place".to_owned());
            }
        }
        page.record.ended = Some(self.clock.now());
        // A guest that was interrupted by the end of its term has not failed.
        self.run.gate().pass().ok()?;
        self.ended(&page.record, BootTime::now().since(began));
        self.ledger.keep(&page).await.ok()?;
        Some(page.record)
    }

    /// Until one attempt ends well, or there are no more.
    async fn attempts(&self, page: &mut Page, tail: &Tail) -> Result<(), Over> {
        let mut slot = self.first_slot(page).await?;
        if slot.is_none() {
            return Ok(());
        }
        loop {
            tail.clear();
            let slot = match slot.take() {
                Some(slot) => slot,
                None => self.run.action.slot().await,
            };
            let end = self.attempt(&page.record, tail, slot).await;
            self.run.gate().pass().map_err(|_| Over)?;
            let record = &mut page.record;
            record.output = tail.text();
            (record.exit, record.error) = (end.exit, end.error);
            if record.error.is_none() {
                record.outcome = Outcome::Done;
                return Ok(());
            }
            let more = record.attempt <= self.job.retries;
            if more && !self.run.is_leaving() {
                self.pause(record).await;
            }
            if !more || self.run.is_leaving() {
                record.outcome = Outcome::Failed;
                if let (true, Some(error)) = (more, &mut record.error) {
                    error.push_str("; it was not tried again, since the leadership was given up");
                }
                return Ok(());
            }
            record.attempt += 1;
            self.ledger.keep(page).await?;
        }
    }

    /// What the first attempt runs in, and the last that a beginning waits for; nothing, if
    /// it is too late to begin by then.
    async fn first_slot(&self, page: &mut Page) -> Result<Option<Slot>, Over> {
        let slot = self.run.action.slot().await;
        self.run.gate().pass().map_err(|_| Over)?;
        let now = self.clock.now();
        if let Some(due) = self.due.filter(|due| timetable::is_late(*due, now)) {
            let late = (now - due).to_std().unwrap_or_default().as_millis();
            let why = format!(
                "it could have begun {late} ms late and no sooner: the store took so long to \
                 let it be claimed, or this host to have room for it"
            );
            (page.record.outcome, page.record.error) = (Outcome::Missed, Some(why));
            return Ok(None);
        }
        let held_up = now - page.record.started > GRACE;
        page.record.started = now;
        if held_up {
            // Else it is soon enough to say so at its end.
            self.ledger.keep(page).await?;
            page.record.started = self.clock.now();
        }
        self.begun(&page.record);
        Ok(Some(slot))
    }

    /// Waits before the next attempt, unless nothing is to begin any more.
    async fn pause(&self, record: &Record) {
        let attempts = u32::try_from(record.attempt).unwrap_or(u32::MAX);
        let pause = back_off(attempts, &mut fastrand::Rng::new());
        let error = record.error.as_deref().unwrap_or_default();
        let pause_ms = pause.as_millis() as u64;
        debug!(event = "job-retry", firing = record.id, pause_ms, error, "another attempt follows");
        tokio::select! {
            () = sleep(pause) => {}
            () = self.run.access.ending() => {}
        }
    }

    async fn attempt(&self, record: &Record, tail: &Tail, slot: Slot) -> End {
        let mut span = self.span(record);
        let end = self.run_once(record, tail, slot, &span).await;
        if let Some(error) = &end.error {
            span.fail(error.clone());
        }
        end
    }

    fn span(&self, record: &Record) -> Span {
        Span::begin(Role::Internal, None, || {
            let (name, term) = (self.run.action.name(), self.run.gate().term());
            let about = vec![
                KeyValue::new("soloist.action", Arc::clone(name)),
                KeyValue::new("soloist.group", term.group.to_string()),
                KeyValue::new("soloist.token", term.token.0),
                KeyValue::new("soloist.firing", record.id.clone()),
                KeyValue::new("soloist.attempt", i64::try_from(record.attempt).unwrap_or(i64::MAX)),
            ];
            (format!("job {name}").into(), about)
        })
    }

    async fn run_once(&self, record: &Record, tail: &Tail, slot: Slot, span: &Span) -> End {
        let errand = Errand {
            env: environment(record),
            tail: Some(tail.clone()),
            trace: span.context().cloned(),
        };
        let state = match GuestState::on(&errand, &self.run.access).await {
            Ok(state) => state,
            Err(error) => return End::failed(error.to_string()),
        };
        let mut guest = Guest::new(self.entry.engine(), slot, state);
        let store = guest.store();
        let ended = async {
            let program = self.entry.instantiate(store).await?;
            program.run(store).await
        };
        let limit = self.job.timeout;
        match timeout(limit, self.run.action.run(ended)).await {
            Ok(ended) => End::of(ended),
            Err(_) => {
                let limit = humantime::format_duration(limit);
                End::failed(format!("it was not done within {limit}; `timeout` gives it more"))
            }
        }
    }

    fn begun(&self, record: &Record) {
        let term = self.run.gate().term();
        debug!(
            event = "job-begun", action = %self.run.action.name(), group = %term.group,
            token = term.token.0, firing = record.id, "{} begins", record.id,
        );
    }

    fn ended(&self, record: &Record, took: Duration) {
        if record.outcome == Outcome::Missed {
            // It has not run; the keeper tells of it.
            return;
        }
        let (name, term) = (self.run.action.name(), self.run.gate().term());
        let (group, token, outcome) = (&term.group, term.token.0, record.outcome.as_str());
        measure::job_ended(name, outcome, took);
        let mut board = self.run.action.board().lock();
        let error = record.error.as_deref().unwrap_or_default();
        match record.outcome {
            Outcome::Failed => {
                warn!(
                    event = "job-failed", action = %name, %group, token, firing = record.id,
                    attempts = record.attempt, error, "{} failed", record.id,
                );
                board.last_error = Some(told(record));
            }
            Outcome::Done => {
                info!(event = "job-done", action = %name, %group, token, firing = record.id, "{} is done", record.id);
                board.last_error = None;
            }
            _ => {
                info!(event = "job-ended", action = %name, %group, token, firing = record.id, outcome, "{} is {outcome}", record.id);
            }
        }
    }
}

/// What is wrong with a job whose latest firing is this.
pub(super) fn told(record: &Record) -> String {
    format!("{} {}: {}", record.id, record.outcome, record.error.as_deref().unwrap_or("no reason"))
}

/// What a guest is told of its firing.
fn environment(record: &Record) -> Vec<(&'static str, String)> {
    vec![
        ("SOLOIST_FIRING", record.id.clone()),
        ("SOLOIST_SCHEDULED", moment(record.scheduled)),
        ("SOLOIST_ATTEMPT", record.attempt.to_string()),
        ("SOLOIST_TOKEN", record.token.to_string()),
    ]
}

impl End {
    fn failed(error: String) -> Self {
        Self { exit: None, error: Some(error) }
    }

    fn of(ended: wasmtime::Result<Result<(), ()>>) -> Self {
        let code = match ended {
            Ok(Ok(())) => 0,
            Ok(Err(())) => 1,
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(I32Exit(code)) => *code,
                None => return Self::failed(format!("it trapped: {}", error.root_cause())),
            },
        };
        let error = (code != 0).then(|| format!("it exited with code {code}"));
        Self { exit: Some(code), error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_exits_with_zero_is_done() {
        assert_eq!(End::of(Ok(Ok(()))), End { exit: Some(0), error: None });
        assert_eq!(End::of(Err(I32Exit(0).into())), End { exit: Some(0), error: None });
        let code =
            |code| End { exit: Some(code), error: Some(format!("it exited with code {code}")) };
        assert_eq!(End::of(Ok(Err(()))), code(1));
        assert_eq!(End::of(Err(I32Exit(7).into())), code(7));
        let trapped = End::of(Err(wasmtime::format_err!("unreachable")));
        assert_eq!(trapped, End::failed("it trapped: unreachable".to_owned()));
    }
}
