//! The keys of a cluster in etcd.
//!
//! ```text
//! /soloist/<cluster>/calls/…                    queued calls, see `call_queue::queued_call_keys`
//! /soloist/<cluster>/cluster                    the identity, assigned once
//! /soloist/<cluster>/cluster-floor              what create revisions lack to fencing tokens
//! /soloist/<cluster>/cluster-grace              there while nobody may lead
//! /soloist/<cluster>/election/<group>/<lease>   a candidate, named as etcd's elections do
//! /soloist/<cluster>/holds/…, hosts/<host>      notes
//! /soloist/<cluster>/members/<host>             a member
//! /soloist/<cluster>/runs/<action>/<key>        a record about an action's jobs
//! /soloist/<cluster>/state/<action>/<key>       a value of an action's state
//! ```
//!
//! The roster is one range: what is of the whole cluster, the candidates, the notes and the members. Queued calls
//! sort before it, ledgers and state after it; otherwise each of their changes would wake every
//! host.

use crate::{NoteTopic, StoreError, name::check_name, state_store::StateArea};
use soloist_heart::{Group, LeaseId};

/// The last part of the identity's key.
const IDENTITY: &str = "cluster";
/// The same of the floor.
const FLOOR: &str = "cluster-floor";
/// The same of the key that is there during a grace period.
const GRACE: &str = "cluster-grace";

/// The keys of one cluster.
#[derive(Clone, Debug)]
pub(super) struct EtcdKeys {
    /// The prefix of every key of the cluster.
    pub(super) root: String,
}

/// The keys from `first` up to and excluding `end`.
#[derive(Clone, Debug)]
pub(super) struct KeyRange {
    pub(super) first: String,
    pub(super) end: String,
}

/// What a key stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeySubject<'a> {
    Identity,
    Floor,
    Grace,
    /// Anything in a group's queue, whoever put it there: to etcd every key with this prefix is in
    /// the queue.
    Candidate {
        group: &'a str,
    },
    Member {
        host: &'a str,
    },
    Note {
        name: &'a str,
    },
}

impl EtcdKeys {
    pub(super) fn new(cluster: &str) -> Self {
        Self { root: format!("/soloist/{cluster}/") }
    }

    /// The key of the identity.
    pub(super) fn identity(&self) -> String {
        format!("{}{IDENTITY}", self.root)
    }

    /// The key of the floor.
    pub(super) fn floor(&self) -> String {
        format!("{}{FLOOR}", self.root)
    }

    /// The key that is there during a grace period.
    pub(super) fn grace(&self) -> String {
        format!("{}{GRACE}", self.root)
    }

    /// The range of the identity, the floor and the grace period.
    pub(super) fn cluster_range(&self) -> KeyRange {
        // `.` is the character right after the hyphen.
        KeyRange { first: self.identity(), end: format!("{}.", self.identity()) }
    }

    /// The range of all groups' candidates.
    pub(super) fn elections_range(&self) -> KeyRange {
        KeyRange {
            first: format!("{}election/", self.root),
            end: format!("{}election0", self.root),
        }
    }

    /// The prefix of a group's election, without the final slash.
    pub(super) fn election(&self, group: &Group) -> Result<String, StoreError> {
        // etcd ranges over `<name>/`: with a slash in a name, one group's candidates would also be
        // in another's queue.
        check_name("a group's name", group.as_str())?;
        Ok(format!("{}election/{group}", self.root))
    }

    /// The key of a candidate (etcd: `concurrency.Election`, `"%s/%x"`).
    pub(super) fn candidate(&self, group: &Group, lease: LeaseId) -> Result<String, StoreError> {
        Ok(format!("{}/{lease}", self.election(group)?))
    }

    pub(super) fn member(&self, host: &str) -> Result<String, StoreError> {
        check_name("the host's name", host)?;
        Ok(format!("{}members/{host}", self.root))
    }

    /// The key of a note.
    pub(super) fn note(&self, topic: &NoteTopic) -> Result<String, StoreError> {
        Ok(format!("{}{}", self.root, topic.name()?))
    }

    /// The range of everything that a roster shows.
    pub(super) fn roster_range(&self) -> KeyRange {
        let Self { root } = self;
        // `0` is the character right after the slash.
        KeyRange { first: self.identity(), end: format!("{root}members0") }
    }

    /// The range of an action's keys in `area`.
    pub(super) fn state_range(
        &self,
        area: StateArea,
        action: &str,
    ) -> Result<KeyRange, StoreError> {
        check_name("the action's name", action)?;
        let name = format!("{}{action}", self.area_range(area).first);
        Ok(KeyRange { first: format!("{name}/"), end: format!("{name}0") })
    }

    /// The range of all actions' keys in `area`.
    pub(super) fn area_range(&self, area: StateArea) -> KeyRange {
        self.folder(match area {
            StateArea::State => "state",
            StateArea::Ledger => "runs",
        })
    }

    /// The ranges of the notes.
    pub(super) fn note_ranges(&self) -> [KeyRange; 2] {
        ["holds", "hosts"].map(|folder| self.folder(folder))
    }

    /// The range of all that belongs to queued calls.
    pub(super) fn call_queue_range(&self) -> KeyRange {
        self.folder("calls")
    }

    /// The range of the keys in a folder of the cluster's.
    fn folder(&self, name: &str) -> KeyRange {
        let Self { root } = self;
        // `0` is the character right after the slash.
        KeyRange { first: format!("{root}{name}/"), end: format!("{root}{name}0") }
    }

