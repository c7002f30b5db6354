//! Every cause of an end, in every stage.

use super::*;

/// The names of the commands that a heart in `stage` issues for `event` at `ms`.
fn does(stage: ReachedStage, event: HeartEvent, ms: u64) -> String {
    names(&brought_to(stage).step(event, at(ms))).join(" ")
}

fn asked(fencing_token: i64) -> HeartEvent {
    let cause = EndCause::Asked { by: "action web".into(), reason: "it is tired".into() };
    HeartEvent::HandOver { key: key(fencing_token), cause }
}

fn changed(behind: bool) -> HeartEvent {
    HeartEvent::StoreChanged { seen: "it is another".into(), behind }
}

#[test]
fn each_cause_ends_each_stage_in_its_way() {
    use ReachedStage::{Campaigning, Draining, Leading, Resigning, Stopping, Verifying};
    let stages = [Campaigning, Verifying, Leading, Draining, Stopping, Resigning];
    let past = u64::try_from(TTL.as_millis()).unwrap();
    // The columns are in the order of `stages`; no term is running in the first two and the last.
    #[rustfmt::skip]
    let table = [
        ("shutdown", HeartEvent::Shutdown, 1,
            ["withdraw revoke", "resign", "drain", "",     "", ""]),
        ("stand down", HeartEvent::StandDown, 1,
            ["withdraw",        "resign", "drain", "",     "", ""]),
        ("lease gone", HeartEvent::LeaseGone { lease: LEASE }, 1,
            ["withdraw",        "",       "stop",  "stop", "", ""]),
        ("deadline passed", HeartEvent::Tick, past,
            ["withdraw revoke", "revoke", "stop",  "stop", "", "revoke"]),
        ("deadline seen to pass", HeartEvent::DeadlinePassed { lease: LEASE }, 1,
            ["withdraw revoke", "revoke", "stop",  "stop", "", "revoke"]),
        ("renewed too late", renewed(1), past,
            ["withdraw revoke", "revoke", "stop",  "stop", "", "revoke"]),
        ("store replaced", changed(false), 1,
            ["withdraw revoke", "revoke", "stop",  "stop", "", "revoke"]),
        ("store set back", changed(true), 1,
            ["withdraw revoke", "revoke", "stop",  "stop", "", "revoke"]),
        ("key gone", HeartEvent::KeyGone { key: key(7) }, 1,
            ["",                "resign", "stop",  "stop", "", ""]),
        ("asked to resign", asked(7), 1,
            ["",                "resign", "drain", "",     "", ""]),
        ("asked to give up another's", asked(6), 1,
            ["",                "",       "",      "",     "", ""]),
        ("another's key gone", HeartEvent::KeyGone { key: key(6) }, 1,
            ["",                "",       "",      "",     "", ""]),
    ];
    for (cause, event, ms, expected) in table {
        for (stage, expected) in stages.into_iter().zip(expected) {
            let mut done = does(stage, event.clone(), ms);
            if cause == "lease gone" {
                // Everything held is gone. Where no term is running, a new lease is requested at
                // once.
                done = done.replace(" grant", "").replace("grant", "");
            }
            assert_eq!(done, expected, "{cause} while {stage:?}");
        }
    }
}

#[test]
fn a_store_that_forgot_the_lease_is_asked_for_another() {
    for stage in [ReachedStage::Campaigning, ReachedStage::Verifying, ReachedStage::Resigning] {
        let done = does(stage, HeartEvent::LeaseGone { lease: LEASE }, 1);
        assert!(done.ends_with("grant"), "while {stage:?}: {done}");
    }
}

/// The store may refuse for a long time to take a key back, and somebody else may delete it
/// meanwhile.
#[test]
fn a_key_that_is_gone_is_given_up_no_more() {
    let mut heart = brought_to(ReachedStage::Resigning);
    let _ = heart.step(HeartEvent::ResignFailed { key: key(7) }, at(1));
    assert!(
        names(&heart.step(HeartEvent::KeyGone { key: key(6) }, at(2))).is_empty(),
        "another one"
    );
    let _ = heart.step(HeartEvent::KeyGone { key: key(7) }, at(3));
    let mut done = Vec::new();
    for ms in (0..5000).step_by(500) {
        done.extend(names(&heart.step(renewed(ms), at(ms))));
    }
    assert!(done.contains(&"campaign") && !done.contains(&"resign"), "{done:?}");
}

/// A heart that was standing by when the store changed, and what it does once it has a new session.
fn after_a_change(behind: bool) -> (Heart, String) {
    let mut heart = brought_to(ReachedStage::Campaigning);
    let _ = heart.step(changed(behind), at(1));
    let released = heart.step(HeartEvent::Released { lease: LEASE }, at(2));
    assert_eq!(names(&released), ["grant"], "it has a session in the store that is now");
    let stands = names(&heart.step(granted(2), at(3))).join(" ");
    (heart, stands)
}

#[test]
fn in_a_store_that_was_replaced_it_stands_anew() {
    assert_eq!(after_a_change(false).1, "campaign");
}

#[test]
fn in_a_store_that_was_set_back_it_stands_for_nothing() {
    let (mut heart, stands) = after_a_change(true);
    assert_eq!(stands, "");
    assert_eq!(heart.restart_reason(), Some("it is another"));
    assert!(names(&heart.step(ready(), at(4))).is_empty());
    assert!(heart.next_wake() > at(4), "it wakes up for nothing");
    assert_eq!(names(&heart.step(HeartEvent::Shutdown, at(5))), ["revoke"]);
}

#[test]
fn a_drain_that_takes_too_long_is_cut_short() {
    let mut heart = brought_to(ReachedStage::Draining);
    let drain = timings().drain_timeout;
    let just_before = at(0) + (drain - Duration::from_millis(1));
    for ms in (0..10_000).step_by(900) {
        let _ = heart.step(renewed(ms), at(ms));
    }
    assert!(!names(&heart.step(HeartEvent::Tick, just_before)).contains(&"stop"));
    assert!(names(&heart.step(HeartEvent::Tick, at(0) + drain)).contains(&"stop"));
}

#[test]
fn an_action_that_keeps_failing_is_given_longer_and_longer_pauses() {
    let mut heart = brought_to(ReachedStage::Resigning);
    let mut now = 0;
    let mut pauses = Vec::new();
    for fencing_token in 8..14 {
        let freed = now;
        let _ = heart.step(HeartEvent::Resigned { key: key(fencing_token - 1) }, at(now));
        while !names(&heart.step(renewed(now), at(now))).contains(&"campaign") {
            now += 100;
        }
        pauses.push((now - freed) / 1000);
        let attempt = u64::try_from(fencing_token).unwrap() - 6;
        let cause = EndCause::ActionFailed { action: "web".into(), reason: "no".into() };
        let failed = HeartEvent::HandOver { key: key(fencing_token), cause };
        for event in [
            HeartEvent::Won { attempt, key: key(fencing_token) },
            HeartEvent::Verified { key: key(fencing_token), holds: true },
            failed,
            HeartEvent::Drained { key: key(fencing_token) },
            HeartEvent::Stopped { key: key(fencing_token) },
        ] {
            let _ = heart.step(event, at(now));
        }
    }
    assert_eq!(pauses, [2, 4, 8, 16, 30, 30]);
}
