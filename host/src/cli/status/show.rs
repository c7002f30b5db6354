//! Formats a status.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use owo_colors::Style;

use crate::{
    api::{ActionEntry, GroupEntry, GroupRole, MemberEntry, Status, StoreState, StrangerEntry},
    cli::{
        terminal::{Paint, sanitize},
        text_table::{TableCell, TextTable},
    },
};
use soloist_text::list_few;

const UNKNOWN: &str = "–";

/// The whole status as text.
pub(super) fn status(status: &Status, now: SystemTime, paint: Paint) -> String {
    let parts = [
        summary(status, paint),
        groups(status, now).render(paint) + &obstacles(status, paint),
        members(status, now).render(paint),
        actions(status).render(paint),
    ];
    parts.join("\n")
}

/// What people have ordered, and why this host does not stand for election.
fn obstacles(status: &Status, paint: Paint) -> String {
    let obstacles = status.groups.iter().filter_map(|(name, group)| {
        // A reason that applies to all groups is shown once.
        let own = group.obstacle.as_ref().filter(|it| Some(*it) != status.host.obstacle.as_ref());
        let obstacle = own?;
        Some(format!("this host does not stand in {name}: {obstacle}"))
    });
    let pauses = status
        .groups
        .iter()
        .filter_map(|(name, group)| Some(format!("{name} is {}", group.paused.as_ref()?)));
    let drains = (status.members.iter())
        .filter_map(|member| Some(format!("{} is {}", member.name, member.drained.as_ref()?)));
    let removed = status
        .removed
        .iter()
        .map(|(name, why)| format!("{name} is {why}; `soloist admit {name}` lets it in again"));
    let whole = status.host.obstacle.as_ref();
    let whole = whole.map(|why| format!("this host stands for nothing: {why}"));
    let warning = status.host.warning.clone();
    let clock = status.host.clock.iter().cloned();
    let lines = whole.into_iter().chain(warning).chain(clock).chain(pauses).chain(drains);
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
            let StrangerEntry { key, seen, remove, .. } = it;
            format!("{key} in the queue of {name} is no host's, seen since {seen}: `{remove}`")
        });
        gap.chain(strangers)
    })
}

fn summary(status: &Status, paint: Paint) -> String {
    let (host, store) = (&status.host, &status.store);
    let bold = |text: &str| paint.paint(sanitize(text), Style::new().bold());
    let state = match store.state {
        StoreState::Ok => paint.paint("ok", good()),
        StoreState::Unwritable => paint.paint("takes no writes", bad()),
        StoreState::Lost => paint.paint("lost", bad()),
    };
    let mut text = format!(
        "cluster {}, seen by host {} ({}, soloist {})\nstore {}: {state}\n",
        bold(&status.cluster),
        bold(&host.name),
        sanitize(&host.listen),
        sanitize(&host.version),
        sanitize(&store.label),
    );
    if let Some(error) = &store.last_error {
        text += &format!("  {}\n", sanitize(error));
    }
    text
}

