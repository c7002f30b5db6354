//! The basic data types of elections, shared by the heart, the stores and the terms.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// The name of a group. Each group is one independent election.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Group(Arc<str>);

impl Group {
    /// The group of every action whose settings name none.
    #[must_use]
    pub fn main() -> Self {
        Self::from("main")
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Group {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The store's id of a lease (etcd: `LeaseGrantResponse.ID`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LeaseId(pub i64);

impl LeaseId {
    /// The value that means "no lease" (etcd: `lease.NoLease`).
    pub const NONE: Self = Self(0);
}

impl fmt::Display for LeaseId {
    /// Hexadecimal, as `etcdctl lease list` prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// The fencing token: the create revision of the leader's key, above the cluster's *floor*.
///
/// It strictly increases from one term of a group to the next. The floor is 0 at first. It rises
/// when the store begins to count revisions from a lower number again, because it was restored or
/// replaced, so that fencing tokens increase all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FencingToken(pub i64);

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The result of a won campaign and the proof of it: a key in the store, which exists at this
/// create revision for exactly as long as the leadership lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaderKey {
    /// The group whose election was won.
    pub group: Group,
    /// The key's name in the store.
    pub key: Arc<str>,
    /// The key's create revision, by which the store tells it from an earlier key of this name.
    pub create_revision: i64,
    /// The fencing token of the term.
    pub fencing_token: FencingToken,
    /// The lease that the key is attached to.
    pub lease: LeaseId,
}

impl LeaderKey {
    /// The key called `key`, in a cluster whose floor is 0.
    #[must_use]
    pub fn new(
        group: Group,
        key: impl Into<Arc<str>>,
        lease: LeaseId,
        create_revision: i64,
    ) -> Self {
        let fencing_token = FencingToken(create_revision);
        Self { group, key: key.into(), create_revision, fencing_token, lease }
    }

    /// The same key in a cluster with this floor.
    #[must_use]
    pub fn above(self, floor: i64) -> Self {
        Self { fencing_token: FencingToken(floor.saturating_add(self.create_revision)), ..self }
    }
}

/// One leadership, from winning the election to the end of teardown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// The group whose election was won.
    pub group: Group,
    /// The host that won it.
    pub host: Arc<str>,
    /// The fencing token of this term.
    pub fencing_token: FencingToken,
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} of {}", self.group, self.fencing_token, self.host)
    }
}
