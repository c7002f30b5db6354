//! What a backup has in it, in numbers: two that have the same are the same.

use std::{collections::BTreeMap, fmt};

use sha2::{Digest, Sha256};

use super::{
    kind::BackupKind,
    record::{BackupRecord, CallStage},
};
use soloist_text::hex;

/// The number of records of each kind, and a digest of them that does not depend on their order:
/// every store has its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BackupSummary(BTreeMap<BackupKind, KindSummary>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct KindSummary {
    count: u64,
    /// The sum of the records' SHA-256, modulo 2^256.
    sum: [u64; 4],
}

impl BackupSummary {
    /// Counts a record.
    pub fn add(&mut self, record: &BackupRecord) {
        let kind = self.0.entry(record.kind()).or_default();
        kind.count += 1;
        add(&mut kind.sum, &digest(record));
    }

    /// How many records of `kind` there are.
    #[must_use]
    pub fn count(&self, kind: BackupKind) -> u64 {
        self.0.get(&kind).map_or(0, |found| found.count)
    }

    /// The number of records of each kind that there is.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<BackupKind, u64> {
        self.0.iter().map(|(kind, summary)| (*kind, summary.count)).collect()
    }

    /// How many records there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().map(|kind| kind.count).sum()
    }

    /// The digest of everything, in hexadecimal.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut all = Sha256::new();
        for (kind, KindSummary { count, sum }) in &self.0 {
            all.update(format!("{kind:?} {count}\n"));
            sum.iter().for_each(|part| all.update(part.to_be_bytes()));
        }
        hex(&all.finalize())
    }

    /// The kinds of which `other` does not have the same records.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<BackupKind> {
        let kinds: BTreeMap<_, ()> =
            self.0.keys().chain(other.0.keys()).map(|k| (*k, ())).collect();
        kinds.into_keys().filter(|kind| self.0.get(kind) != other.0.get(kind)).collect()
    }
}

impl fmt::Display for BackupSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("nothing");
        }
        let parts = self.0.iter().map(|(kind, summary)| kind.counted(summary.count));
        f.write_str(&parts.collect::<Vec<_>>().join(", "))
    }
}

/// The digest of a record. For how long an answer is kept is no part of it: an import may keep it
/// longer.
fn digest(record: &BackupRecord) -> [u8; 32] {
    let mut record = record.clone();
    if let BackupRecord::Call(call) = &mut record
        && let CallStage::Done { keep_s, .. } = &mut call.stage
    {
        *keep_s = 0;
    }
    // Text, numbers and bytes can always be written as JSON.
    Sha256::digest(serde_json::to_vec(&record).unwrap_or_default()).into()
}

/// Adds a digest to a sum, modulo 2^256. The first part is the least significant one.
fn add(sum: &mut [u64; 4], digest: &[u8; 32]) {
    let mut carry = false;
    for (part, bytes) in sum.iter_mut().zip(digest.as_chunks::<8>().0) {
        let (with, over) = part.overflowing_add(u64::from_le_bytes(*bytes));
        let (with_carry, over_again) = with.overflowing_add(carry.into());
        (*part, carry) = (with_carry, over || over_again);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::StateRecord;

    fn state(key: &str, value: &'static str) -> BackupRecord {
        let (action, key) = ("web".into(), key.into());
        BackupRecord::State(StateRecord { action, key, value: value.into() })
    }

    fn summary(records: &[BackupRecord]) -> BackupSummary {
        let mut summary = BackupSummary::default();
        records.iter().for_each(|record| summary.add(record));
        summary
    }

    #[test]
    fn the_order_does_not_matter_and_everything_else_does() {
        let (a, b, c) = (state("a", "1"), state("b", "2"), state("b", "3"));
        let ab = summary(&[a.clone(), b.clone()]);
        assert_eq!(ab, summary(&[b.clone(), a.clone()]));
        assert_eq!(ab.to_string(), "2 values of state");
        let ledger = match &b {
            BackupRecord::State(entry) => BackupRecord::Ledger(entry.clone()),
            _ => unreachable!("it is state"),
        };
        for other in [&[a.clone()][..], &[a.clone(), c], &[a.clone(), a.clone()], &[a, ledger]] {
            let other = summary(other);
            assert_ne!(ab.digest(), other.digest());
            assert!(ab.differences(&other).contains(&BackupKind::State));
        }
        assert_eq!(BackupSummary::default().to_string(), "nothing");
    }

    #[test]
    fn sums_carry_into_the_next_part_and_wrap_at_the_end() {
        let mut sum = [u64::MAX, u64::MAX, 0, 1];
        let mut one = [0; 32];
        one[0] = 1;
        add(&mut sum, &one);
        assert_eq!(sum, [0, 0, 1, 1]);
        sum = [u64::MAX; 4];
        add(&mut sum, &one);
        assert_eq!(sum, [0; 4]);
    }
}
