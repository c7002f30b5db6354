//! The leaders that this host does not reach, as its forwarded requests show.
//!
//! An address may look right and still be of no use: a firewall, a closed port, a name that only
//! some machines know. Only a request shows that.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::RwLock;
use tracing::{info, warn};

use super::known_leader::KnownLeader;
use soloist_heart::{FencingToken, Group};
use soloist_stores::Roster;
use soloist_telemetry::log_throttle::LogThrottle;

/// The leaders that could not be reached when they were last asked, by group. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct UnreachedLeaders(Arc<UnreachedInner>);

#[derive(Debug, Default)]
struct UnreachedInner {
    leaders: RwLock<BTreeMap<Group, UnreachedLeader>>,
    trouble: LogThrottle,
}

#[derive(Debug)]
struct UnreachedLeader {
    fencing_token: FencingToken,
    /// Who does not reach whom, why, and what to look at.
    text: String,
}

impl UnreachedLeaders {
    /// For each group whose present leader was not reached: who does not reach whom, why, and what
    /// to look at.
    #[must_use]
    pub fn warnings(&self, roster: &Roster) -> Vec<String> {
        let leaders = self.0.leaders.read();
        let leads = |group: &Group, unreached: &UnreachedLeader| {
            let leader = roster.leader(group);
            leader.is_some_and(|leader| leader.key.fencing_token == unreached.fencing_token)
        };
        let present = leaders.iter().filter(|(group, unreached)| leads(group, unreached));
        let mut texts: Vec<_> = present.map(|(_, unreached)| unreached.text.clone()).collect();
        // One host may lead several groups.
        texts.dedup();
        texts
    }

    /// The same for the leader of `group` with this fencing token.
    pub(super) fn warning(&self, group: &Group, fencing_token: FencingToken) -> Option<String> {
        let leaders = self.0.leaders.read();
        let unreached = leaders.get(group).filter(|it| it.fencing_token == fencing_token);
        unreached.map(|unreached| unreached.text.clone())
    }

    /// A request to `leader`, of `group`, could not be sent from `host`.
    pub(super) fn failed(&self, host: &str, group: &Group, leader: &KnownLeader, reason: &str) {
        let KnownLeader { name, url, fencing_token, .. } = leader;
        let question = if reason.contains("certificate") {
            format!("does `host.tls.ca` of {host} name the authority of {name}'s certificate?")
        } else {
            format!("is `host.advertise` of {name} right, and its port open to {host}?")
        };
        let text =
            format!("{host} does not reach the leader {name} at {url}: {reason}; {question}");
        self.0.trouble.report_text(&text, |told| {
            warn!(event = "leader-unreached", %group, "{text}{told}");
        });
        let unreached = UnreachedLeader { fencing_token: *fencing_token, text };
        self.0.leaders.write().insert(group.clone(), unreached);
    }

    /// The leader of `group` has answered.
    pub(super) fn reached(&self, group: &Group) {
        // Nearly always there is nothing to change.
        if !self.0.leaders.read().contains_key(group) {
            return;
        }
        self.0.leaders.write().remove(group);
        self.0.trouble.recovered(|told| {
            info!(event = "leader-reached", %group, "the leader of {group} is reached again{told}");
        });
    }
}
