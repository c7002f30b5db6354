//! Who is there and who stands where: what a store knows of a cluster at one revision.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::election::{Group, LeaderKey, LeaseId};

/// What a candidate says of itself in the election; JSON in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// The host's name.
    pub host: String,
    /// Where its control API answers.
    pub url: String,
    /// Since when it leads, in milliseconds of Unix time; proclaimed after winning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
}

/// A host that is there; JSON in the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The host's name.
    pub name: String,
    /// Where its control API answers.
    pub url: String,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// When it joined, in milliseconds of Unix time.
    pub joined: u64,
    /// The version of soloist that it runs.
    pub version: String,
    /// The boot that it runs in: two hosts with the same one share a machine
    /// (Linux: `/proc/sys/kernel/random/boot_id`).
    pub machine: String,
}

/// A candidate's place in the queue of its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Who stands here.
    pub candidate: Candidate,
    /// Its key; the create revision is the token of the term that it leads or will lead.
    pub key: LeaderKey,
}

/// A cluster at one revision of the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roster {
    /// The store's revision that this was read at.
    pub revision: i64,
    /// The queue of each group, the leader first, the heir second.
    pub groups: BTreeMap<Group, Vec<Standing>>,
    /// The hosts that are there, by name, each with the lease of its session.
    pub members: Vec<(LeaseId, Member)>,
}

impl Roster {
    /// The first in the queue of `group`.
    #[must_use]
    pub fn leader(&self, group: &Group) -> Option<&Standing> {
        self.groups.get(group)?.first()
    }

    /// The second in the queue of `group`.
    #[must_use]
    pub fn heir(&self, group: &Group) -> Option<&Standing> {
        self.groups.get(group)?.get(1)
    }

    /// Whether `key` stands in its group, at its create revision.
    #[must_use]
    pub fn has(&self, key: &LeaderKey) -> bool {
        self.groups.get(&key.group).is_some_and(|queue| queue.iter().any(|s| s.key == *key))
    }

    /// Whether `other` differs at most in its revision.
    pub(super) fn shows_the_same(&self, other: &Self) -> bool {
        self.groups == other.groups && self.members == other.members
    }
}

/// Reads a roster from a store's rows, which must come in the order of their
/// create revisions. What does not parse is another's: it is left out.
#[derive(Debug)]
pub(super) struct RosterBuilder(Roster);

impl RosterBuilder {
    pub(super) fn new(revision: i64) -> Self {
        Self(Roster { revision, ..Roster::default() })
    }

    pub(super) fn candidate(&mut self, key: LeaderKey, value: &[u8]) {
        match serde_json::from_slice(value) {
            Ok(candidate) => {
                let queue = self.0.groups.entry(key.group.clone()).or_default();
                queue.push(Standing { candidate, key });
            }
            Err(error) => {
                tracing::warn!(key = %key.key, %error, "a candidate that soloist did not write");
            }
        }
    }

    pub(super) fn member(&mut self, lease: LeaseId, value: &[u8]) {
        match serde_json::from_slice::<Member>(value) {
            Ok(member) => self.0.members.push((lease, member)),
            Err(error) => tracing::warn!(%lease, %error, "a member that soloist did not write"),
        }
    }

    /// The roster, its members by name.
    pub(super) fn build(mut self) -> Roster {
        self.0.members.sort_by(|(_, one), (_, other)| one.name.cmp(&other.name));
        self.0
    }
}
