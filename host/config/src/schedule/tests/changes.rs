//! Every clock change until 2035, in every zone, checked against figures and a search that share
//! no code with the implementation.

use std::collections::BTreeSet;

use chrono::{NaiveDateTime, TimeDelta, Timelike};
use proptest::prelude::*;

use super::{super::*, at};

/// Made by `changes.py` next to it, with Python's zoneinfo and a plain search.
const FIGURES: &str = include_str!("../../../tests/schedule/changes.txt");
const MINUTE: TimeDelta = TimeDelta::minutes(1);
/// How far around each change the figures reach.
const AROUND: TimeDelta = TimeDelta::hours(4);

/// After an update of chrono-tz the figures have to be generated again.
#[test]
fn the_figures_are_of_the_same_database() {
    let version = FIGURES.lines().find_map(|line| line.strip_prefix("tzdata "));
    let known = chrono_tz::IANA_TZDB_VERSION;
    let help = "run host/config/tests/schedule/changes.py on a machine with tzdata";
    assert_eq!(version, Some(known), "{help} {known}, and keep what it prints as changes.txt");
}

/// One clock change, and the zones that share it.
struct Change<'a> {
    zones: Vec<Tz>,
    at: DateTime<Utc>,
    /// By how much the clock is set forward.
    moved: TimeDelta,
    /// For each pattern, the runs in minutes from the change.
    runs: Vec<&'a str>,
}

fn patterns() -> Vec<&'static str> {
    FIGURES.lines().filter_map(|line| line.strip_prefix("pattern ")).collect()
}

fn changes() -> Vec<Change<'static>> {
    let mut zones = Vec::new();
    let mut changes = Vec::new();
    let is_head = |line: &&str| line.starts_with("pattern ") || line.starts_with("tzdata ");
    for line in FIGURES.lines().filter(|line| !is_head(line)) {
        if let Some(names) = line.strip_prefix("zones ") {
            zones = names.split(' ').map(|name| zone(name).unwrap()).collect();
            continue;
        }
        let (change, runs) = line.split_once(": ").unwrap();
        let (moment, moved) = change.split_once(' ').unwrap();
        changes.push(Change {
            zones: zones.clone(),
            at: at(moment),
            moved: TimeDelta::seconds(moved.parse().unwrap()),
            runs: runs.split(',').map(str::trim).collect(),
        });
    }
    changes
}

/// The runs after `from` and up to `to`, searched forwards, and the same searched backwards.
fn found(schedule: &Schedule, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let all = std::iter::successors(schedule.after(from), |last| schedule.after(*last));
    let forwards: Vec<_> = all.take_while(|run| *run <= to).collect();
    let end = to + TimeDelta::seconds(1);
    let all = std::iter::successors(schedule.before(end), |next| schedule.before(*next));
    let mut backwards: Vec<_> = all.take_while(|run| *run > from).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards, "{schedule} from {from}");
    if let (Some(first), Some(last)) = (forwards.first(), forwards.last()) {
        assert_eq!(schedule.count(*first, *last), forwards.len() as u64, "{schedule} from {from}");
    }
    forwards
}

#[test]
fn every_change_in_every_zone_is_as_others_found() {
    let patterns = patterns();
    let mut zones = 0;
    for change in changes() {
        for zone in &change.zones {
            zones += 1;
            let wall = ZoneClock(*zone);
            let told = format!("{zone} at {}", change.at);
            let jump = wall.jumps(change.at - AROUND, change.at + AROUND).next().expect(&told);
            assert_eq!((jump.at, jump.to - jump.from), (change.at, change.moved), "{told}");
            for (pattern, expected) in patterns.iter().zip(&change.runs) {
                let schedule = Schedule::parse(pattern, *zone).unwrap();
                let from = change.at - AROUND - MINUTE;
                let found = found(&schedule, from, change.at + AROUND);
                let minutes = found.iter().map(|at| (*at - change.at).num_minutes().to_string());
                let minutes: Vec<_> = minutes.collect();
                assert_eq!(minutes.join(" "), *expected, "{pattern} in {told}");
                for second in [-1, 0, 1] {
                    let at = change.at + TimeDelta::seconds(second);
                    assert!(schedule.after(at).is_some_and(|next| next > at), "{pattern} {told}");
                    assert!(schedule.before(at).is_some_and(|last| last < at), "{pattern} {told}");
                }
            }
        }
    }
    assert!(zones > 2000, "{zones} changes were looked at");
}

