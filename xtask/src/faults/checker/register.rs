//! Is the register a register?
//!
//! Each request adds one to it, and its answer says under which token and what
//! it is now. So every acknowledged value comes once, rises from one request to
//! the next that begins after it, under tokens that never fall; and at the end
//! the register has counted every acknowledged request, and nothing that was
//! never asked for.

use crate::faults::clock::ms;
use crate::faults::history::{Action, Outcome, Record};

/// What the answers say of the register.
#[derive(Debug, Default)]
pub(crate) struct Register {
    /// Requests that were acknowledged.
    pub(crate) acknowledged: u64,
    /// Requests of which it is not known whether they counted.
    pub(crate) uncertain: u64,
    /// What it was at the end.
    pub(crate) last: u64,
    /// Acknowledged writes that are not there.
    pub(crate) lost: Vec<String>,
    /// Values that were acknowledged twice, or counted without being asked for.
    pub(crate) doubled: Vec<String>,
    /// Writes under an older token after one under a newer.
    pub(crate) stale: Vec<String>,
    /// Good answers that say something else than they should.
    pub(crate) unreadable: Vec<String>,
}

/// A write that was acknowledged.
#[derive(Clone, Copy)]
struct Write {
    token: u64,
    value: u64,
    sent: u64,
    received: u64,
}

/// Checks the answers against `last`, the value that a last request, which is
/// none of `records`, got after all of them.
pub(crate) fn check(records: &[Record], last: u64) -> Register {
    let mut register = Register { last, ..Register::default() };
    let mut writes = read(records, &mut register);
    order(&mut writes, &mut register);
    writes.sort_unstable_by_key(|write| (write.value, write.token));
    for pair in writes.windows(2) {
        let (one, next) = (pair[0], pair[1]);
        if one.value == next.value {
            register.doubled.push(format!(
                "the value {} was acknowledged twice, under the tokens {} and {}",
                one.value, one.token, next.token
            ));
        }
        if one.token > next.token {
            register.stale.push(format!(
                "token {} wrote {}, and then the older token {} wrote {}",
                one.token, one.value, next.token, next.value
            ));
        }
    }
    bounds(&writes, &mut register);
    register
}

/// The acknowledged writes; counts the others.
fn read(records: &[Record], register: &mut Register) -> Vec<Write> {
    let mut writes = Vec::new();
    for record in records.iter().filter(|record| record.action == Action::Register) {
        let Some(answer) = record.good() else {
            // Even a refusal may come from a host that noticed after the write.
            register.uncertain += u64::from(!matches!(record.outcome, Outcome::Unreached));
            continue;
        };
        match answer.write() {
            Some((token, value)) if Some(token) == answer.token => {
                let (sent, received) = (record.sent, record.received);
                writes.push(Write { token, value, sent, received });
            }
            _ => register.unreadable.push(format!(
                "an answer under the token {:?} says {:?}",
                answer.token, answer.body
            )),
        }
    }
    register.acknowledged = writes.len() as u64;
    writes
}

/// A request that begins after another was answered gets a greater value.
fn order(writes: &mut [Write], register: &mut Register) {
    writes.sort_unstable_by_key(|write| write.received);
    let mut highest = Vec::with_capacity(writes.len());
    let mut so_far = 0;
    for write in writes.iter() {
        so_far = write.value.max(so_far);
        highest.push((write.received, so_far));
    }
    for write in writes.iter() {
        let before = highest.partition_point(|(received, _)| *received < write.sent);
        let Some(&(received, value)) = before.checked_sub(1).and_then(|last| highest.get(last))
        else {
            continue;
        };
        // An equal value is told of as one that came twice.
        if value > write.value {
            register.lost.push(format!(
                "{value} was acknowledged, and a request sent at least {:.3} ms later got {} \
                 (token {})",
                ms(write.sent - received),
                write.value,
                write.token
            ));
        }
    }
}

/// `writes` are in the order of their values.
fn bounds(writes: &[Write], register: &mut Register) {
    let highest = writes.last().map_or(0, |write| write.value);
    if register.last <= highest {
        register
            .lost
            .push(format!("{highest} was acknowledged, and a last request got {}", register.last));
    }
    // The last request counts as well.
    let most = register.acknowledged + register.uncertain + 1;
    if register.last > most {
        register.doubled.push(format!(
            "the register is at {} at the end, and was asked to count {most} times at most",
            register.last
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::history::made::{answered, good, lost, write};

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
}
