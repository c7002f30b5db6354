//! Who is there and who stands where: what a store knows of a cluster at one revision.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::election::{Group, LeaseId, Token};

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
    /// Its key's create revision: the fencing token of the term it leads or will lead.
    pub token: Token,
    /// The lease of its session.
    pub lease: LeaseId,
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
}
