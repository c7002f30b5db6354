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

fn changed(above: i64) -> HeartEvent {
    HeartEvent::StoreChanged { seen: "it is another".into(), above: FencingToken(above) }
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
        ("store changed", changed(52), 1,
            ["withdraw raise revoke", "raise revoke", "stop raise", "stop raise", "raise", "raise revoke"]),
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

/// A heart that was standing by when the store changed, and has a new session since.
fn after_a_change() -> Heart {
    let mut heart = brought_to(ReachedStage::Campaigning);
    assert_eq!(names(&heart.step(changed(52), at(1))), ["withdraw", "raise", "revoke"]);
    let released = heart.step(HeartEvent::Released { lease: LEASE }, at(2));
    assert_eq!(names(&released), ["grant"], "it has a session in the store that is now");
    assert!(names(&heart.step(granted(2), at(3))).is_empty(), "it stands too early");
    assert!(names(&heart.step(ready(), at(4))).is_empty());
    assert_eq!(heart.setback(), Some("it is another"));
    heart
}

#[test]
fn in_a_store_that_has_changed_it_stands_when_the_fencing_tokens_are_raised() {
    let mut heart = after_a_change();
    let raised = |above| HeartEvent::TokensRaised { above: FencingToken(above) };
    assert!(names(&heart.step(raised(51), at(5))).is_empty(), "that is not enough");
    assert_eq!(names(&heart.step(raised(52), at(6))), ["campaign"]);
    assert_eq!(heart.setback(), None);
}

#[test]
fn a_raise_that_fails_is_tried_again() {
    let mut heart = after_a_change();
    assert!(names(&heart.step(HeartEvent::RaiseFailed, at(5))).is_empty());
    let again = at(5) + timings().retry;
    assert!(heart.next_wake() <= again);
    assert_eq!(names(&heart.step(HeartEvent::Tick, again)), ["raise"]);
}

/// The fencing tokens must exceed what was seen before the first change, too.
#[test]
fn a_second_change_forgets_nothing_of_the_first() {
    let mut heart = after_a_change();
    let out = heart.step(changed(7), at(5));
    assert!(out.contains(&HeartCommand::RaiseTokens { above: FencingToken(52) }), "{out:?}");
}

#[test]
fn a_host_that_is_to_stop_raises_nothing() {
    let mut heart = after_a_change();
    let _ = heart.step(HeartEvent::RaiseFailed, at(5));
    assert_eq!(names(&heart.step(HeartEvent::Shutdown, at(6))), ["revoke"]);
    let later = at(6) + timings().retry;
    assert!(names(&heart.step(HeartEvent::Tick, later)).is_empty());
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
