//! The entry that a host writes about itself among the members.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::process_location::ProcessLocation;
use soloist_heart::clock;

/// A host that is currently in the cluster. Stored as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The host's name.
    pub name: String,
    /// The URL of its control API.
    pub url: String,
    /// The host's labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// The host's priority, for groups whose strategy uses it; more is better.
    #[serde(default)]
    pub priority: i64,
    /// When it joined, in milliseconds of Unix time.
    pub joined: u64,
    /// The version of soloist that it runs.
    pub version: String,
    /// The boot that it runs in: hosts with the same value share a machine (Linux:
    /// `/proc/sys/kernel/random/boot_id`).
    pub machine: String,
    /// Where on that machine its process is.
    #[serde(default)]
    pub process: ProcessLocation,
    /// A random number that the process made when it began, in hexadecimal digits: namesakes differ
    /// in it (see [`ThisHost`](crate::ThisHost)). Empty in entries of older versions.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instance: String,
    /// The actions that failed on it, by name, in the version that it has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failing: BTreeMap<String, FailedAction>,
    /// The tasks whose calls it accepts, by name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tasks: BTreeSet<Arc<str>>,
}

impl Member {
    /// A host of which only the name is known.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            url: String::new(),
            labels: BTreeMap::new(),
            priority: 0,
            joined: 0,
            version: String::new(),
            machine: String::new(),
            process: ProcessLocation::default(),
            instance: String::new(),
            failing: BTreeMap::new(),
            tasks: BTreeSet::new(),
        }
    }

    /// This process, under the given name. Other hosts of the machine can tell from it whether the
    /// process still exists.
    #[must_use]
    pub fn of_this_process(name: impl Into<String>) -> Self {
        let member = Self::named(name);
        // If the identity cannot be read, every process counts as a machine of its own.
        let machine =
            clock::identity().unwrap_or_else(|_| format!("{}/{}", member.name, std::process::id()));
        Self {
            joined: clock::unix_ms(),
            machine,
            process: ProcessLocation::own(),
            instance: new_instance(),
            ..member
        }
    }

    /// Whether this member may replace `former`, an entry of the same name. That is so if the
    /// former process no longer exists, which is most often this host before it crashed, or if it
    /// is this same process in an earlier session.
    #[must_use]
    pub fn supersedes(&self, former: &Self) -> bool {
        let again = !self.instance.is_empty() && self.instance == former.instance;
        self.machine == former.machine
            && (again || self.process.supersedes(&former.process, self.url == former.url))
    }
}

/// A new random number for a process, in hexadecimal digits.
fn new_instance() -> String {
    // The keys of a `RandomState` come from the system.
    format!("{:016x}", RandomState::new().hash_one(std::process::id()))
}

/// An action that failed on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAction {
    /// What happened.
    pub reason: String,
    /// When it failed, in milliseconds of Unix time; for people.
    pub at: u64,
    /// Whether this host, as the leader, continues without it.
    #[serde(default)]
    pub parked: bool,
}
