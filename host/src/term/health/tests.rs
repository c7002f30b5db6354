//! Verdicts on failures, pauses, and when failures are forgotten.

use std::fs;

use super::*;
use crate::action::RefusedPlugin;
use soloist_config::ActionConfig;
use soloist_guests::plugin::PluginEngine;
use soloist_heart::{LeaderKey, LeaseId};
use soloist_stores::{Candidate, Member, QueuedCandidate};

/// The smallest program: a module for WASI preview 1 that returns at once.
const PROGRAM: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x05\x03\x01\0\x01\
    \x07\x13\x02\x06memory\x02\0\x06_start\0\0\x0a\x04\x01\x02\0\x0b";
const COOLDOWN: Duration = Duration::from_secs(30);
const START: BootTime = BootTime::from_nanos(1_000_000_000_000);

/// Host `a` and its failures; an action has another version for each program text.
struct World {
    folder: tempfile::TempDir,
    engine: Arc<PluginEngine>,
    roster: watch::Sender<Option<Roster>>,
    health: ActionHealth,
}

impl World {
    fn new() -> Self {
        let roster = watch::Sender::new(None);
        let health =
            ActionHealth::new(ThisHost::of(&Member::named("a")), COOLDOWN, roster.subscribe());
        let engine = Arc::new(PluginEngine::new(None).unwrap());
        Self { folder: tempfile::tempdir().unwrap(), engine, roster, health }
    }

    fn action(&self, program: &[u8]) -> Arc<Action> {
        self.named("work", program)
    }

    fn named(&self, name: &str, program: &[u8]) -> Arc<Action> {
        let file = self.folder.path().join("work.wasm");
        fs::write(&file, program).unwrap();
        Action::prepare(&ActionConfig::with_defaults(name, file), &self.engine).unwrap()
    }

    /// The host that the leader hands over to, since the parked action may run there.
    fn better(&self) -> Option<String> {
        let actions = ["work", "rest"].map(|name| self.named(name, PROGRAM));
        let (parked, host) = self.health.better_host(&Group::main(), &actions)?;
        assert_eq!(&*parked, "work");
        Some(host)
    }

    fn fails(&self, action: &Arc<Action>, now: BootTime) -> FailureVerdict {
        let failure = ActionFailure {
            action: Arc::clone(action),
            reason: "it is broken".into(),
            may_pass: false,
        };
        self.health.record_failure(&failure, now)
    }

    /// The hosts in the queue; on those with `!` the action has failed, on those with `?`
    /// the action `rest`.
    fn queue(&self, hosts: &[&str]) {
        let mut roster = Roster::default();
        for (place, host) in (1..).zip(hosts) {
            let name = host.trim_end_matches(['!', '?']);
            let mut failing = BTreeMap::new();
            for (mark, action) in [('!', "work"), ('?', "rest")] {
                if host.ends_with(mark) {
                    let failed = FailedAction { reason: String::new(), at: 0, parked: false };
                    failing.insert(action.to_owned(), failed);
                }
            }
            let member = Member { failing, ..Member::named(name) };
            let candidate = Candidate::of(&member);
            let (group, lease) = (Group::main(), LeaseId(place));
            let key = LeaderKey::new(group, name, lease, place);
            roster
                .groups
                .entry(Group::main())
                .or_default()
                .push(Arc::new(QueuedCandidate { candidate, key }));
            roster.members.push((lease, Arc::new(member)));
        }
        self.roster.send_replace(Some(roster));
    }

    fn parked(&self, action: &Arc<Action>, now: BootTime) -> bool {
        !self.health.park_failed(std::slice::from_ref(action), now).is_empty()
    }
}

fn after(seconds: u64) -> BootTime {
    START + Duration::from_secs(seconds)
}

#[test]
fn a_leader_hands_over_to_a_host_on_which_the_action_has_not_failed() {
    let world = World::new();
    let action = world.action(PROGRAM);
    assert_eq!(world.fails(&action, START), FailureVerdict::HandOver, "nobody knows who is there");
    for (queue, verdict) in [
        (&["a"][..], FailureVerdict::Park),
        (&["a", "b"], FailureVerdict::HandOver),
        (&["a", "b!"], FailureVerdict::Park),
        (&["a", "b!", "c"], FailureVerdict::HandOver),
        (&["a", "b!", "c!"], FailureVerdict::Park),
        (&["a", "b!", "c?"], FailureVerdict::HandOver),
        // This host leads, so `b` is gone; the roster does not show that yet.
        (&["b", "a"], FailureVerdict::Park),
        (&["b", "a", "c"], FailureVerdict::HandOver),
        (&["b"], FailureVerdict::Park),
    ] {
        world.queue(queue);
        assert_eq!(world.fails(&action, START), verdict, "{queue:?}");
    }
}

