//! Statuses as text.

use std::time::Duration;

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::api::{GroupRole, OrderEntry, PauseEntry, example};
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

GROUP  LEADER  FENCING TOKEN  NEXT  LEADING FOR  DEADLINE IN  THIS HOST
main   a       17             –     1m 22s       4.1s         leader

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
    fn whatever_a_status_says_it_is_so_many_lines_of_text(texts in vec(text(), 32)) {
        let mut texts = texts.into_iter();
        let mut next = move || texts.next().unwrap_or_default();
        let mut all = example();
        (all.cluster, all.host.name, all.host.listen) = (next(), next(), next());
        (all.host.version, all.store.label) = (next(), next());
        all.store.last_error = Some(next());
        let mut group = all.groups.pop_first().unwrap().1;
        (group.leader, group.next_leader, group.leading_since) = (Some(next()), Some(next()), Some(next()));
        (group.obstacle, group.paused) = (Some(next()), Some(pause(next(), next())));
        all.groups.insert(next(), group);
        for member in &mut all.hosts {
            (member.name, member.url, member.joined_at) = (next(), next(), next());
            (member.version, member.drained) = (next(), Some(order(next(), next())));
            member.labels.insert(next(), "x".into());
        }
        all.actions[0].last_error = Some(next());
        let shown = status(&all, now(), Paint::OFF);
        prop_assert_eq!(shown.lines().count(), status(&known(), now(), Paint::OFF).lines().count());
        prop_assert!(!shown.chars().any(|c| affects_display(c) && !matches!(c, '\n' | '\t')));
    }
}

fn order(by: String, reason: String) -> OrderEntry {
    OrderEntry { by, reason, since: "2023-11-14T22:14:20.000Z".into() }
}

fn pause(by: String, reason: String) -> PauseEntry {
    PauseEntry { keep_failover: true, order: order(by, reason) }
}

/// The example, with every field filled.
fn known() -> Status {
    let mut known = example();
    known.store.last_error = Some("late".into());
    for group in known.groups.values_mut() {
        (group.obstacle, group.paused) =
            (Some("taken".into()), Some(pause("ada".into(), "disks".into())));
    }
    for member in &mut known.hosts {
        member.drained = Some(order("ada".into(), "disks".into()));
    }
    known
}

#[test]
fn what_is_not_known_is_not_shown_as_if_it_were() {
    let mut example = example();
    example.store.state = StoreState::Lost;
    (example.store.current, example.store.seen_at) =
        (false, Some("2023-11-14T22:15:23.000Z".into()));
    for group in example.groups.values_mut() {
        group.last_known_leader = group.leader.take();
        (group.fencing_token, group.leading_since, group.role) = (None, None, GroupRole::Out);
        group.deadline_in_ms = None;
    }
    example.hosts.iter_mut().for_each(|member| member.live = None);
    let shown = status(&example, now(), Paint::OFF);
    assert!(shown.contains("main   unknown (last seen: a, 1m ago)  –              –"), "{shown}");
    assert!(shown.contains("a     ?     http://a:4000"), "{shown}");
    // Having never seen the store does not mean that nobody leads.
    example.store.seen_at = None;
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
    example.host.warnings = vec!["a and b both advertise http://a:4000".into()];
    example.removed = [("c".into(), order("ada".into(), "new disks".into()))].into();
    example.store.state = StoreState::Unwritable;
    let shown = status(&example, now(), Paint::OFF);
    assert_eq!(shown.matches("removed by ada").count(), 2, "{shown}");
    for words in [
        "store sqlite soloist.db: takes no writes\n",
        "this host cannot stand for election: removed by ada",
        "a and b both advertise http://a:4000\n",
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
        (group.leader, group.role) = (None, GroupRole::Out);
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

#[test]
fn a_leader_that_is_paused_is_not_said_not_to_stand() {
    let mut example = example();
    for group in example.groups.values_mut() {
        group.obstacle = Some("ada paused the group".into());
        let order = order("ada".into(), String::new());
        group.paused = Some(PauseEntry { keep_failover: false, order });
    }
    let shown = status(&example, now(), Paint::OFF);
    for words in [
        "this host would not stand in main again: ada paused the group\n",
        "main is paused by ada (a leader that dies is not replaced)\n",
    ] {
        assert!(shown.contains(words), "no {words:?} in\n{shown}");
    }
}

#[test]
fn an_action_that_runs_elsewhere_says_where() {
    let mut example = example();
    example.actions[0].state = "standby".into();
    example.groups.values_mut().for_each(|group| group.leader = Some("b".into()));
    let shown = status(&example, now(), Paint::OFF);
    assert!(shown.contains("web     standby (runs on b)  "), "{shown}");
    // Nobody knows where.
    example.groups.values_mut().for_each(|group| group.leader = None);
    let shown = status(&example, now(), Paint::OFF);
    assert!(shown.contains("web     standby  ") && !shown.contains("runs on"), "{shown}");
}
