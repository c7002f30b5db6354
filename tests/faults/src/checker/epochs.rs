//! The epochs of the store's history.
//!
//! When the store is restored to an earlier state, fencing tokens and values come again, so they
//! compare only within an epoch. No host runs between two epochs. So an answer belongs to the epoch
//! in which its request was sent, and no request is sent in one epoch and answered in the next.

use crate::clock::ms;
use crate::history::Record;
use crate::injected_fault::{InjectedFault, Rebased};

/// The history between two restores.
#[derive(Debug)]
pub(crate) struct Epoch<'a> {
    /// The requests of this epoch, in the order in which they were sent.
    pub(crate) records: &'a [Record],
    /// The restore that ends the epoch; none for the last one.
    pub(crate) end: Option<Restore>,
    /// The deletions of all keys, in order.
    pub(crate) emptied: Vec<Deletion>,
}

/// A restore of the store; see [`Rebased::Restored`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Restore {
    pub(crate) saved: (u64, u64),
    pub(crate) held: u64,
    pub(crate) at: u64,
}

/// A deletion of all keys; see [`Rebased::Emptied`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deletion {
    pub(crate) revision: u64,
    pub(crate) during: (u64, u64),
}

/// Splits a history into epochs. `records` are in the order in which they were sent.
pub(crate) fn split<'a>(records: &'a [Record], faults: &[InjectedFault]) -> Vec<Epoch<'a>> {
    let mut epochs = Vec::new();
    let (mut rest, mut emptied) = (records, Vec::new());
    for rebased in faults.iter().filter_map(|fault| fault.rebased) {
        match rebased {
            Rebased::Emptied { revision, during } => emptied.push(Deletion { revision, during }),
            Rebased::Restored { saved, held, at } => {
                let (before, after) = rest.split_at(rest.partition_point(|it| it.sent < at));
                let (end, emptied) =
                    (Some(Restore { saved, held, at }), std::mem::take(&mut emptied));
                epochs.push(Epoch { records: before, end, emptied });
                rest = after;
            }
        }
    }
    epochs.push(Epoch { records: rest, end: None, emptied });
    epochs
}

impl Epoch<'_> {
    /// Answers that no host should have given, each as a sentence: at that time, all hosts had
    /// reported that the store went back, or did not run.
    pub(crate) fn overdue(&self) -> Vec<String> {
        let Some(Restore { held, at, .. }) = self.end else { return Vec::new() };
        let good = self.records.iter().filter(|record| record.good().is_some());
        let late = good.filter(|record| record.sent > held || record.received > at);
        let told = late.map(|record| {
            let from = ms(record.sent.saturating_sub(held));
            format!(
                "{} answered after a restore, {from:.3} ms after all had said that they lead \
                 nothing: {}",
                record.asked,
                record.line()
            )
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::made::{good, lost};
    use crate::injected_fault::made::{emptied, restored};

    #[test]
    fn an_answer_belongs_to_the_epoch_in_which_it_was_asked_for() {
        let records = [good(5, 10, 20), lost(30, 210), good(3, 200, 220), good(3, 410, 420)];
        let faults = [restored(50, 90, 100), emptied(4, 300), restored(350, 390, 400)];
        let epochs = split(&records, &faults);
        let counts: Vec<_> = epochs.iter().map(|epoch| epoch.records.len()).collect();
        assert_eq!(counts, [2, 1, 1]);
        let emptied: Vec<_> = epochs.iter().map(|epoch| epoch.emptied.len()).collect();
        assert_eq!(emptied, [0, 1, 0]);
        assert_eq!(split(&records, &[]).len(), 1);
    }

    #[test]
    fn nobody_answers_between_two_epochs() {
        let records = [good(5, 70, 80), lost(92, 99), good(5, 95, 97), good(5, 85, 105)];
        let mut records = records.to_vec();
        records.sort_by_key(|record| record.sent);
        let epochs = split(&records, &[restored(50, 90, 100)]);
        assert_eq!(epochs[0].overdue().len(), 2, "{:?}", epochs[0].overdue());
        assert!(epochs[1].overdue().is_empty());
    }
}
