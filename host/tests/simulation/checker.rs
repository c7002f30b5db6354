//! The checker: knows the true time and every host, and panics when a promise breaks.

use std::collections::BTreeMap;

use soloist::election::{Command, Group, LeaderKey, Token};

use crate::{host::Host, store::Store};

#[derive(Default)]
pub(crate) struct Checker {
    highest: BTreeMap<Group, Token>,
    /// How many terms began.
    pub(crate) terms: u64,
}

impl Checker {
    /// Looks at a command of host `who` before it is carried out.
    pub(crate) fn command(
        &mut self,
        command: &Command,
        who: usize,
        hosts: &[Host],
        store: &Store,
        now: u64,
    ) {
        let host = &hosts[who];
        match command {
            Command::Start { key, deadline } => {
                assert!(
                    !host.terms.contains_key(&key.group),
                    "{} starts a term within a term",
                    host.name
                );
                assert!(host.clock(now) < *deadline, "{} starts past its deadline", host.name);
                self.rises(key);
                alone(&key.group, who, hosts, now);
                self.terms += 1;
            }
            Command::Extend { deadline, .. } => {
                for (group, term) in &host.terms {
                    assert!(
                        host.clock(now) < term.deadline,
                        "{} revives a term of {group}",
                        host.name
                    );
                    assert!(*deadline > term.deadline, "{} moves a deadline back", host.name);
                    if !term.closed && !term.robbed {
                        alone(group, who, hosts, now);
                    }
                }
            }
            Command::Stop { key, .. } | Command::Drain { key, .. } => {
                let runs = host.terms.get(&key.group).is_some_and(|p| p.key == *key);
                assert!(runs, "{} ends a term that does not run", host.name);
            }
            Command::Resign { key } => {
                let runs = host.terms.get(&key.group).is_some_and(|p| p.key == *key);
                assert!(!runs, "{} resigns before its term has ended", host.name);
            }
            Command::Revoke { lease } => {
                let runs = host.terms.values().any(|p| p.key.lease == *lease);
                assert!(!runs, "{} revokes under a running term", host.name);
            }
            Command::Grant { .. }
            | Command::Renew { .. }
            | Command::Campaign { .. }
            | Command::Withdraw { .. }
            | Command::Verify { .. } => {}
        }
        // The local deadline is within the store's lease: whoever can act, leads.
        for (group, term) in &host.terms {
            if host.can_act(group, now) {
                assert!(store.exists(&term.key), "{} acts in {group} without a key", host.name);
            }
        }
    }

    /// Some host performs in each group, now that the faults are long over.
    pub(crate) fn somebody_leads(&self, groups: &[Group], hosts: &[Host], now: u64) {
        for group in groups {
            let acting = hosts.iter().filter(|host| host.can_act(group, now)).count();
            assert_eq!(acting, 1, "{acting} hosts perform in {group} after the faults");
        }
    }

    fn rises(&mut self, key: &LeaderKey) {
        let before = self.highest.insert(key.group.clone(), key.token);
        let rose = before.is_none_or(|before| key.token > before);
        assert!(rose, "token {} after {before:?} in {}", key.token, key.group);
    }
}

/// No other host can act in `group`, nor has anything alive that it had time to end.
fn alone(group: &Group, who: usize, hosts: &[Host], now: u64) {
    for (_, host) in hosts.iter().enumerate().filter(|(other, _)| *other != who) {
        assert!(
            !host.can_act(group, now),
            "{} and {} overlap in {group}",
            hosts[who].name,
            host.name
        );
        assert!(
            !host.is_overdue(group, now),
            "{} is not down when {} starts in {group}",
            host.name,
            hosts[who].name
        );
    }
}