/// The figures cover every zone.
#[test]
fn no_zone_that_changes_is_left_out() {
    let known: BTreeSet<&str> =
        changes().iter().flat_map(|change| &change.zones).map(|zone| zone.name()).collect();
    let (from, to) = (at("2026-01-01T00:00:00Z"), at("2036-01-01T00:00:00Z"));
    let changes = |zone: &&Tz| ZoneClock(**zone).jumps(from, to).next().is_some();
    let found: BTreeSet<&str> =
        chrono_tz::TZ_VARIANTS.iter().filter(changes).map(|zone| zone.name()).collect();
    assert_eq!(found, known);
}

/// The minutes and hours of a pattern, without parsing one.
#[derive(Clone, Debug)]
struct Wanted {
    hours: BTreeSet<u32>,
    minutes: BTreeSet<u32>,
}

impl Wanted {
    fn text(&self) -> String {
        let list = |values: &BTreeSet<u32>| {
            values.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
        };
        format!("{} {} * * *", list(&self.minutes), list(&self.hours))
    }

    fn fits(&self, time: NaiveDateTime) -> bool {
        self.hours.contains(&time.hour()) && self.minutes.contains(&time.minute())
    }

    /// Checks one minute after the other. A pattern of every hour fires whenever the clock shows
    /// a match; others when the clock first shows a match or a later time.
    fn runs(&self, zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let shown = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local();
        let mut at = from - TimeDelta::hours(26);
        let mut highest = shown(at);
        let mut runs = Vec::new();
        while at < to {
            at += MINUTE;
            let shows = shown(at);
            let mut fires = self.hours.len() == 24 && self.fits(shows);
            while highest < shows {
                highest += MINUTE;
                fires |= self.hours.len() < 24 && self.fits(highest);
            }
            if fires && at > from {
                runs.push(at);
            }
        }
        runs
    }
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let hours = prop_oneof![
        3 => prop::collection::btree_set(0_u32..5, 1..5),
        2 => prop::collection::btree_set(0_u32..24, 1..20),
        1 => prop::collection::btree_set(22_u32..24, 1..3),
        2 => Just((0..24).collect::<BTreeSet<u32>>()),
    ];
    let minutes = prop_oneof![
        3 => prop::collection::btree_set(0_u32..60, 1..4),
        1 => prop::collection::btree_set(prop::sample::select(vec![0_u32, 15, 30, 45, 59]), 1..5),
    ];
    (hours, minutes).prop_map(|(hours, minutes)| Wanted { hours, minutes })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    /// For every pattern and clock change the result equals that of a search over each minute.
    #[test]
    fn runs_around_a_change_are_those_of_a_plain_search(
        wanted in wanted(),
        (zone, change) in prop::sample::select(
            changes()
                .into_iter()
                .flat_map(|change| change.zones.into_iter().map(move |zone| (zone, change.at)))
                .collect::<Vec<_>>(),
        ),
        before in 0_i64..1800,
        after in 0_i64..1800,
    ) {
        let (from, to) = (change - TimeDelta::minutes(before), change + TimeDelta::minutes(after));
        let schedule = Schedule::parse(&wanted.text(), zone).unwrap();
        prop_assert_eq!(found(&schedule, from, to), wanted.runs(zone, from, to), "{}", schedule);
    }
}
