//! A time in which nobody puts the store back or empties it: the register only rises.

use super::epochs::{Emptied, Restored};
use super::register::Register;
use crate::clock::ms;

/// A write that was acknowledged.
#[derive(Clone, Copy)]
pub(super) struct Write {
    pub(super) token: u64,
    pub(super) value: u64,
    pub(super) sent: u64,
    pub(super) received: u64,
}

/// What the register was when a stretch began, at least and at most.
#[derive(Clone, Copy, Default)]
pub(super) struct Base {
    least: u64,
    most: u64,
}

/// A time in which the register only rises.
pub(super) struct Stretch {
    pub(super) base: Base,
    pub(super) writes: Vec<Write>,
    /// When each request was sent and given up of which it is not known whether it counted.
    pub(super) uncertain: Vec<(u64, u64)>,
}

impl Stretch {
    /// What was before everything was deleted, and what after. A leader key of before is
    /// none after it, so no write under its token can have come later. A request without
    /// an answer may have counted on either side, if it was under way.
    pub(super) fn empty(self, emptied: &Emptied) -> (Self, Self) {
        let (begun, done) = emptied.during;
        let (old, new) = self.writes.into_iter().partition(|it| it.token < emptied.revision);
        let under_way = self.uncertain.iter().copied();
        let before = under_way.clone().filter(|(sent, _)| *sent <= done).collect();
        let after = under_way.filter(|(_, received)| *received >= begun).collect();
        (
            Self { base: self.base, writes: old, uncertain: before },
            Self { base: Base::default(), writes: new, uncertain: after },
        )
    }

    /// Writes that were acknowledged after a snapshot was begun; one that was made while
    /// it was may be in it.
    pub(super) fn written_since(&self, restored: &Restored) -> u64 {
        let since = self.writes.iter().filter(|write| write.received >= restored.saved.0);
        since.count() as u64
    }

    /// What the register is when a snapshot of this time is put back.
    pub(super) fn base_after(&self, restored: &Restored) -> Base {
        let (begun, done) = restored.saved;
        let kept = self.writes.iter().filter(|write| write.received < begun);
        let asked = self.writes.iter().map(|write| write.sent);
        let asked = asked.chain(self.uncertain.iter().map(|(sent, _)| *sent));
        Base {
            least: kept.map(|write| write.value).max().unwrap_or(self.base.least),
            most: self.base.most + asked.filter(|sent| *sent <= done).count() as u64,
        }
    }

    /// Checks what was written; `last` is what a last request got, if this is the end.
    pub(super) fn check(&self, last: Option<u64>, register: &mut Register) {
        let mut writes = self.writes.clone();
        order(&mut writes, register);
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
        self.bounds(&writes, last, register);
    }

    /// `writes` are in the order of their values.
    fn bounds(&self, writes: &[Write], last: Option<u64>, register: &mut Register) {
        let Base { least, most } = self.base;
        let first = writes.first().map(|write| write.value).or(last);
        if let Some(first) = first.filter(|first| *first <= least) {
            register.lost.push(format!(
                "{least} was acknowledged before a snapshot, and a request after its restore \
                 got {first}"
            ));
        }
        let highest = writes.last().map_or(least, |write| write.value);
        if let Some(last) = last.filter(|last| *last <= highest) {
            register
                .lost
                .push(format!("{highest} was acknowledged, and a last request got {last}"));
        }
        // The last request counts as well.
        let asked = (writes.len() + self.uncertain.len() + usize::from(last.is_some())) as u64;
        let end = last.unwrap_or(highest);
        if end > most + asked {
            register.doubled.push(format!(
                "the register came to {end}, and was asked to count {} times at most",
                most + asked
            ));
        }
    }
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
