//! Notes: what stands in the store whoever lives, until somebody takes it away.
//!
//! Sessions end and take candidates and members with them; that a host is known,
//! or that people want it to stay out, outlasts them.

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

/// A host that was there at least once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownHost {
    /// When it was seen first, in milliseconds of Unix time.
    pub first_seen: u64,
    /// When it was seen last, as far as it was written: while a host lives, its
    /// member says more.
    pub last_seen: u64,
    /// What it said of itself last.
    pub member: Member,
}

/// A note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Of a host.
    Known(KnownHost),
    /// On a host.
    Drain(Drain),
    /// Against a host.
    Removal(Removal),
    /// On a group, or on all of them.
    Pause(Pause),
}

/// What a note is about; there is one note of it at most.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoteTopic {
    /// That this host is known.
    Known(String),
    /// That this host is drained.
    Drain(String),
    /// That this host is removed.
    Removal(String),
    /// That this group is paused, or the whole cluster.
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
    /// The pause that holds for `group`, the stricter one of two.
    #[must_use]
    pub fn pause_of(&self, group: &Group) -> Option<&Pause> {
        let pauses = self.paused.get(group).into_iter().chain(&self.pause);
        pauses.max_by_key(|pause| pause.freeze)
    }

    /// The command that takes the pause of `group` back: one of all groups, and one of this, are
    /// taken back each by itself.
    #[must_use]
    pub fn resume_command(&self, group: &Group) -> String {
        let own = self.paused.get(group).filter(|own| self.pause_of(group) == Some(own));
        own.map_or_else(|| "soloist resume".into(), |_| format!("soloist resume --group {group}"))
    }

    /// Whether people want `host` to do nothing.
    #[must_use]
    pub fn keeps_out(&self, host: &str) -> bool {
        self.drained.contains_key(host) || self.removed.contains_key(host)
    }

    /// Takes in what stands under `name`, or that nothing does. What does not
    /// parse is another's: it is left out.
    pub(super) fn set(&mut self, name: &str, value: Option<&[u8]>) {
        match NoteTopic::parse(name) {
            Some(NoteTopic::Known(host)) => put(&mut self.known, host, name, value),
            Some(NoteTopic::Drain(host)) => put(&mut self.drained, host, name, value),
            Some(NoteTopic::Removal(host)) => put(&mut self.removed, host, name, value),
            Some(NoteTopic::Pause(Some(group))) => put(&mut self.paused, group, name, value),
            Some(NoteTopic::Pause(None)) => self.pause = value.and_then(|value| parse(name, value)),
            None => warn_ignored("note", name, "there are none of that name"),
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

/// What the names of notes begin with, in the order of their bytes.
const DRAIN: &str = "holds/drain/";
const PAUSE: &str = "holds/pause";
const REMOVAL: &str = "holds/removed/";
const KNOWN: &str = "hosts/";

impl NoteTopic {
    /// The name that the note has in the store.
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

    /// What a note of this name is about.
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
    /// What is written of it.
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

    fn pause(freeze: bool) -> Pause {
        Pause { order: OperatorOrder { by: "ada".into(), reason: String::new(), since: 1 }, freeze }
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
        let json = Note::Pause(pause(true)).json().unwrap();
        notes.set("holds/pause/main", Some(&json));
        assert_eq!(notes.pause_of(&Group::main()), Some(&pause(true)));
        assert_eq!(notes.pause_of(&Group::from("other")), None);
        notes.set("holds/pause/main", Some(b"no JSON"));
        assert_eq!(notes, Notes::default());
        notes.set("holds/pause", Some(&Note::Pause(pause(false)).json().unwrap()));
        notes.set("holds/pause/main", Some(&json));
        assert!(notes.pause_of(&Group::main()).unwrap().freeze, "the stricter one holds");
        notes.set("holds/pause", None);
        notes.set("holds/pause/main", None);
        assert_eq!(notes, Notes::default());
    }
}