fn groups(status: &Status, now: SystemTime) -> TextTable {
    let mut table = TextTable::new([
        "GROUP",
        "LEADER",
        "TOKEN",
        "HEIR",
        "LEADING FOR",
        "LEASE LEFT",
        "THIS HOST",
    ]);
    for (name, group) in &status.groups {
        table.row([
            name.into(),
            leader(group, status, now),
            or_unknown(group.token.map(|token| token.to_string())),
            or_unknown(group.heir.clone()),
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
        GroupRole::Heir => "heir",
        GroupRole::Standby => "standby",
        GroupRole::Out => "out",
    }
}

fn members(status: &Status, now: SystemTime) -> TextTable {
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

fn actions(status: &Status) -> TextTable {
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

fn or_unknown(text: Option<String>) -> TableCell {
    text.map_or_else(|| TableCell::new(UNKNOWN, Style::new().dimmed()), TableCell::from)
}

/// How long ago `since`, in RFC 3339, was; in its two greatest units.
fn age(since: &str, now: SystemTime) -> Option<String> {
    let since = humantime::parse_rfc3339(since).ok()?;
    let span = now.duration_since(since).unwrap_or_default().as_secs();
    let whole = humantime::format_duration(Duration::from_secs(span)).to_string();
    Some(whole.split(' ').take(2).collect::<Vec<_>>().join(" "))
}

fn seconds(millis: u64) -> String {
    format!("{}.{}s", millis / 1000, millis % 1000 / 100)
}

fn good() -> Style {
    Style::new().green()
}

fn bad() -> Style {
    Style::new().red()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;
    use crate::api::example;
    use soloist_text::affects_display;

    /// 183 s after the member of the example joined.
    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_183)
    }

    #[test]
    fn a_cluster_at_a_glance() {
        assert_eq!(
            status(&example(), now(), Paint::OFF),
            "\
cluster demo, seen by host a (127.0.0.1:4000, soloist 0.1.0)
store sqlite soloist.db: ok

GROUP  LEADER  TOKEN  HEIR  LEADING FOR  LEASE LEFT  THIS HOST
main   a       17     –     1m 22s       4.1s        leader

HOST  LIVE  URL            VERSION  JOINED     SEEN       LABELS
a     yes   http://a:4000  0.1.0    3m 3s ago  now        size=big
b     no    http://b:4000  0.1.0    3m 3s ago  2m 3s ago  size=big

ACTION  STATE    KIND  GROUP  LISTEN          RESTARTS  LAST ERROR
web     running  http  main   127.0.0.1:3000  1         unreachable executed
"
        );
    }

    /// Any name or text that a host or its store may contain.
    fn text() -> impl Strategy<Value = String> {
        let steering = "[\\x00-\\x1f\\x7f-\\u{9f}\\u{61c}\\u{200e}\\u{200f}\\u{2028}-\\u{202e}\\u{2066}-\\u{2069}a<]*";
        prop_oneof![any::<String>(), steering, Just("x".repeat(1 << 16))]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_a_status_says_it_is_so_many_lines_of_text(texts in vec(text(), 24)) {
            let mut texts = texts.into_iter();
            let mut next = move || texts.next().unwrap_or_default();
            let mut all = example();
            (all.cluster, all.host.name, all.host.listen) = (next(), next(), next());
            (all.host.version, all.store.label) = (next(), next());
            all.store.last_error = Some(next());
            let mut group = all.groups.pop_first().unwrap().1;
            (group.leader, group.heir, group.since) = (Some(next()), Some(next()), Some(next()));
            (group.obstacle, group.paused) = (Some(next()), Some(next()));
            all.groups.insert(next(), group);
            for member in &mut all.members {
                (member.name, member.url, member.joined) = (next(), next(), next());
                (member.version, member.drained) = (next(), Some(next()));
                member.labels.insert(next(), "x".into());
            }
            all.actions[0].last_error = Some(next());
            let shown = status(&all, now(), Paint::OFF);
            prop_assert_eq!(shown.lines().count(), status(&known(), now(), Paint::OFF).lines().count());
            prop_assert!(!shown.chars().any(|c| affects_display(c) && !matches!(c, '\n' | '\t')));
        }
    }

    /// The example, with every field filled.
    fn known() -> Status {
        let mut known = example();
        known.store.last_error = Some("late".into());
        for group in known.groups.values_mut() {
            (group.obstacle, group.paused) = (Some("taken".into()), Some("paused".into()));
        }
        for member in &mut known.members {
            member.drained = Some("drained".into());
        }
        known
    }

    #[test]
    fn what_is_not_known_is_not_shown_as_if_it_were() {
        let mut example = example();
        example.store.state = StoreState::Lost;
        (example.store.current, example.store.seen) =
            (false, Some("2023-11-14T22:15:23.000Z".into()));
        for group in example.groups.values_mut() {
            group.last_known_leader = group.leader.take();
            (group.token, group.since, group.role) = (None, None, GroupRole::Out);
            group.lease_remaining_ms = None;
        }
        example.members.iter_mut().for_each(|member| member.live = None);
        let shown = status(&example, now(), Paint::OFF);
        assert!(shown.contains("main   unknown (last seen: a, 1m ago)  –      –"), "{shown}");
        assert!(shown.contains("a     ?     http://a:4000"), "{shown}");
        // Having never seen the store does not mean that nobody leads.
        example.store.seen = None;
        example.groups.values_mut().for_each(|group| group.last_known_leader = None);
        let shown = status(&example, now(), Paint::OFF);
        assert!(shown.contains("main   unknown  –"), "{shown}");
    }

    #[test]
    fn what_concerns_the_whole_host_is_said_once() {
        let mut example = example();
        let why = "removed by ada: new disks; `soloist admit a` lets it in again".to_owned();
        example.host.obstacle = Some(why.clone());
        example.groups.values_mut().for_each(|group| group.obstacle = Some(why.clone()));
        example.host.warning = Some("b answers at http://a:4000 as well".into());
        example.removed = [("c".into(), "removed by ada: new disks".into())].into();
        example.store.state = StoreState::Unwritable;
        let shown = status(&example, now(), Paint::OFF);
        assert_eq!(shown.matches("removed by ada").count(), 2, "{shown}");
        for words in [
            "store sqlite soloist.db: takes no writes\n",
            "this host stands for nothing: removed by ada",
            "b answers at http://a:4000 as well\n",
            "c is removed by ada: new disks; `soloist admit c` lets it in again\n",
        ] {
            assert!(shown.contains(words), "no {words:?} in\n{shown}");
        }
    }

    #[test]
    fn says_why_a_host_does_not_lead() {
        let mut example = example();
        example.store.state = StoreState::Lost;
        example.store.last_error = Some("renew the session's lease: timed out".into());
        for group in example.groups.values_mut() {
            group.leader = None;
            group.obstacle = Some("127.0.0.1:3000 is taken".into());
        }
        let shown = status(&example, now(), Paint::OFF);
        assert!(shown.contains(
            "\
store sqlite soloist.db: lost
  renew the session's lease: timed out
"
        ));
        assert!(shown.contains("main   nobody "));
        assert!(shown.contains("this host does not stand in main: 127.0.0.1:3000 is taken\n"));
    }
}
