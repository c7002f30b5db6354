//! The simulated store: leases, queues and create revisions, with the behaviour of etcd.
//!
//! Its clock is the true time. An expired lease is only noticed by a sweep, which may be late, as
//! etcd's is; and a campaign is answered without checking whether the candidate's own lease still
//! exists.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use soloist_heart::{FencingToken, Group, LeaderKey, LeaseId};

use crate::{jobs::JobLedger, mutant::Mutant, register::Register};

/// Where an answer goes: a certain process of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HostLife {
    pub(crate) host: usize,
    pub(crate) life: u32,
}

/// A campaign that waits for its answer.
#[derive(Clone, Debug)]
pub(crate) struct WaitingCampaign {
    pub(crate) caller: HostLife,
    pub(crate) attempt: u64,
    pub(crate) key: LeaderKey,
    /// Whether the caller still listens.
    pub(crate) awaited: bool,
    /// Whether the notification for this campaign was lost: it gets no answer before it checks
    /// again.
    pub(crate) deaf: bool,
}

/// The data on the store's disk.
#[derive(Clone, Default)]
pub(crate) struct StoreData {
    pub(crate) revision: i64,
    /// What has to be added to a create revision for the fencing token.
    pub(crate) floor: i64,
    /// How often the fencing tokens were raised.
    pub(crate) raises: u64,
    /// Until when nobody leads, since the fencing tokens were raised.
    grace: Option<u64>,
    /// When each lease expires.
    leases: BTreeMap<LeaseId, u64>,
    /// The candidates of each group, in the order of their fencing tokens.
    queues: BTreeMap<Group, Vec<LeaderKey>>,
    /// The fencing tokens under which hosts have announced that they lead.
    proclaimed: BTreeSet<FencingToken>,
    pub(crate) registers: BTreeMap<Group, Register>,
    /// The ledger of the job.
    pub(crate) ledger: Option<JobLedger>,
}

pub(crate) struct SimulatedStore {
    mutant: Mutant,
    pub(crate) data: StoreData,
    /// Whether it can raise its revision, as a database can, or raises the floor, as with etcd.
    raises_revision: bool,
    /// What the fencing tokens were raised above last, whatever has become of the data.
    pub(crate) raised_above: Option<FencingToken>,
    /// Never assigned twice, even if the data goes back.
    last_lease: i64,
    pub(crate) waiting: Vec<WaitingCampaign>,
    /// Keys that were taken away from the hosts that held them.
    robbed: Vec<LeaderKey>,
    /// The host that each lease was granted to.
    owners: BTreeMap<LeaseId, usize>,
}

impl SimulatedStore {
    pub(crate) fn new(mutant: Mutant, raises_revision: bool) -> Self {
        let (data, raised_above, waiting, robbed, owners) = Default::default();
        Self { mutant, data, raises_revision, raised_above, last_lease: 0, waiting, robbed, owners }
    }

    pub(crate) fn grant(&mut self, host: usize, ttl: Duration, now: u64) -> LeaseId {
        self.last_lease += 1;
        let lease = LeaseId(self.last_lease);
        self.owners.insert(lease, host);
        self.data.leases.insert(lease, now + ttl.as_nanos() as u64);
        lease
    }

    /// The host that a lease was granted to.
    pub(crate) fn owner(&self, lease: LeaseId) -> Option<usize> {
        self.owners.get(&lease).copied()
    }

    /// The hosts that have a lease, each with its latest one.
    pub(crate) fn sessions(&self) -> BTreeMap<usize, LeaseId> {
        let leases = self.data.leases.keys();
        leases.filter_map(|lease| Some((self.owner(*lease)?, *lease))).collect()
    }

    /// Renews a lease. Returns whether it existed.
    pub(crate) fn renew(&mut self, lease: LeaseId, ttl: Duration, now: u64) -> bool {
        match self.data.leases.get_mut(&lease) {
            Some(expiry) if *expiry > now => {
                *expiry = now + ttl.as_nanos() as u64;
                true
            }
            _ => false,
        }
    }

