//! Complete scenarios, event by event.

use super::*;

#[test]
fn from_the_first_tick_to_the_last_act() {
    let mut heart = heart();
    let mut step = |event, ms| names(&heart.step(event, at(ms)));
    assert_eq!(step(HeartEvent::Tick, 0), ["grant"]);
    assert_eq!(step(granted(0), 3), [""; 0]);
    assert_eq!(step(joined(), 4), [""; 0]);
    assert_eq!(step(ready(), 5), ["campaign"]);
    assert_eq!(step(HeartEvent::Won { attempt: 1, key: key(7) }, 8), ["verify"]);
    assert_eq!(step(HeartEvent::Verified { key: key(7), holds: true }, 9), ["start"]);
    assert_eq!(step(HeartEvent::Tick, 1000), ["renew"]);
    assert_eq!(step(renewed(1000), 1004), ["extend"]);
    assert_eq!(step(HeartEvent::Shutdown, 1100), ["drain"]);
    assert_eq!(step(HeartEvent::Drained { key: key(7) }, 1200), ["stop"]);
    assert_eq!(step(HeartEvent::Stopped { key: key(7) }, 1210), ["resign"]);
    assert_eq!(step(HeartEvent::Resigned { key: key(7) }, 1215), ["revoke"]);
    assert_eq!(step(HeartEvent::Released { lease: LEASE }, 1220), [""; 0]);
    assert!(heart.is_done());
}

#[test]
fn a_host_that_stands_down_keeps_its_session_and_stands_for_nothing() {
    let mut heart = brought_to(ReachedStage::Leading);
    let mut step = |event, ms| names(&heart.step(event, at(ms)));
    assert_eq!(step(HeartEvent::StandDown, 1), ["drain"]);
    assert_eq!(step(HeartEvent::Drained { key: key(7) }, 2), ["stop"]);
    assert_eq!(step(HeartEvent::Stopped { key: key(7) }, 3), ["resign"]);
    assert_eq!(step(HeartEvent::Resigned { key: key(7) }, 4), [""; 0]);
    for ms in [1000, 2000, 3000] {
        assert_eq!(step(HeartEvent::Tick, ms), ["renew"]);
        assert_eq!(step(renewed(ms), ms), ["extend"]);
    }
    assert_eq!(step(HeartEvent::Shutdown, 3100), ["revoke"]);
    let _ = heart.step(HeartEvent::Released { lease: LEASE }, at(3101));
    assert!(heart.is_done());
}

#[test]
fn the_deadline_counts_from_the_sending() {
    let mut heart = brought_to(ReachedStage::Verifying);
    let start = heart.step(HeartEvent::Verified { key: key(7), holds: true }, at(40));
    assert_eq!(start, [HeartCommand::Start { key: key(7), deadline: deadline(0) }]);
    let _ = heart.step(HeartEvent::Tick, at(1000));
    let extend = heart.step(renewed(1000), at(1999));
    assert_eq!(extend[0], HeartCommand::Extend { lease: LEASE, deadline: deadline(1000) });
}

#[test]
fn a_key_that_does_not_hold_starts_nothing() {
    let mut heart = brought_to(ReachedStage::Verifying);
    let commands = heart.step(HeartEvent::Verified { key: key(7), holds: false }, at(1));
    assert_eq!(names(&commands), [""; 0]);
    let again = heart.step(HeartEvent::Tick, at(1) + timings().retry);
    assert_eq!(names(&again), ["campaign"]);
}

#[test]
fn a_verification_is_tried_again_while_the_session_lives() {
    let mut heart = brought_to(ReachedStage::Verifying);
    assert_eq!(names(&heart.step(HeartEvent::VerifyFailed { key: key(7) }, at(1))), [""; 0]);
    let again = heart.step(HeartEvent::Tick, at(1) + timings().retry);
    assert_eq!(names(&again), ["verify"]);
}

#[test]
fn a_token_that_was_led_under_is_spent() {
    let mut heart = brought_to(ReachedStage::Resigning);
    let _ = heart.step(HeartEvent::Resigned { key: key(7) }, at(1));
    for ms in [1000, 2000, 3000] {
        let _ = heart.step(renewed(ms), at(ms));
    }
    let commands = heart.step(HeartEvent::Won { attempt: 2, key: key(7) }, at(3001));
    assert_eq!(names(&commands), ["resign"]);
}

#[test]
fn an_answer_to_a_campaign_of_long_ago_is_given_back() {
    let mut heart = brought_to(ReachedStage::Campaigning);
    let reason = "its port is taken".to_owned();
    let withdrawn = heart.step(HeartEvent::NotReady { group: Group::main(), reason }, at(1));
    assert_eq!(names(&withdrawn), ["withdraw"]);
    let commands = heart.step(HeartEvent::Won { attempt: 1, key: key(7) }, at(2));
    assert_eq!(names(&commands), ["resign"]);
}

