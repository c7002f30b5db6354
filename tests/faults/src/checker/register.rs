//! Is the register consistent?
//!
//! Each request adds one to it and is answered with the fencing token and the new value. So every
//! acknowledged value is unique, is greater than the values of all requests that were answered
//! before this one was sent, and fencing tokens rise with the values. At the end the value includes
//! every acknowledged request, and nothing that was never requested.
//!
//! After a restore or a deletion, the register continues from what was left: at least what was
//! acknowledged before the snapshot, and at most what had been requested by then.

use super::epochs::Epoch;
use super::stretch::{Base, Stretch, Write};
use crate::history::{Action, Outcome, Record, read_write};

/// The result of the register's checks.
#[derive(Debug, Default)]
pub(crate) struct Register {
    /// The number of acknowledged requests.
    pub(crate) acknowledged: u64,
    /// The number of acknowledged requests that a restore or a deletion has undone.
    pub(crate) taken_back: u64,
    /// The number of requests that may or may not have counted.
    pub(crate) uncertain: u64,
    /// How many restores and deletions there were.
    pub(crate) rebased: usize,
    /// The last value.
    pub(crate) last: u64,
    /// Acknowledged writes that are missing, each as a sentence.
    pub(crate) lost: Vec<String>,
    /// Values that were acknowledged twice or counted without a request.
    pub(crate) doubled: Vec<String>,
    /// Writes under an older fencing token after one under a newer fencing token.
    pub(crate) stale: Vec<String>,
    /// Good answers that are not a fencing token and a value.
    pub(crate) unreadable: Vec<String>,
}

/// Checks all epochs. `last` is the answer to one more request, after all of the records.
pub(crate) fn check(epochs: &[Epoch], last: u64) -> Register {
    let mut register = Register { last, ..Register::default() };
    let mut base = Base::default();
    for epoch in epochs {
        let mut stretch = read(epoch.records, base, &mut register);
        for emptied in &epoch.emptied {
            let (before, after) = stretch.empty(emptied);
            before.check(None, &mut register);
            register.taken_back += before.writes.len() as u64;
            stretch = after;
        }
        match &epoch.end {
            None => stretch.check(Some(last), &mut register),
            Some(restored) => {
                stretch.check(None, &mut register);
                register.taken_back += stretch.written_since(restored);
                base = stretch.base_after(restored);
            }
        }
        register.rebased += epoch.emptied.len() + usize::from(epoch.end.is_some());
    }
    register
}