    /// Ends a lease; returns the keys that were attached to it.
    pub(crate) fn revoke(&mut self, lease: LeaseId) -> Vec<LeaderKey> {
        self.data.leases.remove(&lease);
        let queues = self.data.queues.values_mut();
        let gone: Vec<_> =
            queues.flat_map(|queue| queue.extract_if(.., |key| key.lease == lease)).collect();
        self.data.revision += i64::from(!gone.is_empty());
        gone
    }

    /// Ends every expired lease; returns the keys that were attached to them.
    pub(crate) fn sweep(&mut self, now: u64) -> Vec<LeaderKey> {
        let over = |(lease, expiry): (&LeaseId, &u64)| (*expiry <= now).then_some(*lease);
        let over: Vec<_> = self.data.leases.iter().filter_map(over).collect();
        self.data.grace.take_if(|grace| *grace <= now);
        over.into_iter().flat_map(|lease| self.revoke(lease)).collect()
    }

    /// When the next lease expires, or the grace period ends.
    pub(crate) fn next_expiry(&self) -> Option<u64> {
        self.data.leases.values().copied().chain(self.data.grace).min()
    }

    /// The highest fencing token that may have been given out.
    pub(crate) fn highest_token(&self) -> i64 {
        self.data.floor + self.data.revision
    }

    /// Whether nobody may lead for now.
    pub(crate) fn is_in_grace(&self) -> bool {
        self.data.grace.is_some()
    }

    /// Makes all later fencing tokens exceed `above`. Returns whether that took any change: then
    /// every candidate has left its queue, and a grace period begins.
    pub(crate) fn raise_tokens(&mut self, above: FencingToken, ttl: Duration, now: u64) -> bool {
        if self.mutant == Mutant::RaisesNothing {
            return false;
        }
        let has_lower = self.data.queues.values().flatten().any(|key| key.fencing_token <= above);
        let enough = self.highest_token() >= above.0 && !has_lower;
        if !enough {
            let lacking = (above.0 - self.highest_token()).max(0);
            let raised =
                if self.raises_revision { &mut self.data.revision } else { &mut self.data.floor };
            *raised += lacking;
            self.data.revision += 1;
            self.data.raises += 1;
            self.raised_above = self.raised_above.max(Some(above));
            let keys = std::mem::take(&mut self.data.queues).into_values().flatten().collect();
            self.mark_removed(keys);
            let grace = self.mutant != Mutant::NoGrace;
            self.data.grace = grace.then_some(now + ttl.as_nanos() as u64);
        }
        !enough
    }

    /// Gives every lease its full time again, as a new leader of etcd does.
    pub(crate) fn promote(&mut self, ttl: Duration, now: u64) {
        let times = self.data.leases.values_mut().chain(&mut self.data.grace);
        times.for_each(|expiry| *expiry = now + ttl.as_nanos() as u64);
    }

    /// Adds a candidate, or finds it in the queue. `None` if there is no such lease.
    pub(crate) fn stand(
        &mut self,
        caller: HostLife,
        group: &Group,
        lease: LeaseId,
        attempt: u64,
        awaited: bool,
    ) -> Option<()> {
        self.data.leases.get(&lease)?;
        let old = self.queue(group).iter().find(|key| key.lease == lease);
        let key = old.cloned().unwrap_or_else(|| self.put(group, lease));
        // Only one campaign at a time waits for a key: a late one must not end a newer one.
        let replaced = |w: &WaitingCampaign| {
            w.deaf && w.caller == caller && w.key.group == *group && w.attempt <= attempt
        };
        self.waiting.retain(|w| !replaced(w));
        self.waiting.push(WaitingCampaign { caller, attempt, key, awaited, deaf: false });
        Some(())
    }

    /// Adds a key with this lease, or with none, at the end of the queue.
    pub(crate) fn put(&mut self, group: &Group, lease: LeaseId) -> LeaderKey {
        self.data.revision += 1;
        let name = format!("{group}/{lease}");
        let counts_leases = self.mutant == Mutant::CountsLeases;
        let create_revision = if counts_leases { lease.0 } else { self.data.revision };
        let key =
            LeaderKey::new(group.clone(), name, lease, create_revision).above(self.data.floor);
        let queue = self.data.queues.entry(group.clone()).or_default();
        let place = queue.partition_point(|other| other.fencing_token < key.fencing_token);
        queue.insert(place, key.clone());
        key
    }

