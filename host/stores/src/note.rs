//! Notes: entries in the store that depend on no session and exist until somebody erases them.
//!
//! When a session ends, its candidates and members disappear. Notes keep what outlasts a session:
//! that a host is known, or that people want it to stay out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    error::StoreError,
    ignored_entry::warn_ignored,
    member::Member,
    name::check_name,
    operator_order::{Drain, Pause, Removal},
};
use soloist_heart::Group;

/// A host that has joined the cluster at least once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownHost {
    /// When it was first seen, in milliseconds of Unix time.
    pub first_seen: u64,
    /// When it was last seen, in milliseconds of Unix time. This is written rarely: while a host is
    /// alive, its member entry is more current.
    pub last_seen: u64,
    /// Its last member entry.
    pub member: Member,
}

/// A note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A known host.
    Known(Box<KnownHost>),
    /// A host is drained.
    Drain(Drain),
    /// A host is removed.
    Removal(Removal),
    /// A group or the whole cluster is paused.
    Pause(Pause),
}

/// What a note is about. There is at most one note about each topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoteTopic {
    /// This host is known.
    Known(String),
    /// This host is drained.
    Drain(String),
    /// This host is removed.
    Removal(String),
    /// This group is paused; `None` stands for the whole cluster.
    Pause(Option<Group>),
}

/// All notes of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// The known hosts, by name.
    pub known: BTreeMap<String, KnownHost>,
    /// The drained hosts, by name.
    pub drained: BTreeMap<String, Drain>,
    /// The removed hosts, by name.
    pub removed: BTreeMap<String, Removal>,
    /// The paused groups.
    pub paused: BTreeMap<Group, Pause>,
    /// The pause of the whole cluster.
    pub pause: Option<Pause>,
}

impl Notes {
    /// The pause that applies to `group`: the stricter one, if both the group and the cluster are
    /// paused.
    #[must_use]
    pub fn pause_of(&self, group: &Group) -> Option<&Pause> {
        let pauses = self.paused.get(group).into_iter().chain(&self.pause);
        pauses.max_by_key(|pause| !pause.keep_failover)
    }

    /// The command that ends the pause of `group`. A pause of the group and one of the whole
    /// cluster are ended by separate commands.
    #[must_use]
    pub fn resume_command(&self, group: &Group) -> String {
        let own = self.paused.get(group).filter(|own| self.pause_of(group) == Some(own));
        own.map_or_else(|| "soloist resume".into(), |_| format!("soloist resume --group {group}"))
    }

    /// Whether people have drained or removed `host`.
    #[must_use]
    pub fn keeps_out(&self, host: &str) -> bool {
        self.drained.contains_key(host) || self.removed.contains_key(host)
    }

    /// Updates the note called `name`, or removes it if `value` is `None`. A value that does not
    /// parse was not written by soloist and is ignored.
    pub(super) fn set(&mut self, name: &str, value: Option<&[u8]>) {
        match NoteTopic::parse(name) {
            Some(NoteTopic::Known(host)) => put(&mut self.known, host, name, value),
            Some(NoteTopic::Drain(host)) => put(&mut self.drained, host, name, value),
            Some(NoteTopic::Removal(host)) => put(&mut self.removed, host, name, value),
            Some(NoteTopic::Pause(Some(group))) => put(&mut self.paused, group, name, value),
            Some(NoteTopic::Pause(None)) => self.pause = value.and_then(|value| parse(name, value)),
            None => warn_ignored("note", name, "the name does not exist"),
        }
    }
}

fn put<K: Ord, V: serde::de::DeserializeOwned>(
    notes: &mut BTreeMap<K, V>,
    key: K,
    name: &str,
    value: Option<&[u8]>,
) {
    match value.and_then(|value| parse(name, value)) {
        Some(value) => drop(notes.insert(key, value)),
        None => drop(notes.remove(&key)),
    }
}

