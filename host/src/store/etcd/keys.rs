//! The names of a cluster's keys.
//!
//! ```text
//! /soloist/<cluster>/election/<group>/<lease>   a candidate; etcd makes this name
//! /soloist/<cluster>/members/<host>             a member
//! ```

use crate::{
    election::{Group, LeaseId},
    store::{StoreError, plain_name},
};

/// The key space of one cluster.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    /// What every key of the cluster begins with.
    pub(super) root: String,
}

/// What a key is of.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subject<'a> {
    Candidate { group: &'a str, name: &'a str },
    Member,
}

impl Keys {
    pub(super) fn new(cluster: &str) -> Self {
        Self { root: format!("/soloist/{cluster}/") }
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

    /// What `key` is of; nothing when soloist makes no such key.
    pub(super) fn subject<'a>(&self, key: &'a [u8]) -> Option<Subject<'a>> {
        let name = std::str::from_utf8(key).ok()?;
        let mut parts = name.strip_prefix(&self.root)?.split('/');
        match (parts.next()?, parts.next()?, parts.next(), parts.next()) {
            ("election", group, Some(_), None) => Some(Subject::Candidate { group, name }),
            ("members", _, None, None) => Some(Subject::Member),
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
        assert_eq!(
            keys.subject(key.as_bytes()),
            Some(Subject::Candidate { group: "main", name: &key })
        );
        let key = keys.member("a").unwrap();
        assert_eq!(keys.subject(key.as_bytes()), Some(Subject::Member));
        assert_eq!(keys.subject(b"/soloist/demo/election/a/b/2a"), None);
        assert_eq!(keys.subject(b"/soloist/demonstration/members/a"), None);
        assert_eq!(keys.subject(b"/soloist/demo/\xff"), None);
    }

    #[test]
    fn a_slash_is_refused() {
        assert!(Keys::new("demo").election(&Group::from("a/b")).is_err());
        assert!(Keys::new("demo").member("a/b").is_err());
    }
}
