//! Keeps the store's list of known hosts, which outlasts their sessions.
//!
//! Each host enters itself when it has joined. When one is seen to go, one of
//! those that are left writes when that was: the first by name, so that it is
//! written once.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::{
    clock::unix_ms,
    store::{Known, Member, Note, Roster, Store, Topic},
};

/// Keeps the list of known hosts.
pub struct Registrar {
    /// Where the list is.
    pub store: Arc<dyn Store>,
    /// This host.
    pub member: Member,
    /// What is known of the cluster.
    pub roster: watch::Receiver<Option<Roster>>,
}

impl Registrar {
    /// Keeps it until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let keeping = async {
            let mut present = BTreeMap::new();
            while self.roster.changed().await.is_ok() {
                let Some(roster) = self.roster.borrow_and_update().clone() else { continue };
                for (topic, note) in self.entries(&roster, &mut present) {
                    // Whoever comes next writes it; it is for people.
                    if let Err(error) = self.store.note(&topic, &note).await {
                        debug!(%error, "cannot enter a host");
                    }
                }
            }
        };
        stop.run_until_cancelled(keeping).await;
    }

    /// What is to be written, now that the members are these.
    fn entries(
        &self,
        roster: &Roster,
        present: &mut BTreeMap<String, Arc<Member>>,
    ) -> Vec<(Topic, Note)> {
        let now: BTreeMap<_, _> =
            roster.members.iter().map(|(_, m)| (m.name.clone(), Arc::clone(m))).collect();
        let before = std::mem::replace(present, now);
        let mut entries: Vec<_> = self.own(roster).into_iter().collect();
        if present.keys().next() == Some(&self.member.name) {
            let gone = before.into_iter().filter(|(name, _)| !present.contains_key(name));
            entries.extend(gone.filter_map(|(name, member)| gone_entry(roster, &name, &member)));
        }
        entries
    }

    /// This host's own entry, if it is a member and the list says something else of it.
    fn own(&self, roster: &Roster) -> Option<(Topic, Note)> {
        let name = &self.member.name;
        // A namesake enters itself.
        roster.member(name).filter(|member| ***member == self.member)?;
        let known = roster.notes.known.get(name);
        if known.is_some_and(|known| known.member == self.member) {
            return None;
        }
        let first_seen = known.map_or(self.member.joined, |known| known.first_seen);
        Some(entry(first_seen, &self.member))
    }
}

/// The entry of one that has gone, unless it is being removed.
fn gone_entry(roster: &Roster, name: &str, member: &Member) -> Option<(Topic, Note)> {
    if roster.notes.drained.get(name).is_some_and(|drain| drain.leave) {
        return None;
    }
    Some(entry(roster.notes.known.get(name)?.first_seen, member))
}

fn entry(first_seen: u64, member: &Member) -> (Topic, Note) {
    let known = Known { first_seen, last_seen: unix_ms(), member: member.clone() };
    (Topic::Known(member.name.clone()), Note::Known(known))
}
