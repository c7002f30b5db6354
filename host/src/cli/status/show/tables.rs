//! The tables of a status: groups, hosts and actions.

use std::time::SystemTime;

use owo_colors::Style;

use super::format::{age, bad, good, or_unknown, seconds};
use crate::{
    api::{ActionEntry, GroupEntry, GroupRole, KnownHostEntry, Status},
    cli::text_table::{TableCell, TextTable},
};

pub(super) fn groups(status: &Status, now: SystemTime) -> TextTable {
    let mut table = TextTable::new([
        "GROUP",
        "LEADER",
        "FENCING TOKEN",
        "NEXT",
        "LEADING FOR",
        "DEADLINE IN",
        "THIS HOST",
    ]);
    for (name, group) in &status.groups {
        table.row([
            name.into(),
            leader(group, status, now),
            or_unknown(group.fencing_token.map(|fencing_token| fencing_token.to_string())),
            or_unknown(group.next_leader.clone()),
            or_unknown(group.leading_since.as_deref().and_then(|since| age(since, now))),
            or_unknown(group.deadline_in_ms.map(seconds)),
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
    let seen = status.store.seen_at.as_deref().and_then(|seen| age(seen, now));
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
        GroupRole::Next => "next",
        GroupRole::Standby => "standby",
        GroupRole::Out => "out",
    }
}

pub(super) fn hosts(status: &Status, now: SystemTime) -> TextTable {
    let mut table = TextTable::new(["HOST", "LIVE", "URL", "VERSION", "JOINED", "SEEN", "LABELS"]);
    for host in &status.hosts {
        let ago = |moment: &str| age(moment, now).map(|age| format!("{age} ago"));
        table.row([
            (&host.name).into(),
            match host.live {
                Some(true) => TableCell::new("yes", good()),
                Some(false) => TableCell::new("no", bad()),
                None => TableCell::new("?", bad()),
            },
            (&host.url).into(),
            (&host.version).into(),
            or_unknown(ago(&host.joined_at)),
            match host.live {
                Some(true) => "now".into(),
                _ => or_unknown(host.last_seen_at.as_deref().and_then(ago)),
            },
            labels(host).into(),
        ]);
    }
    table
}

fn labels(host: &KnownHostEntry) -> String {
    let labels: Vec<_> =
        host.labels.iter().map(|(name, value)| format!("{name}={value}")).collect();
    labels.join(" ")
}

pub(super) fn actions(status: &Status) -> TextTable {
    let mut table =
        TextTable::new(["ACTION", "STATE", "KIND", "GROUP", "LISTEN", "RESTARTS", "LAST ERROR"]);
    for action in &status.actions {
        table.row([
            (&action.name).into(),
            state(action, status),
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

fn state(action: &ActionEntry, status: &Status) -> TableCell {
    let style = match &*action.state {
        "running" => good(),
        "failed" | "refused" | "parked" => bad(),
        _ => Style::new(),
    };
    match running_elsewhere(action, status) {
        Some(leader) => TableCell::new(format!("{} (runs on {leader})", action.state), style),
        None => TableCell::new(&action.state, style),
    }
}

/// The host that runs an action for which this one stands by, if it is known.
fn running_elsewhere<'a>(action: &ActionEntry, status: &'a Status) -> Option<&'a str> {
    let leader = status.groups.get(&action.group)?.leader.as_deref()?;
    (action.state == "standby" && leader != status.host.name).then_some(leader)
}

/// The first line of the error; the rest is in the log.
fn last_error(action: &ActionEntry) -> TableCell {
    let error = action.last_error.as_deref().and_then(|error| error.lines().next());
    TableCell::new(error.unwrap_or_default(), bad())
}
