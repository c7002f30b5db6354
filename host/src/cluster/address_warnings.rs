//! What is wrong with the addresses that hosts advertise: decided here, and nowhere else.
//!
//! Hosts call each other at these addresses. One that leads to another host than it should makes
//! commands fail and requests go astray, while the election itself does not need them.

use std::collections::{BTreeMap, BTreeSet};

use soloist_config::is_loopback_url;
use soloist_stores::Member;
use soloist_text::list_few;

/// A warning about addresses that hosts advertise. Its text is for people.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum AddressWarning {
    /// This host advertises a loopback address, and its store can be used from other machines.
    #[error(
        "{host} advertises {url}, which no other machine reaches, and its store is on another \
         machine: set `host.advertise` on {host}"
    )]
    StoreElsewhere {
        /// This host.
        host: String,
        /// What it advertises.
        url: String,
    },
    /// This host advertises a loopback address, and another host is on another machine.
    #[error(
        "{host} advertises {url}, which {other} does not reach, since it is on another machine: \
         set `host.advertise` on {host}"
    )]
    Unreachable {
        /// This host.
        host: String,
        /// What it advertises.
        url: String,
        /// The first of the hosts on other machines.
        other: String,
    },
    /// A host on another machine advertises a loopback address.
    #[error(
        "{host} is on another machine, and advertises {url}, which leads back to this one: set \
         `host.advertise` on {host}"
    )]
    LeadsBack {
        /// The other host.
        host: String,
        /// What it advertises.
        url: String,
    },
    /// Several hosts advertise one address.
    #[error("{hosts} all advertise {url}: set `host.advertise` on each of them")]
    Shared {
        /// The names of some of them.
        hosts: String,
        /// What they advertise.
        url: String,
    },
    /// Two hosts advertise one address.
    #[error("{one} and {other} both advertise {url}: set `host.advertise` on one of them")]
    SharedByTwo {
        /// The first of them.
        one: String,
        /// The second.
        other: String,
        /// What they advertise.
        url: String,
    },
}

impl AddressWarning {
    /// The name of the event in the log.
    #[must_use]
    pub fn event(&self) -> &'static str {
        match self {
            Self::StoreElsewhere { .. } | Self::Unreachable { .. } | Self::LeadsBack { .. } => {
                "loopback-address"
            }
            Self::Shared { .. } | Self::SharedByTwo { .. } => "same-address",
        }
    }
}

/// The warnings that the host `own` has to give, with these live `members` of its cluster.
/// `store_is_remote` is whether other machines could use its store as well.
///
/// Entries with this host's own name are skipped: they belong to one of its sessions, or to another
/// host of that name, which is reported elsewhere.
pub(super) fn address_warnings<'a>(
    own: &Member,
    members: impl Iterator<Item = &'a Member>,
    store_is_remote: bool,
) -> BTreeSet<AddressWarning> {
    let others: Vec<_> = members.filter(|member| member.name != own.name).collect();
    let elsewhere = || others.iter().filter(|other| !share_loopback(own, other));
    let mut warnings = shared_addresses(own, &others);
    let (host, url) = (own.name.clone(), own.url.clone());
    if is_loopback_url(&url) {
        if let Some(other) = elsewhere().next() {
            let other = other.name.clone();
            warnings.insert(AddressWarning::Unreachable { host, url, other });
        } else if store_is_remote {
            warnings.insert(AddressWarning::StoreElsewhere { host, url });
        }
    }
    let lead_back = elsewhere().filter(|other| is_loopback_url(&other.url));
    warnings.extend(lead_back.map(|other| {
        let (host, url) = (other.name.clone(), other.url.clone());
        AddressWarning::LeadsBack { host, url }
    }));
    warnings
}

/// Whether a loopback address means the same to both hosts.
fn share_loopback(one: &Member, other: &Member) -> bool {
    let (network, its_network) = (&one.process.network, &other.process.network);
    let unknown = network.is_empty() || its_network.is_empty();
    one.machine == other.machine && (unknown || network == its_network)
}

