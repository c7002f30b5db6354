//! The ledger of a job: what is stored of it, from one leader to the next.
//!
//! ```text
//! mark             which runs were claimed, up to when they are settled, and how many
//!                  records were made
//! run/<number>     the records; of those, the latest 50
//! ```
//!
//! Guarantees:
//! - A run is claimed before it is started, by one transaction that is guarded by the leader's
//!   key: it replaces the mark, which must be the one that the claim is based on, and creates the
//!   record, which must not exist. So no run is started under two fencing tokens.
//! - Nothing is started before it is certain that the claim was made. If the answer to a claim is
//!   lost, the mark is read again; sending a claim twice does no harm, because the mark has
//!   changed.
//! - What a lost leader had started is recorded as interrupted, and never started again.

mod contents;
mod keys;
mod ledger_store;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::time::sleep;

use self::{
    contents::{interrupt, key, parse, read_all},
    keys::{MARK, RUN},
    ledger_store::{AGAIN, LedgerStore, LedgerWriteOutcome},
};
use soloist_guests::capability::TermLink;
use soloist_jobs::{JobMark, JobRun, RunOutcome, RunRecord};
use soloist_stores::{StateStore, StateWrite};
use soloist_telemetry::measure;

pub use self::{
    contents::{NumberedRecord, history},
    keys::RECORDS_MAX,
    ledger_store::TermOver,
};

/// More keys than there ever are.
const KEYS_MAX: usize = 1000;

/// The ledger of one job under one term.
#[derive(Debug)]
pub struct Ledger(LedgerStore);

/// Why a ledger is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerOpening {
    /// The job starts on this host: records that say "running" are out of date.
    First,
    /// The mark must be read again. What runs under this term goes on.
    Again,
    /// Like `Again`, and all runs up to now become settled.
    Reset,
}

impl Ledger {
    /// The ledger of `action` in `store`, written to under `term`.
    #[must_use]
    pub fn new(action: Arc<str>, term: TermLink, store: Arc<dyn StateStore>) -> Self {
        Self(LedgerStore::new(action, term, store))
    }

    /// Calls `tell` with what keeps the ledger from being read or written, and with `None` when
    /// that is over.
    #[must_use]
    pub fn on_trouble(self, tell: impl Fn(Option<&str>) + Send + Sync + 'static) -> Self {
        Self(self.0.on_trouble(Box::new(tell)))
    }

    /// Opens the ledger. Runs that were running under an earlier term become interrupted. If
    /// there is no mark for `schedule`, all runs up to `now` become settled. Returns the mark
    /// and the records, the latest last.
    ///
    /// # Errors
    /// The term has ended.
    pub async fn open(
        &self,
        now: DateTime<Utc>,
        schedule: &str,
        as_what: LedgerOpening,
    ) -> Result<(JobMark, Vec<RunRecord>), TermOver> {
        let (reset, own) =
            (as_what == LedgerOpening::Reset, self.0.term.gate.term().fencing_token.0);
        let goes_on = |it: &RunRecord| as_what != LedgerOpening::First && it.fencing_token == own;
        loop {
            let mut book = self
                .0
                .retry("open its ledger", || read_all(&*self.0.store, &self.0.action))
                .await?;
            let (mut writes, mut interrupted) = (Vec::new(), 0);
            for (page, version) in &mut book.records {
                if !page.record.is_over() && !goes_on(&page.record) {
                    interrupt(&mut page.record, now);
                    interrupted += 1;
                    writes.push(self.put(&page.record_key(), &page.record, *version)?);
                }
            }
            let records: Vec<_> =
                book.records.iter().map(|(page, _)| page.record.clone()).collect();
            if let Some((mark, _)) = &mut book.mark {
                mark.complete_from(&records);
                mark.note_successes(&records);
            }
            let mark = match &book.mark {
                Some((mark, _)) if mark.has_schedule(schedule) && !reset => mark.clone(),
                found => {
                    let (mark, version) = match found {
                        Some((mark, version)) => (mark.from_now(now, schedule, reset), *version),
                        None => (JobMark::new(now, schedule, self.last_number().await?), 0),
                    };
                    writes.push(self.put(MARK, &mark, version)?);
                    mark
                }
            };
            if writes.is_empty() {
                return Ok((mark, records));
            }
            if matches!(
                self.0.write("open its ledger", &writes).await?,
                LedgerWriteOutcome::Written
            ) {
                measure::job_interrupted(&self.0.action, interrupted);
                return Ok((mark, records));
            }
        }
    }

