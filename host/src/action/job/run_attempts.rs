//! Executes one run from its claim to its end: its attempts, and the pauses between them.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use wasmtime_wasi::I32Exit;

use super::ledger::{Ledger, NumberedRecord, TermOver};
use crate::action::version_context::VersionContext;
use crate::wall_clock::WallClock;
use soloist_config::{JobConfig, moment};
use soloist_guests::{
    capability::{GuestState, Invocation, OutputTail},
    plugin::{Guest, InstanceSlot, ServiceEntryPoint},
};
use soloist_heart::clock::{BootTime, back_off};
use soloist_jobs::{RunOutcome, RunRecord, timetable, timetable::GRACE};
use soloist_telemetry::measure;
use soloist_trace::{KeyValue, SpanRole, TraceSpan};

/// What is needed to execute a run.
pub(super) struct RunAttempts {
    pub(super) version: Arc<VersionContext>,
    pub(super) entry: ServiceEntryPoint,
    pub(super) job: Arc<JobConfig>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) clock: WallClock,
    /// When the run is due, if it must be missed rather than start late.
    pub(super) due: Option<DateTime<Utc>>,
    /// Cancelled when a later run replaces this one.
    pub(super) replaced: CancellationToken,
}

/// How an attempt ended.
#[derive(Debug, PartialEq, Eq)]
struct AttemptExit {
    exit: Option<i32>,
    error: Option<String>,
}

impl RunAttempts {
    /// Executes the run of `page`, and returns its final record; `None` if the term ended first.
    pub(super) async fn run(self, mut page: NumberedRecord) -> Option<RunRecord> {
        let began = BootTime::now();
        let tail = OutputTail::default();
        let ended = self.replaced.run_until_cancelled(self.run_attempts(&mut page, &tail)).await;
        match ended {
            Some(Ok(())) => {}
            // The next leader finds the record as it is now.
            Some(Err(TermOver)) => return None,
            None => {
                page.record.outcome = RunOutcome::Replaced;
                page.record.output = tail.text();
                page.record.error = Some("a later run took its place".to_owned());
            }
        }
        page.record.ended_at = Some(self.clock.now());
        // A guest that was interrupted by the end of its term has not failed.
        self.version.gate().pass().ok()?;
        self.log_end(&page.record, BootTime::now().since(began));
        self.ledger.update(&page).await.ok()?;
        Some(page.record)
    }

    /// Runs attempts until one ends well or none is left.
    async fn run_attempts(
        &self,
        page: &mut NumberedRecord,
        tail: &OutputTail,
    ) -> Result<(), TermOver> {
        let mut slot = self.first_slot(page).await?;
        if slot.is_none() {
            return Ok(());
        }
        loop {
            tail.clear();
            let slot = match slot.take() {
                Some(slot) => slot,
                None => self.version.action.slot().await,
            };
            // That of an earlier run, which ended well all the same.
            self.version.access.take_denial();
            let mut end = self.attempt(&page.record, tail, slot).await;
            if let (Some(error), Some(denial)) = (&mut end.error, self.version.access.take_denial())
            {
                // The log has it once a term, and each run that fails needs it.
                *error += &format!("; {denial}");
            }
            self.version.gate().pass().map_err(|_| TermOver)?;
            let record = &mut page.record;
            record.output = tail.text();
            (record.exit_code, record.error) = (end.exit, end.error);
            if record.error.is_none() {
                record.outcome = RunOutcome::Done;
                return Ok(());
            }
            let more = record.attempt < self.job.max_attempts;
            if more && !self.version.is_leaving() {
                self.pause(record).await;
            }
            if !more || self.version.is_leaving() {
                record.outcome = RunOutcome::Failed;
                if let (true, Some(error)) = (more, &mut record.error) {
                    error.push_str("; it was not tried again, since the leadership was given up");
                }
                return Ok(());
            }
            record.attempt += 1;
            self.ledger.update(page).await?;
        }
    }

    /// Waits for the slot of the first attempt, the last thing that can delay the start. `None` if
    /// it is too late to start by then.
    async fn first_slot(
        &self,
        page: &mut NumberedRecord,
    ) -> Result<Option<InstanceSlot>, TermOver> {
        let slot = self.version.action.slot().await;
        self.version.gate().pass().map_err(|_| TermOver)?;
        let now = self.clock.now();
        if let Some(due) = self.due.filter(|due| timetable::is_late(*due, now)) {
            let late = (now - due).to_std().unwrap_or_default().as_millis();
            let why = format!(
                "it could only have begun {late} ms late: the store was slow to record the claim, \
                 or this host had no capacity"
            );
            (page.record.outcome, page.record.error) = (RunOutcome::Missed, Some(why));
            return Ok(None);
        }
        let held_up = now - page.record.started_at > GRACE;
        page.record.started_at = now;
        if held_up {
            // Written only after a delay; otherwise the record is written soon enough at the
            // run's end.
            self.ledger.update(page).await?;
            page.record.started_at = self.clock.now();
        }
        self.log_begin(&page.record);
        Ok(Some(slot))
    }