/// The addresses that several hosts advertise.
fn shared_addresses(own: &Member, others: &[&Member]) -> BTreeSet<AddressWarning> {
    let mut hosts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    // A process that only takes part in elections has no address.
    let all = others.iter().copied().chain([own]).filter(|member| !member.url.is_empty());
    for member in all {
        hosts.entry(&member.url).or_default().insert(&member.name);
    }
    let shared = hosts.into_iter().filter(|(_, names)| names.len() > 1);
    let warning = |(url, names): (&str, BTreeSet<&str>)| {
        let url = url.to_owned();
        match names.iter().collect::<Vec<_>>()[..] {
            [one, other] => {
                let (one, other) = ((*one).to_owned(), (*other).to_owned());
                AddressWarning::SharedByTwo { one, other, url }
            }
            _ => AddressWarning::Shared { hosts: list_few(names.into_iter()), url },
        }
    };
    shared.map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOPBACK: &str = "http://127.0.0.1:4000";

    /// A host on this machine, in the network of this name.
    fn host(name: &str, url: &str, network: &str) -> Member {
        let mut member = Member { machine: "m".into(), ..Member::named(name) };
        (member.url, member.process.network) = (url.into(), network.into());
        member
    }

    fn of(own: &Member, others: &[Member], store_is_remote: bool) -> Vec<String> {
        let warnings = address_warnings(own, others.iter().chain([own]), store_is_remote);
        warnings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_loopback_address_is_right_where_all_hosts_are_on_one_machine() {
        let (a, b) = (host("a", LOOPBACK, "n"), host("b", "http://127.0.0.1:4001", "n"));
        assert!(of(&a, &[b], false).is_empty());
        let unknown = host("c", "http://127.0.0.1:4002", "");
        assert!(of(&a, &[unknown], false).is_empty(), "the system does not tell");
        assert!(of(&host("a", "http://10.0.0.1:4000", "n"), &[], true).is_empty());
    }

    #[test]
    fn a_loopback_address_is_wrong_with_a_store_on_another_machine() {
        let a = host("a", LOOPBACK, "n");
        assert_eq!(
            of(&a, &[], true),
            ["a advertises http://127.0.0.1:4000, which no other machine reaches, and its store \
              is on another machine: set `host.advertise` on a"]
        );
    }

    #[test]
    fn a_loopback_address_is_wrong_with_a_host_on_another_machine() {
        let a = host("a", LOOPBACK, "n");
        let container = host("b", "http://10.0.0.2:4000", "other");
        let machine = Member { machine: "another".into(), ..host("b", "http://b:4000", "n") };
        for b in [container, machine] {
            let warning = "a advertises http://127.0.0.1:4000, which b does not reach, since it is \
                           on another machine: set `host.advertise` on a";
            assert_eq!(of(&a, std::slice::from_ref(&b), true), [warning], "it is said once");
            let warning = "a is on another machine, and advertises http://127.0.0.1:4000, which \
                           leads back to this one: set `host.advertise` on a";
            assert_eq!(of(&b, std::slice::from_ref(&a), false), [warning]);
        }
    }

    #[test]
    fn an_address_of_several_hosts_is_wrong_on_each_of_them_and_on_others() {
        let at = |name| host(name, "http://10.0.0.1:4000", "n");
        let c = host("c", "http://10.0.0.3:4000", "n");
        let both = ["a and b both advertise http://10.0.0.1:4000: set `host.advertise` on one of \
                     them"];
        assert_eq!(of(&at("a"), &[at("b"), c.clone()], true), both);
        assert_eq!(of(&c, &[at("a"), at("b")], true), both);
        let all = "a, b, d and 1 more all advertise http://10.0.0.1:4000: set `host.advertise` on \
                   each of them";
        assert_eq!(of(&at("a"), &[at("b"), at("d"), at("e")], true), [all]);
    }

    #[test]
    fn a_host_as_it_was_and_a_process_without_an_address_are_no_reason() {
        let a = host("a", "http://10.0.0.1:4000", "n");
        let former = Member { joined: 1, ..a.clone() };
        let [library, too] = ["x", "y"].map(|name| host(name, "", "elsewhere"));
        assert!(of(&a, &[former, library, too], true).is_empty());
    }
}