/// A plugin that comes to a running host may find its address taken.
#[test]
fn the_obstacle_of_a_group_that_comes_later_is_known() {
    let mut heart = Heart::new("a".into(), timings(), []);
    let (group, reason) = (Group::main(), "its port is taken".to_owned());
    let commands = heart.step(HeartEvent::NotReady { group: group.clone(), reason }, at(0));
    assert_eq!(names(&commands), ["grant"]);
    let obstacle = heart.candidacies().get(&group).and_then(|candidacy| candidacy.obstacle());
    assert_eq!(obstacle, Some("its port is taken"));
}

#[test]
fn a_key_left_behind_is_given_up() {
    let mut heart = brought_to(ReachedStage::Campaigning);
    assert_eq!(names(&heart.step(HeartEvent::KeyQueued { key: key(7) }, at(1))), [""; 0]);
    let reason = "its port is taken".to_owned();
    let _ = heart.step(HeartEvent::NotReady { group: Group::main(), reason }, at(2));
    assert_eq!(names(&heart.step(HeartEvent::KeyQueued { key: key(7) }, at(3))), ["resign"]);
}

/// While the host is still ending terms in other groups its session stays alive, and so would the
/// key.
#[test]
fn a_host_that_stands_down_leaves_no_key_behind() {
    let mut heart = brought_to(ReachedStage::Campaigning);
    assert_eq!(names(&heart.step(HeartEvent::StandDown, at(1))), ["withdraw"]);
    assert_eq!(names(&heart.step(HeartEvent::KeyQueued { key: key(7) }, at(2))), ["resign"]);
}

#[test]
fn a_grant_that_comes_too_late_is_given_back() {
    let mut heart = heart();
    let _ = heart.step(ready(), at(0));
    let commands = heart.step(granted(0), at(6000));
    assert_eq!(names(&commands), ["revoke"]);
}

#[test]
fn a_store_that_is_down_at_the_start_is_asked_again() {
    let mut heart = heart();
    let _ = heart.step(HeartEvent::Tick, at(0));
    assert_eq!(names(&heart.step(HeartEvent::GrantFailed, at(10))), [""; 0]);
    assert_eq!(heart.next_wake(), at(10) + timings().retry);
    assert_eq!(names(&heart.step(HeartEvent::Tick, heart.next_wake())), ["grant"]);
}

#[test]
fn a_host_without_a_session_stops_at_once() {
    let mut heart = heart();
    let _ = heart.step(HeartEvent::Tick, at(0));
    let _ = heart.step(HeartEvent::GrantFailed, at(10));
    let _ = heart.step(HeartEvent::Shutdown, at(11));
    assert!(heart.is_done());
}

#[test]
fn a_lease_that_comes_after_the_stop_is_given_back() {
    let mut heart = heart();
    let _ = heart.step(ready(), at(0));
    assert_eq!(names(&heart.step(HeartEvent::Shutdown, at(1))), [""; 0]);
    assert!(!heart.is_done(), "it may have been granted");
    assert_eq!(names(&heart.step(granted(0), at(10))), ["revoke"]);
    let _ = heart.step(HeartEvent::Released { lease: LEASE }, at(11));
    assert!(heart.is_done());
}

#[test]
fn stepping_back_is_standing_again() {
    let mut heart = brought_to(ReachedStage::Campaigning);
    let back = || HeartEvent::StepBack { group: Group::main() };
    assert_eq!(names(&heart.step(back(), at(1))), ["withdraw", "campaign"]);
    // A win from before the host stepped back counts for nothing.
    assert_eq!(names(&heart.step(HeartEvent::Won { attempt: 1, key: key(7) }, at(2))), [""; 0]);
    assert_eq!(names(&heart.step(HeartEvent::Won { attempt: 2, key: key(8) }, at(3))), ["verify"]);
    for stage in [
        ReachedStage::Verifying,
        ReachedStage::Leading,
        ReachedStage::Draining,
        ReachedStage::Stopping,
    ] {
        let mut heart = brought_to(stage);
        assert_eq!(names(&heart.step(back(), at(1))), [""; 0], "{stage:?}");
    }
}

