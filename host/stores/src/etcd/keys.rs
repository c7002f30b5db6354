//! The names of a cluster's keys.
//!
//! ```text
//! /soloist/<cluster>/casts/…                    casts, as `casts::names` tells
//! /soloist/<cluster>/cluster                    the identity, made once
//! /soloist/<cluster>/election/<group>/<lease>   a candidate; etcd makes this name
//! /soloist/<cluster>/holds/…, hosts/<host>      notes
//! /soloist/<cluster>/members/<host>             a member
//! /soloist/<cluster>/runs/<action>/<key>        what is kept of an action's jobs
//! /soloist/<cluster>/state/<action>/<key>       a value that an action keeps
//! ```
//!
//! The roster is one range, from the identity over the candidates and the notes to the last
//! member. Casts come before it, ledgers and state after it, or each of them would wake every host.

use crate::{StoreError, Topic, name::plain_name};
use soloist_heart::{Group, LeaseId};

/// The name of the identity.
const IDENTITY: &str = "cluster";

/// The key space of one cluster.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// What every key of the cluster begins with.
    pub(super) root: String,
}

/// The keys from `first` up to `end`, which is not one of them.
#[derive(Clone, Debug)]
pub(super) struct Range {
    pub(super) first: String,
    pub(super) end: String,
}

/// Where values of actions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// What actions keep themselves.
    State,
    /// What hosts keep of their jobs.
    Ledger,
}

/// What a key is of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subject<'a> {
    Identity,
    /// Whoever has put it there: etcd's queue is all that begins like this.
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

impl Keys {
    pub(super) fn new(cluster: &str) -> Self {
        Self { root: format!("/soloist/{cluster}/") }
    }

    /// The key of the identity.
    pub(super) fn identity(&self) -> String {
        format!("{}{IDENTITY}", self.root)
    }

    /// The name of a group's election.
    pub(super) fn election(&self, group: &Group) -> Result<String, StoreError> {
        // etcd ranges over `<name>/`: with a slash, one group's candidates
        // would stand in another's queue too.
        plain_name("a group's name", group.as_str())?;
        Ok(format!("{}election/{group}", self.root))
    }

    /// The key of a candidate (etcd: `concurrency.Election`, `"%s/%x"`).
    pub(super) fn candidate(&self, group: &Group, lease: LeaseId) -> Result<String, StoreError> {
        Ok(format!("{}/{lease}", self.election(group)?))
    }

    pub(super) fn member(&self, host: &str) -> Result<String, StoreError> {
        plain_name("the host's name", host)?;
        Ok(format!("{}members/{host}", self.root))
    }

    /// The key of a note.
    pub(super) fn note(&self, topic: &Topic) -> Result<String, StoreError> {
        Ok(format!("{}{}", self.root, topic.name()?))
    }

    /// All that a roster shows.
    pub(super) fn roster(&self) -> Range {
        let Self { root } = self;
        // `0` comes right after the slash.
        Range { first: self.identity(), end: format!("{root}members0") }
    }

    /// What is kept of an action in `room`, up to its last key.
    pub(super) fn kept(&self, room: Room, action: &str) -> Result<Range, StoreError> {
        plain_name("the action's name", action)?;
        let room = match room {
            Room::State => "state",
            Room::Ledger => "runs",
        };
        let name = format!("{}{room}/{action}", self.root);
        Ok(Range { first: format!("{name}/"), end: format!("{name}0") })
    }

    /// What the keys of casts begin with.
    pub(super) fn casts(&self) -> String {
        format!("{}casts/", self.root)
    }

    /// What `key` is of; nothing when soloist makes no such key.
    pub(super) fn subject<'a>(&self, key: &'a [u8]) -> Option<Subject<'a>> {
        let within = key.strip_prefix(self.root.as_bytes())?;
        if within == IDENTITY.as_bytes() {
            return Some(Subject::Identity);
        }
        if let Some(queue) = within.strip_prefix(b"election/") {
            let group = queue.split(|byte| *byte == b'/').next()?;
            let in_queue = group.len() < queue.len();
            let group = std::str::from_utf8(group).ok().filter(|_| in_queue)?;
            return Some(Subject::Candidate { group });
        }
        let within = std::str::from_utf8(within).ok()?;
        let mut parts = within.split('/');
        match (parts.next()?, parts.next()?, parts.next()) {
            ("members", host, None) => Some(Subject::Member { host }),
            ("holds" | "hosts", ..) => Some(Subject::Note { name: within }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_what_they_are_of() {
        let keys = Keys::new("demo");
        let key = keys.candidate(&Group::main(), LeaseId(0x2a)).unwrap();
        assert_eq!(key, "/soloist/demo/election/main/2a");
        let candidate = |group| Some(Subject::Candidate { group });
        assert_eq!(keys.subject(key.as_bytes()), candidate("main"));
        let key = keys.member("a").unwrap();
        assert_eq!(keys.subject(key.as_bytes()), Some(Subject::Member { host: "a" }));
        let key = keys.note(&Topic::Pause(Some(Group::main()))).unwrap();
        assert_eq!(key, "/soloist/demo/holds/pause/main");
        assert_eq!(keys.subject(keys.identity().as_bytes()), Some(Subject::Identity));
        let name = "holds/pause/main";
        assert_eq!(keys.subject(key.as_bytes()), Some(Subject::Note { name }));
        // Whatever stands in etcd's way stands in the queue.
        for key in [&b"/soloist/demo/election/a/b/2a"[..], b"/soloist/demo/election/a/\xff"] {
            assert_eq!(keys.subject(key), candidate("a"));
        }
        assert_eq!(keys.subject(b"/soloist/demo/election/a"), None);
        assert_eq!(keys.subject(b"/soloist/demonstration/members/a"), None);
        assert_eq!(keys.subject(b"/soloist/demo/\xff"), None);
    }

    #[test]
    fn the_roster_has_candidates_members_and_notes_and_no_state() {
        let keys = Keys::new("demo");
        let roster = keys.roster();
        let within = |key: &str| roster.first.as_str() <= key && key < roster.end.as_str();
        assert!(within(&keys.candidate(&Group::from("0"), LeaseId(1)).unwrap()));
        assert!(within(&keys.candidate(&Group::from("\u{10ffff}"), LeaseId(1)).unwrap()));
        assert!(within(&keys.member("0").unwrap()));
        assert!(within(&keys.note(&Topic::Pause(None)).unwrap()));
        assert!(within(&keys.note(&Topic::Known("\u{10ffff}".into())).unwrap()));
        assert!(within(&keys.member("\u{10ffff}").unwrap()));
        assert!(within(&keys.identity()));
        assert!(!within(&keys.casts()));
        for room in [Room::State, Room::Ledger] {
            let kept = keys.kept(room, "a").unwrap();
            assert!(roster.end <= kept.first && kept.first < kept.end);
        }
    }

    #[test]
    fn the_states_of_two_actions_do_not_meet() {
        let keys = Keys::new("demo");
        let one = keys.kept(Room::State, "a").unwrap();
        for other in ["ab", "a.b", "a-b", "a0", "A"] {
            let other = keys.kept(Room::State, other).unwrap();
            assert!(one.end <= other.first || other.end <= one.first, "{other:?}");
        }
        assert!(keys.kept(Room::State, "a/b").is_err());
        let ledger = keys.kept(Room::Ledger, "a").unwrap();
        assert!(one.end <= ledger.first || ledger.end <= one.first);
    }

    #[test]
    fn a_slash_is_refused() {
        assert!(Keys::new("demo").election(&Group::from("a/b")).is_err());
        assert!(Keys::new("demo").member("a/b").is_err());
    }
}
