//! What is kept of a job in the store, from one leader to the next.
//!
//! ```text
//! mark             which firings were claimed, how far they are settled, and how many
//!                  records were made
//! run/<number>     the records; of those, the latest 50
//! ```
//!
//! Invariants:
//! - A firing is claimed before it is begun, by one transaction that is guarded by the
//!   leader's key: it moves the mark, which must be the one that the claim goes by, and
//!   makes the record, which must not exist. So no firing is begun under two tokens.
//! - Whether a claim was made is known before anything is begun. One whose answer was
//!   lost is read again; sending it twice does no harm, since the mark has moved.
//! - What a lost leader had begun is recorded as interrupted, and never begun again.

mod contents;
mod keys;
mod ledger_store;

use std::sync::Arc;

use chrono::{DateTime, Utc};
use tokio::time::sleep;

use self::{
    contents::{interrupt, key, parse, read_all},
    keys::{MARK, RUN},
    ledger_store::{AGAIN, LedgerStore, WriteOutcome},
};
use super::{
    firing::Firing,
    firing_record::{FiringOutcome, FiringRecord},
    job_mark::JobMark,
};
use soloist_guests::capability::TermLink;
use soloist_stores::{StateStore, StateWrite};

pub use self::{
    contents::{NumberedRecord, history},
    keys::RECORDS_MAX,
    ledger_store::TermOver,
};

/// More than there ever are.
const KEYS_MAX: usize = 1000;

/// The ledger of one job under one term.
#[derive(Debug)]
pub struct Ledger(LedgerStore);

/// What a ledger is opened as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerOpening {
    /// The job begins here: whatever is said to run is over.
    First,
    /// It is not known how far firings are settled. What runs under this term goes on.
    Again,
    /// The same, and all firings up to now are to be settled.
    Reset,
}

impl Ledger {
    /// The ledger of `action` in `store`, written to under `term`.
    #[must_use]
    pub fn new(action: Arc<str>, term: TermLink, store: Arc<dyn StateStore>) -> Self {
        Self(LedgerStore::new(action, term, store))
    }

    /// Tells by `tell` what keeps it from being read or written, and when nothing does any
    /// more.
    #[must_use]
    pub fn on_trouble(self, tell: impl Fn(Option<&str>) + Send + Sync + 'static) -> Self {
        Self(self.0.on_trouble(Box::new(tell)))
    }

    /// Begins a term, or goes on in it: what was running under an earlier one is over, and
    /// without a mark for `schedule`, all firings up to `now` are settled. Returns the mark, and
    /// the records, the latest last.
    ///
    /// # Errors
    /// The term is over.
    pub async fn open(
        &self,
        now: DateTime<Utc>,
        schedule: &str,
        as_what: LedgerOpening,
    ) -> Result<(JobMark, Vec<FiringRecord>), TermOver> {
        let (anew, own) = (as_what == LedgerOpening::Reset, self.0.term.gate.term().token.0);
        let goes_on = |it: &FiringRecord| as_what != LedgerOpening::First && it.token == own;
        loop {
            let mut book = self
                .0
                .retry("open its ledger", || read_all(&*self.0.store, &self.0.action))
                .await?;
            let mut writes = Vec::new();
            for (page, version) in &mut book.records {
                if !page.record.is_over() && !goes_on(&page.record) {
                    interrupt(&mut page.record, now);
                    writes.push(self.put(&page.record_key(), &page.record, *version)?);
                }
            }
            let records: Vec<_> =
                book.records.iter().map(|(page, _)| page.record.clone()).collect();
            if let Some((mark, _)) = &mut book.mark {
                mark.complete_from(&records);
            }
            let mark = match &book.mark {
                Some((mark, _)) if mark.has_schedule(schedule) && !anew => mark.clone(),
                found => {
                    let (mark, version) = match found {
                        Some((mark, version)) => (mark.from_now(now, schedule, anew), *version),
                        None => (JobMark::new(now, schedule, self.last_number().await?), 0),
                    };
                    writes.push(self.put(MARK, &mark, version)?);
                    mark
                }
            };
            if writes.is_empty() {
                return Ok((mark, records));
            }
            if matches!(self.0.write("open its ledger", &writes).await?, WriteOutcome::Written) {
                return Ok((mark, records));
            }
        }
    }