#[test]
fn whoever_is_barred_does_not_stand_and_goes_on_leading() {
    let barred = || HeartEvent::Barred { group: Group::main(), reason: "frozen".into() };
    let mut heart = brought_to(ReachedStage::Campaigning);
    assert_eq!(names(&heart.step(barred(), at(1))), ["withdraw"]);
    // Being barred does not depend on whether the actions could run.
    assert_eq!(names(&heart.step(ready(), at(2))), [""; 0]);
    assert_eq!(
        names(&heart.step(HeartEvent::Unbarred { group: Group::main() }, at(3))),
        ["campaign"]
    );

    let mut heart = brought_to(ReachedStage::Leading);
    assert_eq!(names(&heart.step(barred(), at(1))), [""; 0]);
    let cause = EndCause::Preferred { host: "b".into() };
    let over = heart.step(HeartEvent::HandOver { key: key(7), cause }, at(2));
    assert_eq!(names(&over), ["drain"]);
    for event in [HeartEvent::Drained { key: key(7) }, HeartEvent::Stopped { key: key(7) }] {
        let _ = heart.step(event, at(3));
    }
    assert_eq!(names(&heart.step(HeartEvent::Resigned { key: key(7) }, at(4))), [""; 0]);
    assert_eq!(
        names(&heart.step(HeartEvent::Unbarred { group: Group::main() }, at(5))),
        ["campaign"]
    );
}

#[test]
fn whoever_is_no_member_does_not_stand_and_goes_on_leading() {
    let out = || HeartEvent::NotJoined { lease: LEASE, reason: "another has its name".into() };
    let mut heart = brought_to(ReachedStage::Campaigning);
    assert_eq!(names(&heart.step(out(), at(1))), ["withdraw"]);
    assert_eq!((heart.joined(), heart.obstacle()), (None, Some("another has its name")));
    assert_eq!(names(&heart.step(ready(), at(2))), [""; 0]);
    assert!(heart.next_wake() > at(2), "time stands still");
    // The withdrawal has left this key behind.
    assert_eq!(names(&heart.step(HeartEvent::KeyQueued { key: key(7) }, at(3))), ["resign"]);
    let _ = heart.step(HeartEvent::Resigned { key: key(7) }, at(4));
    assert_eq!(names(&heart.step(joined(), at(5))), ["campaign"]);
    assert_eq!(heart.obstacle(), None);

    let mut heart = brought_to(ReachedStage::Leading);
    assert_eq!(names(&heart.step(out(), at(1))), [""; 0]);
    // This one is about an earlier session of the host, which has ended.
    let _ = heart.step(joined(), at(2));
    let other = HeartEvent::NotJoined { lease: LeaseId(1), reason: "no".into() };
    let _ = heart.step(other, at(3));
    assert_eq!(heart.joined(), Some(LEASE));
}

#[test]
fn a_session_that_has_not_joined_stands_for_nothing() {
    let mut heart = brought_to(ReachedStage::Campaigning);
    let lost = heart.step(HeartEvent::LeaseGone { lease: LEASE }, at(1));
    assert_eq!(names(&lost), ["withdraw", "grant"]);
    let lease = LeaseId(0xcafe);
    let granted = HeartEvent::Granted { lease, ttl: TTL, sent: at(1) };
    assert_eq!(names(&heart.step(granted, at(2))), [""; 0]);
    assert_eq!(names(&heart.step(joined(), at(3))), [""; 0], "by the session before");
    assert_eq!(names(&heart.step(HeartEvent::Joined { lease }, at(4))), ["campaign"]);
}

/// Whatever the store refuses, a host that was told to stop ends when its lease does.
#[test]
fn a_store_that_takes_nothing_back_holds_no_host() {
    for stage in [
        ReachedStage::Verifying,
        ReachedStage::Leading,
        ReachedStage::Draining,
        ReachedStage::Stopping,
    ] {
        let mut heart = brought_to(stage);
        let mut waiting = heart.step(HeartEvent::Shutdown, at(0));
        let mut now = 0;
        while !heart.is_done() {
            // Renewals succeed, since a keep-alive needs no login.
            let events: Vec<_> = waiting
                .drain(..)
                .filter_map(|command| match command {
                    HeartCommand::Renew { sent, .. } => {
                        Some(HeartEvent::Renewed { lease: LEASE, ttl: TTL, sent })
                    }
                    HeartCommand::Drain { key, .. } => Some(HeartEvent::Drained { key }),
                    HeartCommand::Stop { key, .. } => Some(HeartEvent::Stopped { key }),
                    HeartCommand::Resign { key } => Some(HeartEvent::ResignFailed { key }),
                    // Whether it was revoked or not, it cannot be relied on any more.
                    HeartCommand::Revoke { lease } => Some(HeartEvent::Released { lease }),
                    _ => None,
                })
                .collect();
            if stage == ReachedStage::Stopping && now == 0 {
                waiting.extend(heart.step(HeartEvent::Stopped { key: key(7) }, at(0)));
            }
            if stage == ReachedStage::Draining && now == 0 {
                waiting.extend(heart.step(HeartEvent::Drained { key: key(7) }, at(0)));
            }
            now += 100;
            for event in events {
                waiting.extend(heart.step(event, at(now)));
            }
            waiting.extend(heart.step(HeartEvent::Tick, at(now)));
            assert!(now < 10_000, "{stage:?}: it goes on for ever");
        }
    }
}
