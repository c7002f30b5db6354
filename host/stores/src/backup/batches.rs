//! Batches of records, small enough for one request to any store.

use super::record::BackupRecord;
use crate::state_store::{BATCH_BYTES_MAX, BATCH_MAX};

/// Records that are collected until they make a batch.
#[derive(Default)]
pub(crate) struct RecordBatch {
    records: Vec<BackupRecord>,
    bytes: usize,
}

impl RecordBatch {
    /// Adds a record, and returns the batch before it if this would be too much for it.
    pub(crate) fn push(&mut self, record: BackupRecord) -> Option<Vec<BackupRecord>> {
        let size = record.size();
        let is_full = !fits(self.records.len(), self.bytes, size);
        let full = is_full.then(|| self.take());
        self.records.push(record);
        self.bytes += size;
        full
    }

    /// What was collected since the last batch; it may be empty.
    pub(crate) fn take(&mut self) -> Vec<BackupRecord> {
        self.bytes = 0;
        std::mem::take(&mut self.records)
    }
}

/// `records` in batches. A record that is too large for any is one by itself.
pub(crate) fn batches(mut records: &[BackupRecord]) -> impl Iterator<Item = &[BackupRecord]> {
    std::iter::from_fn(move || {
        let (mut length, mut bytes) = (0, 0);
        for record in records {
            if !fits(length, bytes, record.size()) {
                break;
            }
            (length, bytes) = (length + 1, bytes + record.size());
        }
        let (batch, rest) = records.split_at(length);
        records = rest;
        Some(batch).filter(|batch| !batch.is_empty())
    })
}

/// Whether another record of `size` bytes belongs to a batch of `length` records with `bytes`.
fn fits(length: usize, bytes: usize, size: usize) -> bool {
    length == 0 || (length < BATCH_MAX && bytes + size <= BATCH_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::{super::NoteRecord, *};

    fn record(length: usize) -> BackupRecord {
        BackupRecord::Note(NoteRecord { name: "hosts/a".into(), value: vec![0; length].into() })
    }

    #[test]
    fn batches_are_bounded_in_number_and_bytes_and_lose_nothing() {
        let sizes = [0, 1, BATCH_BYTES_MAX / 2, BATCH_BYTES_MAX / 2, 2 * BATCH_BYTES_MAX, 3];
        let records: Vec<_> = sizes.into_iter().chain([7; 200]).map(record).collect();
        let split: Vec<_> = batches(&records).collect();
        assert_eq!(split.concat(), records);
        let mut collected = RecordBatch::default();
        let pushed = records.iter().filter_map(|record| collected.push(record.clone()));
        let mut pushed: Vec<_> = pushed.collect();
        pushed.push(collected.take());
        assert_eq!(pushed, split);
        for batch in split {
            let bytes: usize = batch.iter().map(BackupRecord::size).sum();
            assert!(batch.len() == 1 || bytes <= BATCH_BYTES_MAX, "{bytes}");
            assert!(batch.len() <= BATCH_MAX);
        }
        assert_eq!(batches(&[]).count(), 0);
    }
}