    /// Stops answering a caller's campaign. Returns its candidate's key.
    pub(crate) fn forget(
        &mut self,
        caller: HostLife,
        group: &Group,
        attempt: u64,
    ) -> Option<LeaderKey> {
        let theirs = |w: &mut WaitingCampaign| {
            (w.caller, w.attempt, &w.key.group) == (caller, attempt, group)
        };
        self.waiting.extract_if(.., theirs).map(|waiting| waiting.key).last()
    }

    /// Records that the term of `key` runs, if the key exists.
    pub(crate) fn proclaim(&mut self, key: &LeaderKey) {
        if self.exists(key) {
            self.data.proclaimed.insert(key.fencing_token);
        }
    }

    pub(crate) fn is_proclaimed(&self, key: &LeaderKey) -> bool {
        self.data.proclaimed.contains(&key.fencing_token)
    }

    /// Deletes a key. Returns whether it existed.
    pub(crate) fn resign(&mut self, key: &LeaderKey) -> bool {
        let Some(queue) = self.data.queues.get_mut(&key.group) else { return false };
        let place = queue.iter().position(|other| other == key);
        self.data.revision += i64::from(place.is_some());
        place.map(|place| queue.remove(place)).is_some()
    }

    /// The candidates of `group`, in order.
    pub(crate) fn queue(&self, group: &Group) -> &[LeaderKey] {
        self.data.queues.get(group).map_or(&[], Vec::as_slice)
    }

    /// The first in the queue of `group`.
    pub(crate) fn leader(&self, group: &Group) -> Option<&LeaderKey> {
        self.queue(group).first()
    }

    /// Whether `key` exists and is the first in its queue, which is what a host checks after a win.
    pub(crate) fn verify(&self, key: &LeaderKey) -> bool {
        match self.mutant {
            Mutant::NoQueue => self.exists(key),
            _ => self.leader(&key.group) == Some(key),
        }
    }

    pub(crate) fn exists(&self, key: &LeaderKey) -> bool {
        self.queue(&key.group).contains(key)
    }

    /// Removes and returns the campaigns with nobody ahead of them. Like etcd, this checks the keys
    /// ahead of theirs, but not whether their own key still exists.
    pub(crate) fn winners(&mut self) -> Vec<WaitingCampaign> {
        let Self { data, waiting, .. } = self;
        if self.mutant == Mutant::NoQueue {
            return std::mem::take(waiting);
        }
        if data.grace.is_some() {
            return Vec::new();
        }
        let before = |w: &WaitingCampaign| {
            let first = data.queues.get(&w.key.group).and_then(|queue| queue.first());
            first.is_some_and(|first| first.fencing_token < w.key.fencing_token)
        };
        waiting.extract_if(.., |w| !w.deaf && !before(w)).collect()
    }

    /// An existing key, for somebody to delete by mistake.
    pub(crate) fn some_key(&self, pick: usize) -> Option<LeaderKey> {
        let keys: Vec<_> = self.data.queues.values().flatten().collect();
        (!keys.is_empty()).then(|| keys[pick % keys.len()].clone())
    }

    /// Records keys that were deleted without being given up.
    pub(crate) fn mark_removed(&mut self, keys: Vec<LeaderKey>) {
        self.robbed.extend(keys);
    }

    /// Whether the leadership of `key` is gone, neither through its host nor through expiry.
    pub(crate) fn was_removed(&self, key: &LeaderKey) -> bool {
        self.robbed.contains(key) && self.leader(&key.group) != Some(key)
    }

    /// Goes back to older data. Every lease in it gets its full time, as after a restore of etcd.
    /// This takes keys away from hosts whose keys are not in the older data, and from leaders that
    /// find a candidate ahead of them which had given up long ago.
    pub(crate) fn restore(&mut self, older: StoreData, ttl: Duration, now: u64) {
        let led = |key: &&LeaderKey| self.leader(&key.group) == Some(*key);
        let leaders: Vec<_> = self.data.queues.values().flatten().filter(led).cloned().collect();
        let newer = std::mem::replace(&mut self.data, older);
        self.promote(ttl, now);
        let were = newer.queues.into_values().flatten();
        let lost: Vec<_> = were.filter(|key| !self.exists(key)).collect();
        self.mark_removed(lost);
        self.mark_removed(leaders);
    }
}
