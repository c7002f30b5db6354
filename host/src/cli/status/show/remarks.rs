//! The remarks below the groups of a status: orders of people, obstacles, and gaps.

use std::collections::BTreeMap;

use owo_colors::Style;

use crate::{
    api::{GroupRole, Status, StrangerEntry},
    cli::terminal::{Paint, sanitize},
};
use soloist_text::list_few;

/// What people have ordered, and why this host does not stand for election.
pub(super) fn remarks(status: &Status, paint: Paint) -> String {
    let obstacles = status.groups.iter().filter_map(|(name, group)| {
        // A reason that applies to all groups is shown once.
        let own = group.obstacle.as_ref().filter(|it| Some(*it) != status.host.obstacle.as_ref());
        let obstacle = own?;
        Some(match group.role {
            GroupRole::Leader | GroupRole::Draining => {
                format!("this host would not stand in {name} again: {obstacle}")
            }
            GroupRole::Next | GroupRole::Standby | GroupRole::Out => {
                format!("this host does not stand in {name}: {obstacle}")
            }
        })
    });
    let pauses = (status.groups.iter()).filter_map(|(name, group)| {
        Some(format!("{name} is {}", group.paused.as_ref()?.sentence()))
    });
    let drains = (status.hosts.iter()).filter_map(|host| {
        Some(format!("{} is {}", host.name, host.drained.as_ref()?.sentence("drained")))
    });
    let removed = status.removed.iter().map(|(name, order)| {
        let how = order.sentence("removed");
        format!("{name} is {how}; `soloist admit {name}` lets it in again")
    });
    let whole = status.host.obstacle.as_ref();
    let whole = whole.map(|why| format!("this host cannot stand for election: {why}"));
    let warnings = status.host.warnings.iter().cloned();
    let clock = status.host.clock.iter().cloned();
    let lines = whole.into_iter().chain(warnings).chain(clock).chain(pauses).chain(drains);
    let lines = lines.chain(removed).chain(obstacles).chain(spread_differs(status));
    let lines = lines.chain(leaderless(status));
    lines.map(|text| paint.paint(sanitize(&text), Style::new().yellow()) + "\n").collect()
}

/// Groups that hosts do not agree on spreading.
fn spread_differs(status: &Status) -> impl Iterator<Item = String> {
    let mut same: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, group) in &status.groups {
        if let Some(odds) = &group.spread_differs {
            same.entry(odds).or_default().push(name);
        }
    }
    same.into_iter().map(|(odds, groups)| {
        let groups = list_few(groups.into_iter());
        format!("{groups}: {odds}; give it the same `spread` on each host")
    })
}

/// What to show for a group without a visible leader.
fn unled(status: &Status, group: &str) -> String {
    if status.store.current {
        format!("nobody has led {group}")
    } else {
        format!("who leads {group} is not known")
    }
}

/// Groups in which nobody performs, with the reason, and keys that will block one later.
fn leaderless(status: &Status) -> impl Iterator<Item = String> {
    status.groups.iter().flat_map(move |(name, group)| {
        let gap = group.leaderless.iter();
        let gap =
            gap.map(move |it| format!("{} since {}: {}", unled(status, name), it.since, it.why));
        let strangers = group.strangers.iter().map(move |it| {
            let StrangerEntry { key, first_seen_at, remove, .. } = it;
            format!(
                "{key} in the queue of {name} belongs to no host, seen since {first_seen_at}: \
                 `{remove}`"
            )
        });
        let unproclaimed = group.unproclaimed.iter().map(move |why| format!("{name}: {why}"));
        gap.chain(unproclaimed).chain(strangers)
    })
}
