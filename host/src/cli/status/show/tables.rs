//! The tables of a status: groups, hosts and actions.

use std::time::SystemTime;

use owo_colors::Style;

use super::format::{age, bad, good, or_unknown, seconds};
use crate::{
    api::{ActionEntry, GroupEntry, GroupRole, MemberEntry, Status},
    cli::text_table::{TableCell, TextTable},
};

pub(super) fn groups(status: &Status, now: SystemTime) -> TextTable {
    let mut table = TextTable::new([
        "GROUP",
        "LEADER",
        "FENCING TOKEN",
        "NEXT",
        "LEADING FOR",
        "LEASE LEFT",
        "THIS HOST",
    ]);
    for (name, group) in &status.groups {
        table.row([
            name.into(),
            leader(group, status, now),
            or_unknown(group.fencing_token.map(|fencing_token| fencing_token.to_string())),
            or_unknown(group.next_leader.clone()),
            or_unknown(group.since.as_deref().and_then(|since| age(since, now))),
            or_unknown(group.lease_remaining_ms.map(seconds)),
            role(group.role).into(),
        ]);
    }
    table
}

fn leader(group: &GroupEntry, status: &Status, now: SystemTime) -> TableCell {
    if let Some(leader) = &group.leader {
        return TableCell::new(leader, good().bold());
    }
    if status.store.current {
        return TableCell::new("nobody", bad());
    }
    let seen = status.store.seen.as_deref().and_then(|seen| age(seen, now));
    match (&group.last_known_leader, seen) {
        (Some(last), Some(ago)) => {
            TableCell::new(format!("unknown (last seen: {last}, {ago} ago)"), bad())
        }
        (None, Some(ago)) => TableCell::new(format!("unknown (nobody {ago} ago)"), bad()),
        _ => TableCell::new("unknown", bad()),
    }
}

fn role(role: GroupRole) -> &'static str {
    match role {
        GroupRole::Leader => "leader",
        GroupRole::Draining => "draining",
        GroupRole::Next => "next_leader",
        GroupRole::Standby => "standby",
        GroupRole::Out => "out",
    }
}

pub(super) fn members(status: &Status, now: SystemTime) -> TextTable {
    let mut table = TextTable::new(["HOST", "LIVE", "URL", "VERSION", "JOINED", "SEEN", "LABELS"]);
    for member in &status.members {
        let ago = |moment: &str| age(moment, now).map(|age| format!("{age} ago"));
        table.row([
            (&member.name).into(),
            match member.live {
                Some(true) => TableCell::new("yes", good()),
                Some(false) => TableCell::new("no", bad()),
                None => TableCell::new("?", bad()),
            },
            (&member.url).into(),
            (&member.version).into(),
            or_unknown(ago(&member.joined)),
            match member.live {
                Some(true) => "now".into(),
                _ => or_unknown(member.last_seen.as_deref().and_then(ago)),
            },
            labels(member).into(),
        ]);
    }
    table
}

fn labels(member: &MemberEntry) -> String {
    let labels: Vec<_> =
        member.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    labels.join(" ")
}

pub(super) fn actions(status: &Status) -> TextTable {
    let mut table =
        TextTable::new(["ACTION", "STATE", "KIND", "GROUP", "LISTEN", "RESTARTS", "LAST ERROR"]);
    for action in &status.actions {
        table.row([
            (&action.name).into(),
            state(action),
            (&action.kind).into(),
            (&action.group).into(),
            or_unknown(place(action)),
            action.restarts.to_string().into(),
            last_error(action),
        ]);
    }
    table
}

/// Where it answers, as typed into a browser, and its other paths there.
fn place(action: &ActionEntry) -> Option<String> {
    let path = action.path.as_deref().unwrap_or_default();
    let others = action.paths.iter().filter(|other| *other != path);
    let others: String = others.map(|other| format!(" {other}")).collect();
    let path = path.trim_end_matches('/');
    action.listen.as_ref().map(|listen| format!("{listen}{path}{others}"))
}

fn state(action: &ActionEntry) -> TableCell {
    let style = match &*action.state {
        "running" => good(),
        "failed" | "refused" | "parked" => bad(),
        _ => Style::new(),
    };
    TableCell::new(&action.state, style)
}

/// The first line of the error; the rest is in the log.
fn last_error(action: &ActionEntry) -> TableCell {
    let error = action.last_error.as_deref().and_then(|error| error.lines().next());
    TableCell::new(error.unwrap_or_default(), bad())
}
