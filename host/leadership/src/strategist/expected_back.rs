//! Candidates that left a queue a moment ago and are expected back.
//!
//! A host that steps back or hands over is in no queue until it stands again. The plan by which
//! groups are spread treats it as if it were still there; otherwise each move would briefly change
//! the plan, and thereby what other hosts do.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use soloist_heart::{Group, LeaseId, clock::BootTime};
use soloist_stores::{QueuedCandidate, Roster};

/// How long a candidate is expected back.
const BACK_WITHIN: Duration = Duration::from_secs(2);

/// The queues as they were last seen, and the candidates that have left them since.
#[derive(Debug, Default)]
pub(super) struct ExpectedBack {
    queues: BTreeMap<Group, Vec<Arc<QueuedCandidate>>>,
    left: BTreeMap<Group, Vec<(Arc<QueuedCandidate>, BootTime)>>,
}

impl ExpectedBack {
    /// Updates this from the current queues of `groups`.
    pub(super) fn update<'a>(
        &mut self,
        roster: &Roster,
        groups: impl Iterator<Item = &'a Group>,
        now: BootTime,
    ) {
        for group in groups {
            let queue = roster.queue(group);
            let before = self.queues.get(group).map_or(&[][..], Vec::as_slice);
            if before == queue {
                continue;
            }
            let leavers = before.iter().filter(|was| !stands(queue, was.key.lease));
            let leavers: Vec<_> = leavers.map(|was| (Arc::clone(was), now)).collect();
            if !leavers.is_empty() {
                self.left.entry(group.clone()).or_default().extend(leavers);
            }
            self.queues.insert(group.clone(), queue.to_vec());
        }
        let alive: BTreeSet<_> = roster.members.iter().map(|(lease, _)| *lease).collect();
        self.left.retain(|group, left| {
            let queue = roster.queue(group);
            left.retain(|(standing, at)| {
                let lease = standing.key.lease;
                now.since(*at) < BACK_WITHIN && alive.contains(&lease) && !stands(queue, lease)
            });
            !left.is_empty()
        });
    }

    /// The candidates that are expected back in `group`.
    pub(super) fn in_group(&self, group: &Group) -> impl Iterator<Item = &QueuedCandidate> {
        self.left.get(group).into_iter().flatten().map(|(standing, _)| &**standing)
    }
}

fn stands(queue: &[Arc<QueuedCandidate>], lease: LeaseId) -> bool {
    queue.iter().any(|standing| standing.key.lease == lease)
}