#[test]
fn a_host_stands_back_as_long_as_another_can_do_better() {
    let world = World::new();
    let (action, main) = (world.action(PROGRAM), Group::main());
    world.queue(&["b"]);
    assert_eq!(world.health.stands_back(&main, START), None, "nothing has failed");
    world.fails(&action, START);
    let reason = world.health.stands_back(&main, after(29)).unwrap();
    assert!(
        reason.contains("work failed here: it is broken") && reason.contains("on b"),
        "{reason}"
    );
    assert_eq!(world.health.stands_back(&Group::from("side"), START), None);
    assert_eq!(world.health.stands_back(&main, after(30)), None);
    // If `b` fails and hands over, `c` must be next in line, and not this host.
    world.queue(&["b", "c"]);
    assert!(world.health.stands_back(&main, after(30)).unwrap().contains("still does not stand"));
    world.queue(&["b", "c!"]);
    assert_eq!(world.health.stands_back(&main, after(30)), None);
    world.queue(&["b!"]);
    assert_eq!(world.health.stands_back(&main, after(1)), None, "it is needed");
}

#[test]
fn a_parked_action_is_published_and_started_again_after_a_long_pause() {
    let world = World::new();
    let (action, main) = (world.action(PROGRAM), Group::main());
    world.queue(&["a", "b!"]);
    assert!(!world.parked(&action, START), "it has not failed");
    world.fails(&action, START);
    let mut report = world.health.report();
    assert!(!report.borrow_and_update()["work"].parked);
    assert!(world.parked(&action, after(299)));
    assert!(report.has_changed().unwrap() && report.borrow_and_update()["work"].parked);
    assert_eq!(world.better(), None);
    world.queue(&["a", "b!", "c?"]);
    assert_eq!(world.better(), None, "for what is parked there it would hand over again");
    world.queue(&["a", "b!", "c?", "d"]);
    assert_eq!(world.better().as_deref(), Some("d"));

    assert!(!world.parked(&action, after(300)), "it is tried again");
    assert!(!report.borrow_and_update()["work"].parked);
    assert_eq!(world.better(), None, "it may run");
    world.fails(&action, after(310));
    assert!(world.parked(&action, after(311)), "it did not");
    world.health.term_ended(&main);
    assert!(!report.borrow_and_update()["work"].parked, "no term, nothing parked");
}

#[test]
fn an_action_that_has_run_well_for_long_enough_is_forgiven() {
    let world = World::new();
    let action = world.action(PROGRAM);
    world.fails(&action, START);
    world.parked(&action, after(300));
    let mut failures = world.health.failures.lock();
    let failed = failures.get_mut("work").unwrap();
    // It has to run for a minute, from when it was last seen to be down or to have ended.
    assert!(!failed.has_recovered(false, 0, after(301)));
    assert!(!failed.has_recovered(true, 0, after(360)));
    assert!(!failed.has_recovered(true, 1, after(360)));
    assert!(!failed.has_recovered(true, 1, after(419)));
    assert!(failed.has_recovered(true, 1, after(420)));
}

#[test]
fn a_refused_plugin_is_published_while_it_is_refused() {
    let world = World::new();
    let programme = |reasons: &[&str]| {
        let refused = |reason: &&str| RefusedPlugin {
            name: "work".to_owned(),
            reason: (*reason).to_owned(),
            reserved: None,
        };
        Programme { refused: reasons.iter().map(refused).collect(), ..Programme::default() }
    };
    world.health.apply_programme(&programme(&["it did not run well at first"]));
    let mut report = world.health.report();
    let told = report.borrow_and_update()["work"].clone();
    assert_eq!((&*told.reason, told.parked), ("it did not run well at first", false));
    world.health.apply_programme(&programme(&["it did not run well at first"]));
    assert!(!report.has_changed().unwrap(), "it was told");
    assert_eq!(world.health.stands_back(&Group::main(), START), None, "the rest goes on here");
    world.health.apply_programme(&programme(&[]));
    assert!(report.borrow_and_update().is_empty());
}

#[test]
fn the_failure_of_another_version_is_forgotten() {
    let world = World::new();
    let action = world.action(PROGRAM);
    world.queue(&["a"]);
    world.fails(&action, START);
    let programme = |action| Programme { actions: vec![action], ..Programme::default() };
    world.health.apply_programme(&programme(world.action(PROGRAM)));
    assert!(world.parked(&action, START), "only its file was written again");
    let fixed = world.action(&[PROGRAM, b"\0\x02\x01x"].concat());
    world.health.apply_programme(&programme(Arc::clone(&fixed)));
    assert!(!world.parked(&fixed, START));
    assert!(world.health.report().borrow().is_empty());
}
