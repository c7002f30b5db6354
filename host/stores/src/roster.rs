//! The roster: the members of a cluster and the queues of its groups, at one revision of the store.

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    foreign_candidate::ForeignCandidate,
    ignored_entry::warn_ignored,
    member::{FailedAction, Member},
    note::Notes,
};
use soloist_heart::{FencingToken, Group, LeaderKey, LeaseId};

/// The entry that a candidate writes about itself in an election. Stored as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The host's name.
    pub host: String,
    /// The URL of the host's control API.
    pub url: String,
    /// The random number of the host's process, as in its [`Member`] entry.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instance: String,
    /// Since when the host leads, in milliseconds of Unix time. Written after winning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// The host that the leader is about to hand over to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_leader: Option<String>,
    /// Whether the host's settings spread the group. Hosts of older versions do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spread: Option<bool>,
}

impl Candidate {
    /// The entry of `member` before it has won.
    #[must_use]
    pub fn of(member: &Member) -> Self {
        let (host, url, instance) =
            (member.name.clone(), member.url.clone(), member.instance.clone());
        Self { host, url, instance, since: None, next_leader: None, spread: None }
    }
}

/// A candidate in the queue of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedCandidate {
    /// The candidate's own entry.
    pub candidate: Candidate,
    /// The candidate's key, with the fencing token of the term that it leads or would lead.
    pub key: LeaderKey,
}

/// A cluster at one revision of the store. It is cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// The store's revision at which this was read.
    pub revision: i64,
    /// What the store adds to a create revision for the fencing token.
    pub floor: i64,
    /// Whether nobody may lead for a while, because the store may have lost the record of a lease.
    pub grace: bool,
    /// The hosts in the queue of each group, in the order in which they joined it.
    pub groups: BTreeMap<Group, Vec<Arc<QueuedCandidate>>>,
    /// The entries in the queues that belong to no host, in the same order.
    pub foreign_candidates: BTreeMap<Group, Vec<Arc<ForeignCandidate>>>,
    /// The members, sorted by name, each with the lease of its session.
    pub members: Vec<(LeaseId, Arc<Member>)>,
    /// The notes, which depend on no session.
    pub notes: Arc<Notes>,
}

impl Roster {
    /// The leader of `group`: the host at the head of its queue, if a host is there.
    #[must_use]
    pub fn leader(&self, group: &Group) -> Option<&QueuedCandidate> {
        self.succession(group).first().map(|standing| &**standing)
    }

    /// The host that is next in line to lead `group`, if there is one.
    #[must_use]
    pub fn next_leader(&self, group: &Group) -> Option<&QueuedCandidate> {
        self.succession(group).get(1).map(|standing| &**standing)
    }

    /// The hosts that will lead `group` one after the other: the leader, the next in line, and all
    /// others ahead of the first foreign candidate. Nobody during a grace period.
    #[must_use]
    pub fn succession(&self, group: &Group) -> &[Arc<QueuedCandidate>] {
        if self.grace {
            return &[];
        }
        let queue = self.queue(group);
        let Some(stranger) = self.foreign_candidates(group).first() else { return queue };
        &queue[..queue
            .partition_point(|standing| standing.key.fencing_token < stranger.fencing_token)]
    }

    /// All hosts in the queue of `group`, in order, whether behind a foreign candidate or not.
    #[must_use]
    pub fn queue(&self, group: &Group) -> &[Arc<QueuedCandidate>] {
        self.groups.get(group).map_or(&[], Vec::as_slice)
    }

    /// The entries in the queue of `group` that belong to no host, in order.
    #[must_use]
    pub fn foreign_candidates(&self, group: &Group) -> &[Arc<ForeignCandidate>] {
        self.foreign_candidates.get(group).map_or(&[], Vec::as_slice)
    }

