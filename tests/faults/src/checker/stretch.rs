//! A time without restores and deletions, in which the register can only rise.

use super::epochs::{Deletion, Restore};
use super::register::Register;
use crate::clock::ms;

/// An acknowledged write.
#[derive(Clone, Copy)]
pub(super) struct Write {
    pub(super) fencing_token: u64,
    pub(super) value: u64,
    pub(super) sent: u64,
    pub(super) received: u64,
}

/// The register's value at the beginning of a stretch, as a minimum and a maximum.
#[derive(Clone, Copy, Default)]
pub(super) struct Base {
    least: u64,
    most: u64,
}

/// A time in which the register can only rise.
pub(super) struct Stretch {
    pub(super) base: Base,
    pub(super) writes: Vec<Write>,
    /// When each request was sent and given up, for those that may or may not have counted.
    pub(super) uncertain: Vec<(u64, u64)>,
}

impl Stretch {
    /// Splits the stretch at a deletion of all keys. A leader key from before is gone afterwards,
    /// so each write under its fencing token was made before. A request without an answer that was
    /// in flight may have counted on either side.
    pub(super) fn empty(self, emptied: &Deletion) -> (Self, Self) {
        let (begun, done) = emptied.during;
        let (old, new) =
            self.writes.into_iter().partition(|it| it.fencing_token < emptied.revision);
        let under_way = self.uncertain.iter().copied();
        let before = under_way.clone().filter(|(sent, _)| *sent <= done).collect();
        let after = under_way.filter(|(_, received)| *received >= begun).collect();
        (
            Self { base: self.base, writes: old, uncertain: before },
            Self { base: Base::default(), writes: new, uncertain: after },
        )
    }

    /// The number of writes that were acknowledged after the snapshot was begun. Those made during
    /// the snapshot may be part of it.
    pub(super) fn written_since(&self, restored: &Restore) -> u64 {
        let since = self.writes.iter().filter(|write| write.received >= restored.saved.0);
        since.count() as u64
    }

    /// The register's value after this snapshot is restored.
    pub(super) fn base_after(&self, restored: &Restore) -> Base {
        let (begun, done) = restored.saved;
        let kept = self.writes.iter().filter(|write| write.received < begun);
        let asked = self.writes.iter().map(|write| write.sent);
        let asked = asked.chain(self.uncertain.iter().map(|(sent, _)| *sent));
        Base {
            least: kept.map(|write| write.value).max().unwrap_or(self.base.least),
            most: self.base.most + asked.filter(|sent| *sent <= done).count() as u64,
        }
    }

    /// Checks the writes. `last` is the answer to the last request, if this stretch is the last
    /// one.
    pub(super) fn check(&self, last: Option<u64>, register: &mut Register) {
        let mut writes = self.writes.clone();
        order(&mut writes, register);
        writes.sort_unstable_by_key(|write| (write.value, write.fencing_token));
        for pair in writes.windows(2) {
            let (one, next) = (pair[0], pair[1]);
            if one.value == next.value {
                register.doubled.push(format!(
                    "the value {} was acknowledged twice, under the fencing tokens {} and {}",
                    one.value, one.fencing_token, next.fencing_token
                ));
            }
            if one.fencing_token > next.fencing_token {
                register.stale.push(format!(
                    "fencing token {} wrote {}, and then the older fencing token {} wrote {}",
                    one.fencing_token, one.value, next.fencing_token, next.value
                ));
            }
        }
        self.bounds(&writes, last, register);
    }

    /// Checks the lowest and the highest value. `writes` are in the order of their values.
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
        // The last request adds one, too.
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

/// Checks that a request that is sent after another one was answered gets a greater value.
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
        // Equal values are reported as doubled.
        if value > write.value {
            register.lost.push(format!(
                "{value} was acknowledged, and a request sent at least {:.3} ms later got {} \
                 (fencing token {})",
                ms(write.sent - received),
                write.value,
                write.fencing_token
            ));
        }
    }
}
