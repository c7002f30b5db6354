//! Keeps the list of known hosts in the store, which outlasts their sessions.
//!
//! Each host enters itself when it has joined. When a member disappears, one of the remaining ones
//! writes down when that was: the first by name, so that it is written once.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use soloist_heart::clock::unix_ms;
use soloist_stores::{KnownHost, Member, Note, NoteTopic, Roster, Store, ThisHost};

/// The pause before entries that could not be written are written again.
const RETRY: Duration = Duration::from_secs(1);

/// Keeps the list of known hosts.
pub struct Registrar {
    /// The store that has the list.
    pub store: Arc<dyn Store>,
    /// The entry of this host among the members.
    pub member: Member,
    /// The last roster that was read from the store.
    pub roster: watch::Receiver<Option<Roster>>,
}

impl Registrar {
    /// Keeps the list until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let keeping = async {
            let (mut before, mut written) = (Roster::default(), true);
            loop {
                tokio::select! {
                    changed = self.roster.changed() => if changed.is_err() { break },
                    () = sleep(RETRY), if !written => {}
                }
                let now = self.roster.borrow_and_update().as_ref().map(Roster::without_queues);
                let Some(now) = now else { continue };
                if written && now.same_content(&before) {
                    continue;
                }
                written = self.write(self.entries(&before, &now)).await;
                if written {
                    // Otherwise the next round finds the same differences again.
                    before = now;
                }
            }
        };
        stop.run_until_cancelled(keeping).await;
    }

    /// Writes the entries, and returns whether the store has taken all of them.
    async fn write(&self, entries: Vec<(NoteTopic, Note)>) -> bool {
        let mut written = true;
        for (topic, note) in entries {
            if let Err(error) = self.store.write_note(&topic, &note).await {
                debug!(%error, "cannot enter a host");
                written = false;
            }
        }
        written
    }

    /// What is to be written when the members have changed from `before` to `now`.
    fn entries(&self, before: &Roster, now: &Roster) -> Vec<(NoteTopic, Note)> {
        let mut entries: Vec<_> = self.own_entry(now).into_iter().collect();
        let this = ThisHost::of(&self.member);
        if now.members.first().is_some_and(|(_, first)| !this.is_other(&**first)) {
            let members = before.members.iter().map(|(_, member)| member);
            let gone = members.filter(|member| now.member(&member.name).is_none());
            entries.extend(gone.filter_map(|member| gone_entry(now, member)));
        }
        entries
    }

    /// This host's own entry, if it is a member and the list has none or another one.
    fn own_entry(&self, roster: &Roster) -> Option<(NoteTopic, Note)> {
        let name = &self.member.name;
        // A namesake enters itself.
        let there = roster.member(name)?;
        if roster.notes.removed.contains_key(name) || !ThisHost::of(&self.member).is(&**there) {
            return None;
        }
        let known = roster.notes.known.get(name);
        if known.is_some_and(|known| known.member == self.member) {
            return None;
        }
        let first_seen = known.map_or(self.member.joined, |known| known.first_seen);
        Some(entry(first_seen, &self.member))
    }
}

/// The entry of a member that has disappeared, unless people have removed it.
fn gone_entry(roster: &Roster, member: &Member) -> Option<(NoteTopic, Note)> {
    if roster.notes.removed.contains_key(&member.name) {
        return None;
    }
    Some(entry(roster.notes.known.get(&member.name)?.first_seen, member))
}

fn entry(first_seen: u64, member: &Member) -> (NoteTopic, Note) {
    let known = KnownHost { first_seen, last_seen: unix_ms(), member: member.clone() };
    (NoteTopic::Known(member.name.clone()), Note::Known(known.into()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use futures::StreamExt;
    use rusqlite::Connection;
    use tokio::time::timeout;

    use super::*;
    use soloist_config::StoreUrl;
    use soloist_heart::LeaseId;
    use soloist_stores as store;

    fn member() -> Member {
        let member = serde_json::json!({
            "name": "a", "url": "http://127.0.0.1:9", "joined": 7, "version": "0", "machine": "m",
        });
        serde_json::from_value(member).unwrap()
    }

    #[tokio::test]
    async fn what_a_busy_store_does_not_take_is_written_later() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("soloist.db");
        let url = StoreUrl::Sqlite(file.clone());
        let store = store::open(&url, "test", Duration::from_secs(1)).unwrap();
        store.check().await.unwrap();
        let (to, roster) = watch::channel(None);
        let registrar = Registrar { store: Arc::clone(&store), member: member(), roster };
        // Meanwhile the host has begun to take calls of a task.
        let now = Member { tasks: BTreeSet::from(["work".into()]), ..member() };
        let members = vec![(LeaseId(7), Arc::new(now))];
        to.send_replace(Some(Roster { members, ..Roster::default() }));

        let busy = Connection::open(file).unwrap();
        busy.execute_batch("BEGIN IMMEDIATE").unwrap();
        let stop = CancellationToken::new();
        let running = tokio::spawn(registrar.run(stop.clone()));
        // The registrar has asked before this does, and the store works in that order.
        tokio::task::yield_now().await;
        let (topic, note) = entry(7, &member());
        store.write_note(&topic, &note).await.unwrap_err();
        busy.execute_batch("ROLLBACK").unwrap();
        let known = async {
            let mut rosters = store.watch().await.unwrap();
            while rosters.next().await.unwrap().unwrap().notes.known.is_empty() {}
        };
        timeout(Duration::from_secs(20), known).await.unwrap();
        stop.cancel();
        running.await.unwrap();
    }
}
