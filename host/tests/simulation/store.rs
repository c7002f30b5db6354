//! The simulated store: leases, queues and create revisions, with etcd's habits.
//!
//! Its clock is the true time. A lease that has run out is noticed by a sweep
//! up to half a second later, as etcd does, and a campaign's answer does not
//! look again whether the candidate's own lease is still there.

use std::{collections::BTreeMap, time::Duration};

use soloist::election::{Group, LeaderKey, LeaseId, Token};

/// Where an answer goes: a host in one of its lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) host: usize,
    pub(crate) life: u32,
}

/// A campaign that waits for its answer.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    pub(crate) caller: Caller,
    pub(crate) attempt: u64,
    pub(crate) key: LeaderKey,
}

#[derive(Default)]
pub(crate) struct Store {
    revision: i64,
    leases: BTreeMap<LeaseId, u64>,
    keys: Vec<LeaderKey>,
    waiting: Vec<Waiting>,
}

impl Store {
    pub(crate) fn grant(&mut self, ttl: Duration, now: u64) -> LeaseId {
        self.revision += 1;
        let lease = LeaseId(1000 + self.revision);
        self.leases.insert(lease, now + ttl.as_nanos() as u64);
        lease
    }

    /// Whether the lease was there to be renewed.
    pub(crate) fn renew(&mut self, lease: LeaseId, ttl: Duration, now: u64) -> bool {
        match self.leases.get_mut(&lease) {
            Some(expiry) if *expiry > now => {
                *expiry = now + ttl.as_nanos() as u64;
                true
            }
            _ => false,
        }
    }

    pub(crate) fn revoke(&mut self, lease: LeaseId) {
        self.leases.remove(&lease);
        self.keys.retain(|key| key.lease != lease);
    }

    /// Ends every lease that has run out.
    pub(crate) fn sweep(&mut self, now: u64) {
        let over: Vec<_> =
            self.leases.iter().filter(|(_, expiry)| **expiry <= now).map(|(l, _)| *l).collect();
        for lease in over {
            self.revoke(lease);
        }
    }

    /// Enters a candidate, or takes its old place. `None`: there is no such lease.
    pub(crate) fn stand(
        &mut self,
        caller: Caller,
        group: &Group,
        lease: LeaseId,
        attempt: u64,
    ) -> Option<()> {
        self.leases.get(&lease)?;
        let old = self.keys.iter().find(|key| key.lease == lease && key.group == *group);
        let key = if let Some(key) = old {
            key.clone()
        } else {
            self.revision += 1;
            let name = format!("{group}/{lease}");
            let token = Token(self.revision);
            let key = LeaderKey { group: group.clone(), key: name.into(), token, lease };
            self.keys.push(key.clone());
            key
        };
        self.waiting.push(Waiting { caller, attempt, key });
        Some(())
    }

    /// Stops answering a caller's campaign; `clean`: its key goes too.
    pub(crate) fn forget(&mut self, caller: Caller, group: &Group, attempt: u64, clean: bool) {
        let theirs =
            |w: &mut Waiting| (w.caller, w.attempt, &w.key.group) == (caller, attempt, group);
        let gone: Vec<_> = self.waiting.extract_if(.., theirs).collect();
        if clean {
            for waiting in gone {
                self.resign(&waiting.key);
            }
        }
    }

    pub(crate) fn resign(&mut self, key: &LeaderKey) {
        self.keys.retain(|k| k != key);
    }

    /// The first in the queue of `group`.
    pub(crate) fn leader(&self, group: &Group) -> Option<&LeaderKey> {
        self.keys.iter().filter(|key| key.group == *group).min_by_key(|key| key.token)
    }

    pub(crate) fn exists(&self, key: &LeaderKey) -> bool {
        self.keys.contains(key)
    }

    /// The keys that hang on `lease`.
    pub(crate) fn keys_of(&self, lease: LeaseId) -> impl Iterator<Item = &LeaderKey> {
        self.keys.iter().filter(move |key| key.lease == lease)
    }

    /// Takes out the campaigns with nobody before them. Etcd answers them by the
    /// keys that were there before: whether their own key still is, it does not ask.
    pub(crate) fn winners(&mut self) -> Vec<Waiting> {
        let keys = self.keys.clone();
        let first =
            |w: &mut Waiting| !keys.iter().any(|k| k.group == w.key.group && k.token < w.key.token);
        self.waiting.extract_if(.., first).collect()
    }

    /// Any key that is there, for somebody's careless hand.
    pub(crate) fn some_key(&self, pick: usize) -> Option<LeaderKey> {
        (!self.keys.is_empty()).then(|| self.keys[pick % self.keys.len()].clone())
    }
}
