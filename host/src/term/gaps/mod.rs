//! Gaps: the times in which nobody performs in a group, since when, and why.
//!
//! To stand first in the queue is not yet to lead. The head of a queue may be a stranger's entry,
//! or a host that does not know that it heads the queue, or cannot act. A leader writes to the
//! store since when it leads, right after it has won; so a host that heads a queue and has not
//! written that does not perform, unless it says itself that it does: a full store keeps it from
//! writing. Every host that sees a gap reports it, in its status, metrics and log.

mod gap_reporter;
mod gap_watch;
mod leader_inquiry;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

pub use self::gap_watch::GapWatch;
use self::leader_inquiry::UnproclaimedTerm;
use soloist_heart::{Group, clock::BootTime};
use soloist_leadership::GapReason;
use soloist_stores::ForeignCandidate;

/// A time in which nobody performs in a group, as far as this host knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// When it began.
    pub since: BootTime,
    /// When it began, in milliseconds of Unix time.
    pub since_unix: u64,
    /// What keeps the group without a leader now.
    pub reason: GapReason,
    /// Since when that is the reason.
    pub reason_since: BootTime,
}

/// The gaps of all groups, and the strangers in their queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    /// The groups in which nobody performs now.
    pub groups: BTreeMap<Group, Gap>,
    /// The groups whose leader performs, and has not been able to write so.
    pub unproclaimed: BTreeMap<Group, UnproclaimedTerm>,
    /// When each stranger was first seen, in milliseconds of Unix time.
    pub strangers_seen: BTreeMap<Arc<ForeignCandidate>, u64>,
    /// Gaps that are shorter than this are normal hand-overs.
    threshold: Duration,
}

impl Gaps {
    /// For how long nobody has performed in `group`; zero if somebody does.
    #[must_use]
    pub fn duration(&self, group: &Group) -> Duration {
        self.groups.get(group).map_or(Duration::ZERO, |gap| BootTime::now().since(gap.since))
    }

    /// The gap of `group`, if it is longer than a hand-over takes.
    #[must_use]
    pub fn long_gap(&self, group: &Group) -> Option<&Gap> {
        self.groups.get(group).filter(|_| self.duration(group) >= self.threshold)
    }

    /// The gap of `group`, if it is long and its reason can be blamed for it. A host that has only
    /// just become the head of a queue cannot: it may be about to say that it leads.
    #[must_use]
    pub fn blamed_gap(&self, group: &Group) -> Option<&Gap> {
        let lasts = |gap: &Gap| BootTime::now().since(gap.reason_since) >= self.threshold;
        self.long_gap(group)
            .filter(|gap| !matches!(gap.reason, GapReason::Silent { .. }) || lasts(gap))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use soloist_heart::{LeaderKey, LeaseId};

    #[test]
    fn a_host_that_has_just_become_head_of_a_queue_is_not_blamed_yet() {
        let group = Group::main();
        let key = LeaderKey::new(group.clone(), "key", LeaseId(1), 1);
        let silent = GapReason::Silent { host: "a".into(), key };
        let later = BootTime::now() + Duration::from_secs(3600);
        let blamed = |reason: &GapReason, reason_since: BootTime| {
            let gap =
                Gap { since: BootTime::ZERO, since_unix: 0, reason: reason.clone(), reason_since };
            let gaps = Gaps {
                groups: BTreeMap::from([(group.clone(), gap)]),
                threshold: Duration::from_millis(1),
                ..Gaps::default()
            };
            assert!(gaps.long_gap(&group).is_some());
            gaps.blamed_gap(&group).is_some()
        };
        assert!(!blamed(&silent, later), "it may be about to say so");
        assert!(blamed(&silent, BootTime::ZERO));
        assert!(blamed(&GapReason::Nobody, later));
    }
}