    /// Waits before the next attempt, unless the version or the term is ending.
    async fn pause(&self, record: &RunRecord) {
        let attempts = u32::try_from(record.attempt).unwrap_or(u32::MAX);
        let pause = back_off(attempts, &mut fastrand::Rng::new());
        let error = record.error.as_deref().unwrap_or_default();
        let pause_ms = pause.as_millis() as u64;
        debug!(event = "job-retry", run = record.id, pause_ms, error, "another attempt follows");
        tokio::select! {
            () = sleep(pause) => {}
            () = self.version.access.ending() => {}
        }
    }

    async fn attempt(
        &self,
        record: &RunRecord,
        tail: &OutputTail,
        slot: InstanceSlot,
    ) -> AttemptExit {
        let mut span = self.span(record);
        let end = self.run_once(record, tail, slot, &span).await;
        if let Some(error) = &end.error {
            span.fail(if end.exit.is_some() { "exit_code" } else { "failed" }, error.clone());
        }
        end
    }

    fn span(&self, record: &RunRecord) -> TraceSpan {
        TraceSpan::begin(SpanRole::Internal, None, || {
            let (name, term) = (self.version.action.name(), self.version.gate().term());
            let about = vec![
                KeyValue::new("soloist.action", Arc::clone(name)),
                KeyValue::new("soloist.group", term.group.to_string()),
                KeyValue::new("soloist.fencing_token", term.fencing_token.0),
                KeyValue::new("soloist.run_id", record.id.clone()),
                KeyValue::new("soloist.attempt", i64::try_from(record.attempt).unwrap_or(i64::MAX)),
            ];
            (format!("job {name}").into(), about)
        })
    }

    async fn run_once(
        &self,
        record: &RunRecord,
        tail: &OutputTail,
        slot: InstanceSlot,
        span: &TraceSpan,
    ) -> AttemptExit {
        let invocation = Invocation {
            env: environment(record),
            tail: Some(tail.clone()),
            trace: span.context().cloned(),
        };
        let state = match GuestState::for_invocation(&invocation, &self.version.access).await {
            Ok(state) => state,
            Err(error) => return AttemptExit::failed(error.to_string()),
        };
        let mut guest = Guest::new(self.entry.engine(), slot, state);
        let store = guest.store();
        let ended = async {
            let program = self.entry.instantiate(store).await?;
            program.run(store).await
        };
        let limit = self.job.run_timeout;
        match timeout(limit, self.version.action.run(ended)).await {
            Ok(ended) => AttemptExit::of(ended),
            Err(_) => {
                let limit = humantime::format_duration(limit);
                AttemptExit::failed(format!(
                    "it took longer than {limit}; raise `run_timeout` if it needs more time"
                ))
            }
        }
    }

    fn log_begin(&self, record: &RunRecord) {
        let term = self.version.gate().term();
        debug!(
            event = "job-begun", action = %self.version.action.name(), group = %term.group,
            fencing_token = term.fencing_token.0, run = record.id, "{} begins", record.id,
        );
    }

    fn log_end(&self, record: &RunRecord, took: Duration) {
        if record.outcome == RunOutcome::Missed {
            // It has not run; the job's runner logs it.
            return;
        }
        let (name, term) = (self.version.action.name(), self.version.gate().term());
        let (group, fencing_token, outcome) =
            (&term.group, term.fencing_token.0, record.outcome.as_str());
        measure::job_ended(name, outcome, took);
        let mut board = self.version.action.live_status().lock();
        let error = record.error.as_deref().unwrap_or_default();
        match record.outcome {
            RunOutcome::Failed => {
                warn!(
                    event = "job-failed", action = %name, %group, fencing_token, run = record.id,
                    attempts = record.attempt, error, "{} failed", record.id,
                );
                board.last_error = Some(describe_failure(record));
            }
            RunOutcome::Done => {
                info!(event = "job-done", action = %name, %group, fencing_token, run = record.id, "{} is done", record.id);
                board.last_error = None;
            }
            _ => {
                info!(event = "job-ended", action = %name, %group, fencing_token, run = record.id, outcome, "{} is {outcome}", record.id);
            }
        }
    }
}

/// The error to show for a job whose latest run is this one.
pub(super) fn describe_failure(record: &RunRecord) -> String {
    format!("{} {}: {}", record.id, record.outcome, record.error.as_deref().unwrap_or("no reason"))
}

/// The environment variables that tell a guest about its run.
fn environment(record: &RunRecord) -> Vec<(&'static str, String)> {
    vec![
        ("SOLOIST_RUN_ID", record.id.clone()),
        ("SOLOIST_SCHEDULED", moment(record.scheduled_at)),
        ("SOLOIST_ATTEMPT", record.attempt.to_string()),
        ("SOLOIST_FENCING_TOKEN", record.fencing_token.to_string()),
    ]
}

impl AttemptExit {
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
        assert_eq!(AttemptExit::of(Ok(Ok(()))), AttemptExit { exit: Some(0), error: None });
        assert_eq!(
            AttemptExit::of(Err(I32Exit(0).into())),
            AttemptExit { exit: Some(0), error: None }
        );
        let code = |code| AttemptExit {
            exit: Some(code),
            error: Some(format!("it exited with code {code}")),
        };
        assert_eq!(AttemptExit::of(Ok(Err(()))), code(1));
        assert_eq!(AttemptExit::of(Err(I32Exit(7).into())), code(7));
        let trapped = AttemptExit::of(Err(wasmtime::format_err!("unreachable")));
        assert_eq!(trapped, AttemptExit::failed("it trapped: unreachable".to_owned()));
    }
}
