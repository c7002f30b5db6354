//! The hosts of the cluster in the status of a host: members, former members, removed ones.

use std::collections::BTreeMap;

use super::orders::order_entry;
use crate::api::{KnownHostEntry, OrderEntry};
use soloist_leadership::KnownRoster;
use soloist_stores::{Member, Roster};
use soloist_text::rfc3339;

/// The hosts that are members now, and those that were and are still known.
pub(super) fn hosts(known: &KnownRoster) -> Vec<KnownHostEntry> {
    let Some(roster) = known.last() else { return Vec::new() };
    let were = roster.notes.known.values().map(|known| (known.member.name.as_str(), &known.member));
    let are = roster.members.iter().map(|(_, member)| (member.name.as_str(), &**member));
    // The entry of a live member is newer than its note, and replaces it.
    let all: BTreeMap<_, _> = were.chain(are).collect();
    let entry = |member: &Member| {
        let entry = known_host_entry(member, roster);
        // While the roster is out of date, nobody knows whether the host is still there.
        KnownHostEntry { live: entry.live.filter(|_| known.now().is_some()), ..entry }
    };
    all.into_values().map(entry).collect()
}

/// The hosts that people have removed, with the orders that did it.
pub(super) fn removed(known: &KnownRoster) -> BTreeMap<String, OrderEntry> {
    let removed = known.last().into_iter().flat_map(|roster| &roster.notes.removed);
    removed.map(|(name, removal)| (name.clone(), order_entry(&removal.order))).collect()
}

fn known_host_entry(member: &Member, roster: &Roster) -> KnownHostEntry {
    // The entry in the store is bound to the host's lease, so it is there while its session is.
    let live = roster.member(&member.name).is_some();
    let known = roster.notes.known.get(&member.name);
    let drained = roster.notes.drained.get(&member.name);
    KnownHostEntry {
        name: member.name.clone(),
        url: member.url.clone(),
        labels: member.labels.clone(),
        tasks: member.tasks.clone(),
        joined_at: rfc3339(member.joined),
        live: Some(live),
        first_seen_at: known.map(|known| rfc3339(known.first_seen)),
        last_seen_at: known.filter(|_| !live).map(|known| rfc3339(known.last_seen)),
        drained: drained.map(|drain| order_entry(&drain.order)),
        version: member.version.clone(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{collection::vec, prelude::*};

    use super::*;
    use soloist_heart::LeaseId;
    use soloist_stores::{Drain, KnownHost, Notes, OperatorOrder, ProcessLocation};

    prop_compose! {
        fn member()(
            (name, url, version) in any::<(String, String, String)>(),
            labels in any::<BTreeMap<String, String>>(),
            (joined, priority) in any::<(u64, i64)>(),
        ) -> Member {
            let (machine, instance) = (url.clone(), url.clone());
            let (failing, tasks) = (BTreeMap::new(), BTreeSet::new());
            let process = ProcessLocation::default();
            Member {
                name, url, labels, priority, joined, version, machine, process, instance, failing,
                tasks,
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Anybody who can write to the store can write any member there.
        #[test]
        fn whatever_is_in_the_store_is_shown(
            there in vec(member(), 0..4),
            gone in vec((member(), any::<(u64, u64)>(), any::<(String, String, u64)>()), 0..4),
        ) {
            let mut notes = Notes::default();
            for (member, (first_seen, last_seen), (by, reason, since)) in gone {
                let drain = Drain { order: OperatorOrder { by, reason, since } };
                notes.drained.insert(member.name.clone(), drain);
                notes.known.insert(member.name.clone(), KnownHost { first_seen, last_seen, member });
            }
            let members = there.into_iter().map(|member| (LeaseId(1), member.into()));
            let mut roster = Roster { members: members.collect(), ..Roster::default() };
            roster.members.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
            roster.notes = notes.into();
            let told = super::hosts(&super::KnownRoster::Now(roster));
            let json = serde_json::to_string(&told).unwrap();
            prop_assert_eq!(serde_json::from_str::<Vec<KnownHostEntry>>(&json).unwrap(), told);
        }
    }
}
