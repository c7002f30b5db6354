//! What a host says of itself among the members.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use crate::process_location::ProcessLocation;
use soloist_heart::clock;

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
    /// How much it is preferred where groups go by that; more is better.
    #[serde(default)]
    pub priority: i64,
    /// When it joined, in milliseconds of Unix time.
    pub joined: u64,
    /// The version of soloist that it runs.
    pub version: String,
    /// The boot that it runs in: two hosts with the same one share a machine
    /// (Linux: `/proc/sys/kernel/random/boot_id`).
    pub machine: String,
    /// Where on that machine its process is.
    #[serde(default)]
    pub process: ProcessLocation,
    /// The actions that failed on it, by name, in the version that it has.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failing: BTreeMap<String, FailedAction>,
    /// The tasks that it takes calls of, by name.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tasks: BTreeSet<Arc<str>>,
}

impl Member {
    /// A host of which no more than its name is known.
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
            failing: BTreeMap::new(),
            tasks: BTreeSet::new(),
        }
    }

    /// This process, by the name of `name`: other hosts can tell whether it still is.
    #[must_use]
    pub fn of_this_process(name: impl Into<String>) -> Self {
        let member = Self::named(name);
        // Where it cannot be read every host is a machine of its own.
        let machine =
            clock::identity().unwrap_or_else(|_| format!("{}/{}", member.name, std::process::id()));
        Self { joined: clock::unix_ms(), machine, process: ProcessLocation::own(), ..member }
    }

    /// Whether `former`, an entry of the same name, is of a process that is no more, most
    /// often this host's own before it crashed; or of this very one, by an earlier session.
    #[must_use]
    pub fn supersedes(&self, former: &Self) -> bool {
        let again = self.process.is_known()
            && (&self.process, self.joined, &self.url)
                == (&former.process, former.joined, &former.url);
        self.machine == former.machine
            && (again || self.process.supersedes(&former.process, self.url == former.url))
    }
}

/// An action that failed on a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAction {
    /// What happened.
    pub reason: String,
    /// When, in milliseconds of Unix time; for people.
    pub at: u64,
    /// Whether this host, as the leader, goes on without it.
    #[serde(default)]
    pub parked: bool,
}
