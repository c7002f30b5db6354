//! Reads what the store has of a job.

use chrono::{DateTime, Utc};

use super::keys::{MARK, RECORDS_MAX, RUN};
use soloist_jobs::{JobMark, RunOutcome, RunRecord};
use soloist_stores::{StateEntry, StateStore, StoreError};

/// A record and its number.
#[derive(Clone, Debug)]
pub struct NumberedRecord {
    pub(super) number: u64,
    /// The record.
    pub record: RunRecord,
}

/// What the store has of a job at one moment, with versions.
#[derive(Debug, Default)]
pub(super) struct LedgerContents {
    pub(super) mark: Option<(JobMark, i64)>,
    pub(super) records: Vec<(NumberedRecord, i64)>,
}

impl NumberedRecord {
    pub(super) fn record_key(&self) -> String {
        key(self.number)
    }
}

/// The key of a record. Keys sort in the order of the numbers.
pub(super) fn key(number: u64) -> String {
    format!("{RUN}{number:020}")
}

pub(super) fn interrupt(record: &mut RunRecord, now: DateTime<Utc>) {
    record.outcome = RunOutcome::Interrupted;
    record.ended_at = Some(now);
    let why = format!("{} lost its leadership, or stopped, while this ran", record.host);
    record.error = Some(why);
}

/// The mark of `action`, and its latest records, the latest last.
///
/// # Errors
/// What the store says.
pub async fn history(
    store: &dyn StateStore,
    action: &str,
    most: usize,
) -> Result<(Option<JobMark>, Vec<RunRecord>), StoreError> {
    let LedgerContents { mark, records: pages } = read_latest(store, action, most as u64).await?;
    Ok((mark.map(|(mark, _)| mark), pages.into_iter().map(|(page, _)| page.record).collect()))
}

pub(super) async fn read_all(
    store: &dyn StateStore,
    action: &str,
) -> Result<LedgerContents, StoreError> {
    read_latest(store, action, RECORDS_MAX).await
}

async fn read_latest(
    store: &dyn StateStore,
    action: &str,
    most: u64,
) -> Result<LedgerContents, StoreError> {
    let found = store.get(action, &[MARK.to_owned()]).await?.pop().flatten();
    let mark = found.map(|entry| parse::<JobMark>(action, MARK, &entry)).transpose()?;
    let Some((mark, version)) = mark else {
        return Ok(LedgerContents::default());
    };
    let first = (mark.count + 1).saturating_sub(most.min(RECORDS_MAX)).max(1);
    let numbers: Vec<_> = (first..=mark.count).collect();
    let keys: Vec<_> = numbers.iter().map(|number| key(*number)).collect();
    let found = if keys.is_empty() { Vec::new() } else { store.get(action, &keys).await? };
    let pages = numbers.into_iter().zip(found).filter_map(|(number, entry)| {
        let (record, version) = parse(action, &key(number), &entry?).ok()?;
        Some((NumberedRecord { number, record }, version))
    });
    Ok(LedgerContents { mark: Some((mark, version)), records: pages.collect() })
}

/// The value of an entry, and its version.
pub(super) fn parse<T: serde::de::DeserializeOwned>(
    action: &str,
    key: &str,
    entry: &StateEntry,
) -> Result<(T, i64), StoreError> {
    let parsed = serde_json::from_slice(&entry.value);
    let value = parsed.map_err(|error| StoreError::Refused {
        problem: format!(
            "the ledger of the job {action} holds data that soloist did not write, under its key \
             `{key}`: delete that from the store, and the job continues"
        ),
        source: Some(error.into()),
    })?;
    Ok((value, entry.version))
}
