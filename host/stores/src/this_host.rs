//! Which entries of the store are this host's own: decided here, and nowhere else.
//!
//! A name does not say it. Another living host may have the same name (a namesake), and it is that
//! host which leads then, and not this one.

use std::sync::Arc;

use crate::{member::Member, roster::Candidate};

/// This host, as it can be told from every other one: by its name, by its address, and by a random
/// number that each process makes for itself. Clones share their text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThisHost {
    name: Arc<str>,
    url: Arc<str>,
    instance: Arc<str>,
}

/// What an entry in the store says about the host that wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryAuthor<'a> {
    /// The host's name.
    pub name: &'a str,
    /// The URL of its control API.
    pub url: &'a str,
    /// The random number of its process; empty if the host is of a version that has none.
    pub instance: &'a str,
}

impl<'a> From<&'a Candidate> for EntryAuthor<'a> {
    fn from(candidate: &'a Candidate) -> Self {
        Self { name: &candidate.host, url: &candidate.url, instance: &candidate.instance }
    }
}

impl<'a> From<&'a Member> for EntryAuthor<'a> {
    fn from(member: &'a Member) -> Self {
        Self { name: &member.name, url: &member.url, instance: &member.instance }
    }
}

impl ThisHost {
    /// The host that writes this entry about itself.
    #[must_use]
    pub fn of(member: &Member) -> Self {
        let Member { name, url, instance, .. } = member;
        Self {
            name: name.as_str().into(),
            url: url.as_str().into(),
            instance: instance.as_str().into(),
        }
    }

    /// Its name, to show it, and for what people order by name.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The random number of this process.
    #[must_use]
    pub const fn instance(&self) -> &Arc<str> {
        &self.instance
    }

    /// Whether this very process wrote the entry.
    #[must_use]
    pub fn is<'a>(&self, entry: impl Into<EntryAuthor<'a>>) -> bool {
        let entry = entry.into();
        *entry.instance == *self.instance && !self.is_other(entry)
    }

    /// Whether another host wrote the entry, which can be asked at its own address.
    ///
    /// An entry with the name and the address of this host is none of another host, even if another
    /// process wrote it: that was this host before a crash, or a namesake that advertises the same
    /// address, and a request to it would come back to this process.
    #[must_use]
    pub fn is_other<'a>(&self, entry: impl Into<EntryAuthor<'a>>) -> bool {
        let entry = entry.into();
        (entry.name, entry.url) != (&*self.name, &*self.url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, url: &str, instance: &str) -> Member {
        Member { url: url.into(), instance: instance.into(), ..Member::named(name) }
    }

    #[test]
    fn only_entries_of_this_process_are_its_own() {
        let this = ThisHost::of(&entry("a", "http://a:1", "1f"));
        for (entry, is, is_other) in [
            (entry("a", "http://a:1", "1f"), true, false),
            // This host before it crashed, or before it was brought up to date.
            (entry("a", "http://a:1", "2f"), false, false),
            (entry("a", "http://a:1", ""), false, false),
            // Namesakes.
            (entry("a", "http://a:2", "2f"), false, true),
            (entry("a", "http://a:2", ""), false, true),
            (entry("b", "http://a:1", "2f"), false, true),
        ] {
            assert_eq!((this.is(&entry), this.is_other(&entry)), (is, is_other), "{entry:?}");
            let candidate = Candidate::of(&entry);
            assert_eq!((this.is(&candidate), this.is_other(&candidate)), (is, is_other));
        }
    }

    #[test]
    fn each_process_has_a_number_of_its_own() {
        let [one, other] = ["a", "a"].map(Member::of_this_process);
        assert_eq!(one.instance.len(), 16, "{one:?}");
        assert!(one.instance != other.instance && !ThisHost::of(&one).is(&other));
    }
}