    /// Claims `firing`, before which `missed` were dropped, where firings are settled as
    /// `mark` says. Returns the new mark and the record; nothing, if the claim was not made
    /// and never will be: the mark is another than it goes by, or the store was so long in
    /// coming that it is not `in_time` any more.
    ///
    /// # Errors
    /// The term is over. Then the claim may have been made.
    pub async fn claim(
        &self,
        mark: &JobMark,
        firing: &Firing,
        missed: u64,
        now: DateTime<Utc>,
        in_time: impl Fn() -> bool,
    ) -> Result<Option<(JobMark, NumberedRecord)>, TermOver> {
        let (new, page) = self.prepare_claim(mark, firing, missed, now);
        let keys = [MARK.to_owned()];
        // Whether the answer to a write of this claim was lost.
        let mut doubtful = false;
        loop {
            let get = || self.0.store.get(&self.0.action, &keys);
            let found = self.0.retry("claim a firing", get).await?.pop().flatten();
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
            match self.0.write("claim a firing", &writes).await? {
                WriteOutcome::Written => return Ok(Some((new, page))),
                // If it was not this claim that moved the mark, the next look tells.
                WriteOutcome::Conflict => sleep(AGAIN).await,
                WriteOutcome::Unknown => doubtful = true,
            }
        }
    }

    /// The mark and the record that claim `firing`.
    fn prepare_claim(
        &self,
        mark: &JobMark,
        firing: &Firing,
        missed: u64,
        now: DateTime<Utc>,
    ) -> (JobMark, NumberedRecord) {
        let term = self.0.term.gate.term();
        let new = mark.after_claim(firing, term.token.0, now);
        let record = FiringRecord {
            id: firing.id.clone(),
            scheduled: firing.scheduled,
            by_hand: firing.by_hand,
            missed,
            host: term.host.to_string(),
            token: term.token.0,
            started: now,
            ended: None,
            attempt: 1,
            outcome: FiringOutcome::Running,
            exit: None,
            error: None,
            output: String::new(),
        };
        let number = new.count;
        (new, NumberedRecord { number, record })
    }

    /// The number of the latest record, where there is no mark: none, unless somebody took
    /// that away. Their numbers are not given again.
    async fn last_number(&self) -> Result<u64, TermOver> {
        let ask = || self.0.store.list(&self.0.action, None, KEYS_MAX);
        let keys = self.0.retry("open its ledger", ask).await?;
        let numbers = keys.iter().filter_map(|key| key.strip_prefix(RUN)?.parse().ok());
        Ok(numbers.max().unwrap_or(0))
    }

    /// Replaces what is kept of a firing, unless that has ended or was forgotten.
    ///
    /// # Errors
    /// The term is over.
    pub async fn keep(&self, page: &NumberedRecord) -> Result<(), TermOver> {
        let keys = [page.record_key()];
        loop {
            let get = || self.0.store.get(&self.0.action, &keys);
            let found = self.0.retry("keep a record", get).await?.pop().flatten();
            let Some(Ok((found, version))) = found
                .map(|entry| parse::<FiringRecord>(&self.0.action, &page.record_key(), &entry))
            else {
                return Ok(());
            };
            if found.is_over() || found.id != page.record.id || found == page.record {
                return Ok(());
            }
            let write = self.put(&page.record_key(), &page.record, version)?;
            if matches!(self.0.write("keep a record", &[write]).await?, WriteOutcome::Written) {
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
        // What is derived here for texts and numbers does not fail.
        let value = serde_json::to_vec(value).map_err(|_| TermOver)?;
        Ok(StateWrite { key: key.to_owned(), value: Some(value.into()), only_if: Some(version) })
    }
}
