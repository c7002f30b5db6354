//! The queue of casts as this host knows it, and which of them to claim next. Without I/O.
//!
//! All hosts see the same queue. If each picked the oldest cast, they would all try to claim the
//! same one, and all but one in vain. So a host picks at random among as many of the oldest casts
//! as all hosts together have slots for.
//!
//! Invariant: a cast that was picked is not picked again before its attempt has ended, nor, if
//! another host was faster, before the watch has reported its new version.

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
    /// The casts of this host whose attempts have not ended.
    in_progress: BTreeSet<CastKey>,
}

/// The casts of one task, by their ids, which sort by age.
#[derive(Debug, Default)]
struct TaskQueue {
    casts: BTreeMap<Arc<str>, CastQueueEntry>,
    /// The casts that some host has claimed.
    claimed: BTreeSet<Arc<str>>,
    /// The casts that may be picked now.
    ready: BTreeSet<Arc<str>>,
    /// The casts that may be picked from the given moment on.
    waiting: BTreeSet<(BootTime, Arc<str>)>,
}

#[derive(Debug)]
struct CastQueueEntry {
    queued: QueuedCast,
    /// When the pause after a failed attempt is over.
    due: BootTime,
    /// Whether the known version was tried in vain, so that there must be a newer one.
    is_stale: bool,
}

impl CastQueue {
    /// Replaces the whole queue by `all`. A cast whose version has not changed keeps the moment at
    /// which it is due: the store reports the whole queue now and then, and the pauses of casts
    /// must not begin again each time.
    pub(super) fn replace_all(&mut self, all: Vec<CastChange>, now: BootTime) {
        let before = mem::take(&mut self.tasks);
        self.apply(all, now);
        for (task, old) in before {
            let Some(new) = self.tasks.get_mut(&task) else { continue };
            for (id, before) in old.casts {
                new.keep_due_time(&id, &before);
            }
        }
    }

    /// Applies changes that were reported at `now`.
    pub(super) fn apply(&mut self, changes: Vec<CastChange>, now: BootTime) {
        for change in changes {
            let key = match &change {
                CastChange::Queued(queued) => &queued.key,
                CastChange::Left(key) | CastChange::Claimed(key, _) | CastChange::Free(key) => key,
            };
            let (key, is_ours) = (key.clone(), self.in_progress.contains(key));
            let queue = self.tasks.entry(key.task.clone()).or_default();
            queue.apply(change, &key.id, now);
            queue.reschedule(&key.id, is_ours);
            if queue.casts.is_empty() && queue.claimed.is_empty() {
                self.tasks.remove(&key.task);
            }
        }
    }

    /// Picks up to `slots` casts of a task to claim now, in a cluster of `hosts` that all do so.
    pub(super) fn pick(
        &mut self,
        task: &str,
        slots: usize,
        hosts: usize,
        now: BootTime,
        random: &mut fastrand::Rng,
    ) -> Vec<QueuedCast> {
        let Some(queue) = self.tasks.get_mut(task) else { return Vec::new() };
        queue.promote_due(now);
        let window = slots.saturating_mul(hosts.max(1));
        let mut oldest: Vec<_> = queue.ready.iter().take(window).cloned().collect();
        random.shuffle(&mut oldest);
        oldest.truncate(slots);
        let picked = oldest.iter().filter_map(|id| Some(queue.casts.get(id)?.queued.clone()));
        let picked: Vec<_> = picked.collect();
        for QueuedCast { key, .. } in &picked {
            queue.ready.remove(&key.id);
            self.in_progress.insert(key.clone());
        }
        picked
    }

    /// The attempt at a cast has ended. If `outdated` is the version that is known here, the cast is
    /// not picked before a newer one is reported.
    pub(super) fn attempt_ended(&mut self, key: &CastKey, outdated: Option<i64>) {
        self.in_progress.remove(key);
        let Some(queue) = self.tasks.get_mut(&key.task) else { return };
        if let Some(entry) = queue.casts.get_mut(&key.id) {
            entry.is_stale |= outdated == Some(entry.queued.version);
        }
        queue.reschedule(&key.id, false);
    }

    /// When the first waiting cast of these tasks is due.
    pub(super) fn next_due<'a>(&self, tasks: impl Iterator<Item = &'a Arc<str>>) -> BootTime {
        let queues = tasks.filter_map(|task| self.tasks.get(task));
        let first = queues.filter_map(|queue| Some(queue.waiting.first()?.0)).min();
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

    /// Gives a cast the due time that it had `before`, if its version is the same.
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

    /// Moves a cast into `waiting`, or out of it, after it has changed. From there
    /// [`TaskQueue::promote_due`] moves it on to `ready`.
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
