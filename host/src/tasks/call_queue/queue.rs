//! The queue of calls as this host knows it, and which of them to claim next. Without I/O.
//!
//! All hosts see the same queue. If each picked the oldest queued call, they would all try to claim
//! the same one, and all but one in vain. So a host picks at random among as many of the oldest
//! queued calls as all hosts together have slots for.
//!
//! Invariant: a queued call that was picked is not picked again before its attempt has ended, nor,
//! if another host was faster, before the watch has reported its new version.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    sync::Arc,
};

use soloist_heart::clock::BootTime;
use soloist_stores::{CallQueueChange, QueuedCallKey, WaitingCall};

/// The queued calls that are not done.
#[derive(Debug, Default)]
pub(super) struct CallQueue {
    tasks: BTreeMap<Arc<str>, TaskQueue>,
    /// The queued calls of this host whose attempts have not ended.
    in_progress: BTreeSet<QueuedCallKey>,
}

/// The queued calls of one task, by their ids, which sort by age.
#[derive(Debug, Default)]
struct TaskQueue {
    queued_calls: BTreeMap<Arc<str>, CallQueueEntry>,
    /// The queued calls that some host has claimed.
    claimed: BTreeSet<Arc<str>>,
    /// The queued calls that may be picked now.
    ready: BTreeSet<Arc<str>>,
    /// The queued calls that may be picked from the given moment on.
    waiting: BTreeSet<(BootTime, Arc<str>)>,
}

#[derive(Debug)]
struct CallQueueEntry {
    queued: WaitingCall,
    /// When the pause after a failed attempt is over.
    due: BootTime,
    /// Whether the known version was tried in vain, so that there must be a newer one.
    is_stale: bool,
}

impl CallQueue {
    /// Replaces the whole queue by `all`. A queued call whose version has not changed keeps the
    /// moment at which it is due: the store reports the whole queue now and then, and the pauses of
    /// queued calls must not begin again each time.
    pub(super) fn replace_all(&mut self, all: Vec<CallQueueChange>, now: BootTime) {
        let before = mem::take(&mut self.tasks);
        self.apply(all, now);
        for (task, old) in before {
            let Some(new) = self.tasks.get_mut(&task) else { continue };
            for (id, before) in old.queued_calls {
                new.keep_due_time(&id, &before);
            }
        }
    }

    /// Applies changes that were reported at `now`.
    pub(super) fn apply(&mut self, changes: Vec<CallQueueChange>, now: BootTime) {
        for change in changes {
            let key = match &change {
                CallQueueChange::Queued(queued) => &queued.key,
                CallQueueChange::Left(key)
                | CallQueueChange::Claimed(key, _)
                | CallQueueChange::Free(key) => key,
            };
            let (key, is_ours) = (key.clone(), self.in_progress.contains(key));
            let queue = self.tasks.entry(key.task.clone()).or_default();
            queue.apply(change, &key.id, now);
            queue.reschedule(&key.id, is_ours);
            if queue.queued_calls.is_empty() && queue.claimed.is_empty() {
                self.tasks.remove(&key.task);
            }
        }
    }

    /// Picks up to `slots` queued calls of a task to claim now, in a cluster of `hosts` that all do
    /// so.
    pub(super) fn pick(
        &mut self,
        task: &str,
        slots: usize,
        hosts: usize,
        now: BootTime,
        random: &mut fastrand::Rng,
    ) -> Vec<WaitingCall> {
        let Some(queue) = self.tasks.get_mut(task) else { return Vec::new() };
        queue.promote_due(now);
        let window = slots.saturating_mul(hosts.max(1));
        let mut oldest: Vec<_> = queue.ready.iter().take(window).cloned().collect();
        random.shuffle(&mut oldest);
        oldest.truncate(slots);
        let picked =
            oldest.iter().filter_map(|id| Some(queue.queued_calls.get(id)?.queued.clone()));
        let picked: Vec<_> = picked.collect();
        for WaitingCall { key, .. } in &picked {
            queue.ready.remove(&key.id);
            self.in_progress.insert(key.clone());
        }
        picked
    }

    /// The attempt at a queued call has ended. If `outdated` is the version that is known here, the
    /// queued call is not picked before a newer one is reported.
    pub(super) fn attempt_ended(&mut self, key: &QueuedCallKey, outdated: Option<i64>) {
        self.in_progress.remove(key);
        let Some(queue) = self.tasks.get_mut(&key.task) else { return };
        if let Some(entry) = queue.queued_calls.get_mut(&key.id) {
            entry.is_stale |= outdated == Some(entry.queued.version);
        }
        queue.reschedule(&key.id, false);
    }

    /// When the first waiting queued call of these tasks is due.
    pub(super) fn next_due<'a>(&self, tasks: impl Iterator<Item = &'a Arc<str>>) -> BootTime {
        let queues = tasks.filter_map(|task| self.tasks.get(task));
        let first = queues.filter_map(|queue| Some(queue.waiting.first()?.0)).min();
        first.unwrap_or(BootTime::NEVER)
    }
}

impl TaskQueue {
    fn apply(&mut self, change: CallQueueChange, id: &Arc<str>, now: BootTime) {
        match change {
            CallQueueChange::Queued(queued) => self.put(queued, now),
            CallQueueChange::Left(_) => {
                if let Some(entry) = self.queued_calls.remove(id) {
                    self.waiting.remove(&(entry.due, id.clone()));
                }
            }
            CallQueueChange::Claimed(..) => drop(self.claimed.insert(id.clone())),
            CallQueueChange::Free(_) => drop(self.claimed.remove(id)),
        }
    }

    fn put(&mut self, queued: WaitingCall, now: BootTime) {
        let id = queued.key.id.clone();
        let due = match queued.head.wait {
            0 => BootTime::ZERO,
            wait => now + std::time::Duration::from_millis(wait),
        };
        if let Some(before) =
            self.queued_calls.insert(id.clone(), CallQueueEntry { queued, due, is_stale: false })
        {
            self.waiting.remove(&(before.due, id));
        }
    }

    /// Gives a queued call the due time that it had `before`, if its version is the same.
    fn keep_due_time(&mut self, id: &Arc<str>, before: &CallQueueEntry) {
        let Some(entry) = self.queued_calls.get_mut(id) else { return };
        if entry.queued.version == before.queued.version && entry.due != before.due {
            let waited = self.waiting.remove(&(entry.due, id.clone()));
            entry.due = before.due;
            if waited {
                self.waiting.insert((before.due, id.clone()));
            }
        }
    }

    /// Moves a queued call into `waiting`, or out of it, after it has changed. From there
    /// [`TaskQueue::promote_due`] moves it on to `ready`.
    fn reschedule(&mut self, id: &Arc<str>, is_ours: bool) {
        self.ready.remove(id);
        let Some(entry) = self.queued_calls.get(id) else { return };
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