fn parse<V: serde::de::DeserializeOwned>(name: &str, value: &[u8]) -> Option<V> {
    let parsed = serde_json::from_slice(value);
    parsed.inspect_err(|error| warn_ignored("note", name, error)).ok()
}

/// The prefixes of the notes' names, in the order of their bytes.
const DRAIN: &str = "holds/drain/";
const PAUSE: &str = "holds/pause";
const REMOVAL: &str = "holds/removed/";
const KNOWN: &str = "hosts/";

impl NoteTopic {
    /// The note's name in the store.
    pub(super) fn name(&self) -> Result<String, StoreError> {
        Ok(match self {
            Self::Known(host) => format!("{KNOWN}{}", host_name(host)?),
            Self::Drain(host) => format!("{DRAIN}{}", host_name(host)?),
            Self::Removal(host) => format!("{REMOVAL}{}", host_name(host)?),
            Self::Pause(None) => PAUSE.to_owned(),
            Self::Pause(Some(group)) => {
                check_name("a group's name", group.as_str())?;
                format!("{PAUSE}/{group}")
            }
        })
    }

    /// The topic of the note with this name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        if let Some(host) = name.strip_prefix(KNOWN) {
            return Some(Self::Known(host.to_owned()));
        }
        if let Some(host) = name.strip_prefix(DRAIN) {
            return Some(Self::Drain(host.to_owned()));
        }
        if let Some(host) = name.strip_prefix(REMOVAL) {
            return Some(Self::Removal(host.to_owned()));
        }
        match name.strip_prefix(PAUSE)? {
            "" => Some(Self::Pause(None)),
            group => Some(Self::Pause(Some(group.strip_prefix('/')?.into()))),
        }
    }
}

impl Note {
    /// The JSON that is stored.
    pub(super) fn json(&self) -> serde_json::Result<Vec<u8>> {
        match self {
            Self::Known(known) => serde_json::to_vec(known),
            Self::Drain(drain) => serde_json::to_vec(drain),
            Self::Removal(removal) => serde_json::to_vec(removal),
            Self::Pause(pause) => serde_json::to_vec(pause),
        }
    }
}

fn host_name(host: &str) -> Result<&str, StoreError> {
    check_name("the host's name", host).map(|()| host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator_order::OperatorOrder;

    fn pause(keep_failover: bool) -> Pause {
        let order = OperatorOrder { by: "ada".into(), reason: String::new(), since: 1 };
        Pause { order, keep_failover }
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        let group = Group::from("main");
        for topic in [
            NoteTopic::Known("a".into()),
            NoteTopic::Drain("a".into()),
            NoteTopic::Removal("a".into()),
            NoteTopic::Pause(None),
            NoteTopic::Pause(Some(group)),
        ] {
            assert_eq!(NoteTopic::parse(&topic.name().unwrap()), Some(topic));
        }
        assert_eq!(NoteTopic::parse("holds/pauses"), None);
        assert!(NoteTopic::Drain("a/b".into()).name().is_err());
    }

    #[test]
    fn a_note_stands_until_it_is_taken_away() {
        let mut notes = Notes::default();
        let json = Note::Pause(pause(false)).json().unwrap();
        notes.set("holds/pause/main", Some(&json));
        assert_eq!(notes.pause_of(&Group::main()), Some(&pause(false)));
        assert_eq!(notes.pause_of(&Group::from("other")), None);
        notes.set("holds/pause/main", Some(b"no JSON"));
        assert_eq!(notes, Notes::default());
        notes.set("holds/pause", Some(&Note::Pause(pause(true)).json().unwrap()));
        notes.set("holds/pause/main", Some(&json));
        assert!(!notes.pause_of(&Group::main()).unwrap().keep_failover, "the stricter one holds");
        notes.set("holds/pause", None);
        notes.set("holds/pause/main", None);
        assert_eq!(notes, Notes::default());
    }
}