    /// The prefix of all queued calls' keys.
    pub(super) fn call_queue_prefix(&self) -> String {
        self.call_queue_range().first
    }

    /// What `key` stands for; `None` if soloist writes no such key.
    pub(super) fn subject<'a>(&self, key: &'a [u8]) -> Option<KeySubject<'a>> {
        let within = key.strip_prefix(self.root.as_bytes())?;
        match within {
            it if it == IDENTITY.as_bytes() => return Some(KeySubject::Identity),
            it if it == FLOOR.as_bytes() => return Some(KeySubject::Floor),
            it if it == GRACE.as_bytes() => return Some(KeySubject::Grace),
            _ => {}
        }
        if let Some(queue) = within.strip_prefix(b"election/") {
            let group = queue.split(|byte| *byte == b'/').next()?;
            let in_queue = group.len() < queue.len();
            let group = std::str::from_utf8(group).ok().filter(|_| in_queue)?;
            return Some(KeySubject::Candidate { group });
        }
        let within = std::str::from_utf8(within).ok()?;
        let mut parts = within.split('/');
        match (parts.next()?, parts.next()?, parts.next()) {
            ("members", host, None) => Some(KeySubject::Member { host }),
            ("holds" | "hosts", ..) => Some(KeySubject::Note { name: within }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_what_they_are_of() {
        let keys = EtcdKeys::new("demo");
        let key = keys.candidate(&Group::main(), LeaseId(0x2a)).unwrap();
        assert_eq!(key, "/soloist/demo/election/main/2a");
        let candidate = |group| Some(KeySubject::Candidate { group });
        assert_eq!(keys.subject(key.as_bytes()), candidate("main"));
        let key = keys.member("a").unwrap();
        assert_eq!(keys.subject(key.as_bytes()), Some(KeySubject::Member { host: "a" }));
        let key = keys.note(&NoteTopic::Pause(Some(Group::main()))).unwrap();
        assert_eq!(key, "/soloist/demo/holds/pause/main");
        assert_eq!(keys.subject(keys.identity().as_bytes()), Some(KeySubject::Identity));
        assert_eq!(keys.subject(keys.floor().as_bytes()), Some(KeySubject::Floor));
        assert_eq!(keys.subject(keys.grace().as_bytes()), Some(KeySubject::Grace));
        let name = "holds/pause/main";
        assert_eq!(keys.subject(key.as_bytes()), Some(KeySubject::Note { name }));
        // Whatever is in the way of etcd's election counts as part of the queue.
        for key in [&b"/soloist/demo/election/a/b/2a"[..], b"/soloist/demo/election/a/\xff"] {
            assert_eq!(keys.subject(key), candidate("a"));
        }
        assert_eq!(keys.subject(b"/soloist/demo/election/a"), None);
        assert_eq!(keys.subject(b"/soloist/demonstration/members/a"), None);
        assert_eq!(keys.subject(b"/soloist/demo/\xff"), None);
    }

    #[test]
    fn the_roster_has_candidates_members_and_notes_and_no_state() {
        let keys = EtcdKeys::new("demo");
        let roster = keys.roster_range();
        let within = |key: &str| roster.first.as_str() <= key && key < roster.end.as_str();
        assert!(within(&keys.candidate(&Group::from("0"), LeaseId(1)).unwrap()));
        assert!(within(&keys.candidate(&Group::from("\u{10ffff}"), LeaseId(1)).unwrap()));
        assert!(within(&keys.member("0").unwrap()));
        assert!(within(&keys.note(&NoteTopic::Pause(None)).unwrap()));
        assert!(within(&keys.note(&NoteTopic::Known("\u{10ffff}".into())).unwrap()));
        assert!(within(&keys.member("\u{10ffff}").unwrap()));
        let cluster = keys.cluster_range();
        for key in [keys.identity(), keys.floor(), keys.grace()] {
            assert!(within(&key) && cluster.first <= key && key < cluster.end, "{key}");
        }
        let elections = keys.elections_range();
        let candidate = keys.candidate(&Group::from("\u{10ffff}"), LeaseId(1)).unwrap();
        assert!(elections.first <= candidate && candidate < elections.end);
        assert!(cluster.end <= elections.first && elections.end <= keys.member("a").unwrap());
        assert!(!within(&keys.call_queue_prefix()));
        for area in [StateArea::State, StateArea::Ledger] {
            let kept = keys.state_range(area, "a").unwrap();
            assert!(roster.end <= kept.first && kept.first < kept.end);
        }
    }

    #[test]
    fn the_states_of_two_actions_do_not_meet() {
        let keys = EtcdKeys::new("demo");
        let one = keys.state_range(StateArea::State, "a").unwrap();
        for other in ["ab", "a.b", "a-b", "a0", "A"] {
            let other = keys.state_range(StateArea::State, other).unwrap();
            assert!(one.end <= other.first || other.end <= one.first, "{other:?}");
        }
        assert!(keys.state_range(StateArea::State, "a/b").is_err());
        let ledger = keys.state_range(StateArea::Ledger, "a").unwrap();
        assert!(one.end <= ledger.first || ledger.end <= one.first);
    }

    #[test]
    fn a_slash_is_refused() {
        assert!(EtcdKeys::new("demo").election(&Group::from("a/b")).is_err());
        assert!(EtcdKeys::new("demo").member("a/b").is_err());
    }
}