    /// The member called `name`, if it is in the cluster.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Arc<Member>> {
        let found = self.members.binary_search_by(|(_, member)| (*member.name).cmp(name));
        Some(&self.members[found.ok()?].1)
    }

    /// The member whose session has this lease.
    #[must_use]
    pub fn member_of(&self, lease: LeaseId) -> Option<&Member> {
        let found = self.members.iter().find(|(other, _)| *other == lease);
        found.map(|(_, member)| &**member)
    }

    /// The groups that the session of `lease` leads.
    pub fn led_by(&self, lease: LeaseId) -> impl Iterator<Item = &Group> {
        let leads =
            move |group: &&Group| self.leader(group).is_some_and(|it| it.key.lease == lease);
        self.groups.keys().filter(leads)
    }

    /// The failure because of which the leader of `group` continues without `action`, if it does.
    #[must_use]
    pub fn parked(&self, group: &Group, action: &str) -> Option<&FailedAction> {
        let leader = self.member_of(self.leader(group)?.key.lease)?;
        leader.failing.get(action).filter(|failing| failing.parked)
    }

    /// Whether this roster was read after `fencing_token` was given out.
    #[must_use]
    pub fn is_after(&self, fencing_token: FencingToken) -> bool {
        self.floor.saturating_add(self.revision) >= fencing_token.0
    }

    /// Whether `key` is in its group's queue, at its create revision.
    #[must_use]
    pub fn has(&self, key: &LeaderKey) -> bool {
        self.queue(&key.group).iter().any(|standing| standing.key == *key)
    }

    /// A roster with the same members and notes, but without queues.
    pub fn without_queues(&self) -> Self {
        let (members, notes) = (self.members.clone(), Arc::clone(&self.notes));
        Self { revision: self.revision, floor: self.floor, members, notes, ..Self::default() }
    }

    /// Whether `other` is equal, except possibly for its revision.
    pub fn same_content(&self, other: &Self) -> bool {
        let Self { revision: _, floor, grace, groups, foreign_candidates, members, notes } = self;
        (*floor, *grace) == (other.floor, other.grace)
            && *groups == other.groups
            && *foreign_candidates == other.foreign_candidates
            && *members == other.members
            && *notes == other.notes
    }

    /// Adds or updates a candidate, whose key is given without the floor. If the value does not
    /// parse or the key has no lease, soloist did not write it; `remove` then returns the command
    /// that deletes it.
    pub(super) fn put_candidate(
        &mut self,
        key: LeaderKey,
        value: &[u8],
        remove: impl FnOnce() -> String,
    ) {
        self.drop_candidate(&key.group, &key.key);
        let key = key.above(self.floor);
        let lease = Some(key.lease).filter(|lease| *lease != LeaseId::NONE);
        match serde_json::from_slice(value) {
            Ok(candidate) if lease.is_some() => {
                let queue = self.groups.entry(key.group.clone()).or_default();
                let place =
                    queue.partition_point(|other| other.key.fencing_token < key.fencing_token);
                queue.insert(place, QueuedCandidate { candidate, key }.into());
            }
            _ => {
                let LeaderKey { group, key, fencing_token, .. } = key;
                let queue = self.foreign_candidates.entry(group).or_default();
                let place = queue.partition_point(|other| other.fencing_token < fencing_token);
                queue.insert(
                    place,
                    ForeignCandidate { key, fencing_token, lease, remove: remove().into() }.into(),
                );
            }
        }
    }

    /// Removes the candidate at `key`.
    pub(super) fn drop_candidate(&mut self, group: &Group, key: &str) {
        drop_from(&mut self.groups, group, |standing| *standing.key.key == *key);
        drop_from(&mut self.foreign_candidates, group, |stranger| *stranger.key == *key);
    }

    /// Adds or updates a member.
    pub(super) fn put_member(&mut self, name: &str, lease: LeaseId, value: &[u8]) {
        self.drop_member(name);
        match serde_json::from_slice::<Member>(value) {
            Ok(member) if member.name == name => {
                let place = self.members.partition_point(|(_, other)| *other.name < *name);
                self.members.insert(place, (lease, member.into()));
            }
            Ok(_) => warn_ignored("member", name, "it says another name"),
            Err(error) => warn_ignored("member", name, error),
        }
    }

    /// Removes a member.
    pub(super) fn drop_member(&mut self, name: &str) {
        self.members.retain(|(_, member)| member.name != name);
    }

    /// Updates a note, or removes it if `value` is `None`.
    pub(super) fn set_note(&mut self, name: &str, value: Option<&[u8]>) {
        Arc::make_mut(&mut self.notes).set(name, value);
    }
}

/// Removes the entry for which `is_it` holds from the queue of `group`.
fn drop_from<T>(
    queues: &mut BTreeMap<Group, Vec<Arc<T>>>,
    group: &Group,
    is_it: impl Fn(&T) -> bool,
) {
    let Some(queue) = queues.get_mut(group) else { return };
    // Usually the first one leaves, so few keys are compared.
    if let Some(place) = queue.iter().position(|it| is_it(it)) {
        queue.remove(place);
    }
    if queue.is_empty() {
        queues.remove(group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(roster: &mut Roster, fencing_token: i64, lease: i64, value: &str) {
        let name = fencing_token.to_string();
        let key = LeaderKey::new(Group::main(), name, LeaseId(lease), fencing_token);
        roster.put_candidate(key, value.as_bytes(), || format!("rm {fencing_token}"));
    }

    fn host(name: &str) -> String {
        format!(r#"{{"host":"{name}","url":"http://{name}"}}"#)
    }

    fn line(roster: &Roster) -> Vec<&str> {
        roster.succession(&Group::main()).iter().map(|it| &*it.candidate.host).collect()
    }

    #[test]
    fn a_stranger_leads_nobody_and_lets_nobody_lead_behind_it() {
        let mut roster = Roster::default();
        put(&mut roster, 3, 30, &host("a"));
        put(&mut roster, 4, 40, &host("b"));
        put(&mut roster, 5, 50, "x");
        put(&mut roster, 6, 60, &host("c"));
        assert_eq!(line(&roster), ["a", "b"]);
        assert_eq!(roster.queue(&Group::main()).len(), 3);
        roster.drop_candidate(&Group::main(), "4");
        assert!(roster.next_leader(&Group::main()).is_none(), "the stranger is next");
        roster.drop_candidate(&Group::main(), "3");
        assert!(roster.leader(&Group::main()).is_none());
        assert_eq!(roster.led_by(LeaseId(60)).count(), 0);
        let stranger = &roster.foreign_candidates(&Group::main())[0];
        assert_eq!((stranger.lease, &*stranger.remove), (Some(LeaseId(50)), "rm 5"));
        roster.drop_candidate(&Group::main(), "5");
        assert_eq!(line(&roster), ["c"]);
        assert!(roster.foreign_candidates.is_empty());
    }

    #[test]
    fn a_key_without_a_lease_is_a_stranger_whatever_it_says() {
        let mut roster = Roster::default();
        put(&mut roster, 3, 0, &host("a"));
        put(&mut roster, 4, 40, &host("b"));
        assert_eq!(line(&roster), [""; 0]);
        assert_eq!(roster.foreign_candidates(&Group::main())[0].lease, None);
        // Its owner has written it again.
        put(&mut roster, 3, 30, &host("a"));
        assert_eq!(line(&roster), ["a", "b"]);
        assert!(roster.foreign_candidates.is_empty());
    }
}