    /// Claims `run`, before which `missed` runs were dropped, based on `mark`. Returns the
    /// new mark and the record. `None` if the claim was not made and never will be: the stored mark
    /// is another one, or the store took so long that the run is no longer `in_time`.
    ///
    /// # Errors
    /// The term has ended. The claim may or may not have been made.
    pub async fn claim(
        &self,
        mark: &JobMark,
        run: &JobRun,
        missed: u64,
        now: DateTime<Utc>,
        in_time: impl Fn() -> bool,
    ) -> Result<Option<(JobMark, NumberedRecord)>, TermOver> {
        let (new, page) = self.prepare_claim(mark, run, missed, now);
        let keys = [MARK.to_owned()];
        // Whether the answer to a write of this claim was lost.
        let mut doubtful = false;
        loop {
            let get = || self.0.store.get(&self.0.action, &keys);
            let found = self.0.retry("claim a run", get).await?.pop().flatten();
            let version = match found.map(|entry| parse::<JobMark>(&self.0.action, MARK, &entry)) {
                Some(Ok((found, _))) if doubtful && found == new => {
                    return Ok(Some((new, page)));
                }
                Some(Ok((found, version))) if mark.is_unchanged_in(&found) => version,
                _ => return Ok(None),
            };
            if !in_time() {
                return Ok(None);
            }
            let mut writes = vec![
                self.put(MARK, &new, version)?,
                self.put(&page.record_key(), &page.record, 0)?,
            ];
            if let Some(oldest) = page.number.checked_sub(RECORDS_MAX).filter(|it| *it > 0) {
                writes.push(StateWrite { key: key(oldest), value: None, only_if: None });
            }
            match self.0.write("claim a run", &writes).await? {
                LedgerWriteOutcome::Written => return Ok(Some((new, page))),
                // If another claim has changed the mark, the next read shows it.
                LedgerWriteOutcome::Conflict => sleep(AGAIN).await,
                LedgerWriteOutcome::Unknown => doubtful = true,
            }
        }
    }

    /// The mark and the record that a claim of `run` writes.
    fn prepare_claim(
        &self,
        mark: &JobMark,
        run: &JobRun,
        missed: u64,
        now: DateTime<Utc>,
    ) -> (JobMark, NumberedRecord) {
        let term = self.0.term.gate.term();
        let new = mark.after_claim(run, term.fencing_token.0, now);
        let record = RunRecord {
            id: run.id.clone(),
            scheduled_at: run.scheduled,
            by_hand: run.by_hand,
            missed_runs: missed,
            host: term.host.to_string(),
            fencing_token: term.fencing_token.0,
            started_at: now,
            ended_at: None,
            attempt: 1,
            outcome: RunOutcome::Running,
            exit_code: None,
            error: None,
            output: String::new(),
        };
        let number = new.count;
        (new, NumberedRecord { number, record })
    }

    /// The number of the latest record if there is no mark: 0, unless somebody has deleted the
    /// mark. Numbers are never used twice.
    async fn last_number(&self) -> Result<u64, TermOver> {
        let ask = || self.0.store.list(&self.0.action, None, KEYS_MAX);
        let keys = self.0.retry("open its ledger", ask).await?;
        let numbers = keys.iter().filter_map(|key| key.strip_prefix(RUN)?.parse().ok());
        Ok(numbers.max().unwrap_or(0))
    }

    /// Replaces the record of a run, unless the run has ended or its record was deleted.
    ///
    /// # Errors
    /// The term has ended.
    pub async fn update(&self, page: &NumberedRecord) -> Result<(), TermOver> {
        let keys = [page.record_key()];
        loop {
            let get = || self.0.store.get(&self.0.action, &keys);
            let found = self.0.retry("keep a record", get).await?.pop().flatten();
            let Some(Ok((found, version))) =
                found.map(|entry| parse::<RunRecord>(&self.0.action, &page.record_key(), &entry))
            else {
                return Ok(());
            };
            if found.is_over() || found.id != page.record.id || found == page.record {
                return Ok(());
            }
            let write = self.put(&page.record_key(), &page.record, version)?;
            if matches!(self.0.write("keep a record", &[write]).await?, LedgerWriteOutcome::Written)
            {
                return Ok(());
            }
        }
    }

    fn put(
        &self,
        key: &str,
        value: &impl serde::Serialize,
        version: i64,
    ) -> Result<StateWrite, TermOver> {
        // Serialising the derived texts and numbers does not fail.
        let value = serde_json::to_vec(value).map_err(|_| TermOver)?;
        Ok(StateWrite { key: key.to_owned(), value: Some(value.into()), only_if: Some(version) })
    }
}