/// The writes of an epoch. `register` counts them and collects unreadable answers.
fn read(records: &[Record], base: Base, register: &mut Register) -> Stretch {
    let mut stretch = Stretch { base, writes: Vec::new(), uncertain: Vec::new() };
    for record in records.iter().filter(|record| record.action == Action::Register) {
        let (sent, received) = (record.sent, record.received);
        let Some(answer) = record.good() else {
            // Even a refused request may have counted, if the host noticed the end of its term
            // after the write.
            if !matches!(record.outcome, Outcome::Unreached) {
                stretch.uncertain.push((sent, received));
            }
            continue;
        };
        match read_write(answer) {
            Some((fencing_token, value)) if Some(fencing_token) == answer.fencing_token => {
                stretch.writes.push(Write { fencing_token, value, sent, received });
            }
            _ => register.unreadable.push(format!(
                "an answer under the fencing token {:?} says {:?}",
                answer.fencing_token, answer.body
            )),
        }
    }
    register.acknowledged += stretch.writes.len() as u64;
    register.uncertain += stretch.uncertain.len() as u64;
    stretch
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checker::epochs::split;
    use crate::history::made::{answered, good, lost, write};
    use crate::injected_fault::InjectedFault;
    use crate::injected_fault::made::{emptied, restored};

    /// Checks a history without a restore.
    fn check(records: &[Record], last: u64) -> Register {
        check_with(records, &[], last)
    }

    fn check_with(records: &[Record], faults: &[InjectedFault], last: u64) -> Register {
        let mut records = records.to_vec();
        records.sort_by_key(|record| record.sent);
        super::check(&split(&records, faults), last)
    }

    fn is_clean(register: &Register) -> bool {
        register.lost.is_empty()
            && register.doubled.is_empty()
            && register.stale.is_empty()
            && register.unreadable.is_empty()
    }

    fn history() -> Vec<Record> {
        vec![
            write(5, 1, 10, 20),
            write(5, 3, 21, 40),
            write(5, 2, 22, 41),
            lost(50, 60),
            write(9, 5, 70, 80),
            answered(503, 9, 90, 95, "no"),
        ]
    }

    #[test]
    fn a_register_is_clean() {
        for last in [6, 7] {
            let register = check(&history(), last);
            assert!(is_clean(&register), "{register:?}");
            assert_eq!((register.acknowledged, register.uncertain), (4, 2));
        }
    }

    #[test]
    fn answers_of_other_actions_are_no_writes() {
        let mut records = history();
        records.push(good(5, 10, 20));
        assert_eq!(check(&records, 8).doubled.len(), 1);
    }

    #[test]
    fn a_value_that_comes_twice_is_doubled() {
        let mut records = history();
        records.push(write(9, 5, 71, 81));
        assert_eq!(check(&records, 7).doubled.len(), 1);
    }

    #[test]
    fn a_value_that_falls_was_lost() {
        let mut records = history();
        records.push(write(9, 4, 100, 110));
        let register = check(&records, 7);
        assert_eq!(register.lost.len(), 1, "{register:?}");
    }

    #[test]
    fn an_end_below_an_acknowledged_value_was_lost() {
        assert_eq!(check(&history(), 5).lost.len(), 1);
        assert_eq!(check(&history(), 2).lost.len(), 1);
    }

    #[test]
    fn an_end_above_all_attempts_was_doubled() {
        assert_eq!(check(&history(), 8).doubled.len(), 1);
    }

    #[test]
    fn requests_without_a_connection_explain_nothing() {
        let mut records = history();
        let mut refused = lost(96, 97);
        refused.outcome = Outcome::Unreached;
        records.push(refused);
        assert_eq!(check(&records, 8).doubled.len(), 1);
    }

    #[test]
    fn an_older_token_that_writes_after_a_newer_is_stale() {
        let mut records = history();
        records.push(write(5, 6, 72, 90));
        let register = check(&records, 7);
        assert_eq!(register.stale.len(), 1, "{register:?}");
    }

    #[test]
    fn answers_that_are_no_write_are_told_of() {
        let records = [answered(200, 5, 10, 20, "hello"), answered(200, 5, 30, 40, "6 1\n")];
        assert_eq!(check(&records, 3).unreadable.len(), 2);
    }

    /// A register that was restored to its state at 45, and continues from there.
    fn put_back() -> (Vec<Record>, [InjectedFault; 1]) {
        let mut records = history();
        // The restore undoes 4 and 5, and fencing tokens come again.
        records.push(write(9, 4, 46, 48));
        records.extend([write(7, 4, 210, 220), write(7, 5, 221, 230)]);
        (records, [restored(45, 190, 200)])
    }

    #[test]
    fn what_a_restore_takes_back_was_not_lost() {
        let (records, faults) = put_back();
        let register = check_with(&records, &faults, 6);
        assert!(is_clean(&register), "{register:?}");
        assert_eq!((register.acknowledged, register.taken_back, register.rebased), (7, 2, 1));
        // Without the restore, this is no consistent register.
        let register = check(&records, 6);
        assert!(!register.lost.is_empty() && !register.doubled.is_empty(), "{register:?}");
        assert!(!register.stale.is_empty(), "{register:?}");
    }

    #[test]
    fn what_the_snapshot_had_is_not_given_up() {
        let (mut records, faults) = put_back();
        records.push(write(6, 3, 202, 205));
        let register = check_with(&records, &faults, 6);
        assert!(
            register.lost.iter().any(|text| text.contains("before a snapshot")),
            "{register:?}"
        );
        // Without any later write, the last value shows it.
        let register = check_with(&history(), &faults, 3);
        assert_eq!(register.lost.len(), 2, "{register:?}");
    }

    #[test]
    fn what_nobody_asked_for_is_told_of_after_a_restore_too() {
        // At the snapshot the value was 3, so the acknowledged requests alone do not explain this
        // one.
        let (records, faults) = put_back();
        assert_eq!(check_with(&records, &faults, 7).doubled.len(), 1);
        // A request that may have counted before the snapshot does.
        let mut records = records;
        records.push(lost(42, 60));
        assert!(is_clean(&check_with(&records, &faults, 7)));
    }

    #[test]
    fn each_epoch_is_a_register_of_its_own() {
        let (mut records, faults) = put_back();
        records.push(write(7, 4, 231, 240));
        let register = check_with(&records, &faults, 7);
        assert_eq!((register.doubled.len(), register.lost.len()), (1, 1), "{register:?}");
        let (mut records, faults) = put_back();
        records.push(write(5, 3, 80, 90));
        let register = check_with(&records, &faults, 6);
        assert_eq!((register.doubled.len(), register.lost.len()), (1, 1), "{register:?}");
    }

    #[test]
    fn what_was_deleted_with_everything_else_was_not_lost() {
        let mut records = history();
        // The write under the old fencing token was made before the deletion, though acknowledged
        // after it.
        records.extend([write(9, 6, 90, 130), write(15, 1, 110, 120), write(15, 2, 131, 140)]);
        let faults = [emptied(12, 100)];
        let register = check_with(&records, &faults, 3);
        assert!(is_clean(&register), "{register:?}");
        assert_eq!((register.taken_back, register.rebased), (5, 1));
        let as_one = check(&records, 3);
        assert!(!as_one.lost.is_empty() && !as_one.doubled.is_empty(), "{as_one:?}");
        // Without a working fence, a former leader could write into the emptied store.
        records.push(write(9, 3, 150, 160));
        let register = check_with(&records, &faults, 4);
        assert!(!is_clean(&register), "{register:?}");
    }
}
