//! The queue of casts as this host knows it, and what to claim next. Pure.
//!
//! All hosts see the same queue. If each took its oldest cast, they would all
//! run for the same one, and all but one in vain. So a host picks at random
//! among as many of the oldest as all hosts together have places for.
//!
//! Invariant: a cast that was picked is not picked again before its attempt has
//! ended, nor, after a lost race, before there is news of it: what is known of it
//! here is stale.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use soloist_heart::clock::BootTime;
use soloist_stores::{CastChange, CastKey, QueuedCast};

/// The casts that are not done.
#[derive(Debug, Default)]
pub(super) struct CastQueue {
    tasks: BTreeMap<Arc<str>, TaskQueue>,
    /// The casts that were picked, and whose attempts have not ended.
    in_progress: BTreeSet<CastKey>,
}

/// The casts of one task, by their ids.
#[derive(Debug, Default)]
struct TaskQueue {
    casts: BTreeMap<Arc<str>, CastQueueEntry>,
    claimed: BTreeSet<Arc<str>>,
    /// What may be picked.
    ready: BTreeSet<Arc<str>>,
    /// What may be picked later.
    waiting: BTreeSet<(BootTime, Arc<str>)>,
}

#[derive(Debug)]
struct CastQueueEntry {
    queued: QueuedCast,
    /// When it has been left alone for long enough.
    due: BootTime,
    /// Whether the version that is known was tried in vain.
    is_stale: bool,
}

impl CastQueue {
    /// Takes in that this is all there is by `now`. A cast that is as it was is left alone for no
    /// longer than before: the whole queue is told now and then, however long casts wait.
    pub(super) fn replace_all(&mut self, all: Vec<CastChange>, now: BootTime) {
        let before = mem::take(&mut self.tasks);
        self.apply(all, now);
        for (task, lane) in before {
            let Some(now) = self.tasks.get_mut(&task) else { continue };
            for (id, before) in lane.casts {
                now.keep_due_time(&id, &before);
            }
        }
    }

    /// Takes in what has changed by `now`.
    pub(super) fn apply(&mut self, changes: Vec<CastChange>, now: BootTime) {
        for change in changes {
            let key = match &change {
                CastChange::Queued(queued) => &queued.key,
                CastChange::Left(key) | CastChange::Claimed(key, _) | CastChange::Free(key) => key,
            };
            let (key, is_ours) = (key.clone(), self.in_progress.contains(key));
            let lane = self.tasks.entry(key.task.clone()).or_default();
            lane.apply(change, &key.id, now);
            lane.reschedule(&key.id, is_ours);
            if lane.casts.is_empty() && lane.claimed.is_empty() {
                self.tasks.remove(&key.task);
            }
        }
    }

    /// Picks casts of a task that are to be claimed now, as many as there are
    /// `places`, where `hosts` do the same.
    pub(super) fn pick(
        &mut self,
        task: &str,
        places: usize,
        hosts: usize,
        now: BootTime,
        random: &mut fastrand::Rng,
    ) -> Vec<QueuedCast> {
        let Some(lane) = self.tasks.get_mut(task) else { return Vec::new() };
        lane.promote_due(now);
        let window = places.saturating_mul(hosts.max(1));
        let mut oldest: Vec<_> = lane.ready.iter().take(window).cloned().collect();
        random.shuffle(&mut oldest);
        oldest.truncate(places);
        let picked = oldest.iter().filter_map(|id| Some(lane.casts.get(id)?.queued.clone()));
        let picked: Vec<_> = picked.collect();
        for QueuedCast { key, .. } in &picked {
            lane.ready.remove(&key.id);
            self.in_progress.insert(key.clone());
        }
        picked
    }

    /// Takes in that the attempt at a cast has ended. Where the cast was not as
    /// it `seemed`, its news is waited for.
    pub(super) fn attempt_ended(&mut self, key: &CastKey, seemed: Option<i64>) {
        self.in_progress.remove(key);
        let Some(lane) = self.tasks.get_mut(&key.task) else { return };
        if let Some(entry) = lane.casts.get_mut(&key.id) {
            entry.is_stale |= seemed == Some(entry.queued.version);
        }
        lane.reschedule(&key.id, false);
    }

    /// When the first of these tasks' casts is due that is not yet.
    pub(super) fn next_due<'a>(&self, tasks: impl Iterator<Item = &'a Arc<str>>) -> BootTime {
        let lanes = tasks.filter_map(|task| self.tasks.get(task));
        let first = lanes.filter_map(|lane| Some(lane.waiting.first()?.0)).min();
        first.unwrap_or(BootTime::NEVER)
    }
}

impl TaskQueue {
    fn apply(&mut self, change: CastChange, id: &Arc<str>, now: BootTime) {
        match change {
            CastChange::Queued(queued) => self.put(queued, now),
            CastChange::Left(_) => {
                if let Some(entry) = self.casts.remove(id) {
                    self.waiting.remove(&(entry.due, id.clone()));
                }
            }
            CastChange::Claimed(..) => drop(self.claimed.insert(id.clone())),
            CastChange::Free(_) => drop(self.claimed.remove(id)),
        }
    }

    fn put(&mut self, queued: QueuedCast, now: BootTime) {
        let id = queued.key.id.clone();
        let due = match queued.head.wait {
            0 => BootTime::ZERO,
            wait => now + std::time::Duration::from_millis(wait),
        };
        if let Some(before) =
            self.casts.insert(id.clone(), CastQueueEntry { queued, due, is_stale: false })
        {
            self.waiting.remove(&(before.due, id));
        }
    }

    /// Gives a cast that is as it was `before` the moment back at which it was due.
    fn keep_due_time(&mut self, id: &Arc<str>, before: &CastQueueEntry) {
        let Some(entry) = self.casts.get_mut(id) else { return };
        if entry.queued.version == before.queued.version && entry.due != before.due {
            let waited = self.waiting.remove(&(entry.due, id.clone()));
            entry.due = before.due;
            if waited {
                self.waiting.insert((before.due, id.clone()));
            }
        }
    }

    /// Puts a cast where it belongs after a change: those that wait pass to the
    /// ready ones when their time has come.
    fn reschedule(&mut self, id: &Arc<str>, is_ours: bool) {
        self.ready.remove(id);
        let Some(entry) = self.casts.get(id) else { return };
        let waiting = (entry.due, id.clone());
        if is_ours || entry.is_stale || self.claimed.contains(id) {
            self.waiting.remove(&waiting);
        } else {
            self.waiting.insert(waiting);
        }
    }

    fn promote_due(&mut self, now: BootTime) {
        while self.waiting.first().is_some_and(|(due, _)| *due <= now) {
            self.ready.extend(self.waiting.pop_first().map(|(_, id)| id));
        }
    }
}

#[cfg(test)]
mod tests;
