//! Actions that the leader goes on without: they keep their addresses and paths, and come back to
//! them.

use std::{collections::BTreeMap, net::TcpListener, sync::Arc, time::Duration};

use soloist::action::InactiveActions;
use soloist_heart::clock::BootTime;
use tokio::time::{sleep, timeout};

use crate::rig::{PATIENCE, RunningAction, free_address, gate, prepare};

/// The set in which the action is parked.
fn parked(rig: &RunningAction) -> InactiveActions {
    let reason = "it ended: it trapped".to_owned();
    let parked = BTreeMap::from([(Arc::clone(rig.action.name()), reason)]);
    InactiveActions { parked, ..InactiveActions::default() }
}

/// Waits until requests get `status`, and returns the text.
async fn answers(rig: &RunningAction, status: u16) -> String {
    let asked = timeout(PATIENCE, async {
        loop {
            let (seen, text) = rig.ask("/").await;
            if seen == status {
                return text;
            }
            sleep(Duration::from_millis(1)).await;
        }
    });
    asked.await.unwrap_or_else(|_| panic!("no answer with {status}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_parked_keeps_its_address_and_comes_back() {
    let mut rig = RunningAction::up("hello").await;
    answers(&rig, 200).await;
    let all = [Arc::clone(&rig.action)];
    for _ in 0..3 {
        let absent = parked(&rig);
        rig.running.set_with_inactive(&all, &absent);
        let told = answers(&rig, 503).await;
        assert!(told.contains("the action web is parked: it ended: it trapped"), "{told}");
        rig.running.set(&all);
        rig.running.started().await.unwrap();
        answers(&rig, 200).await;
    }
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_was_taken_is_tried_for_when_its_action_is() {
    let taken = TcpListener::bind(free_address()).unwrap();
    let prepared = prepare("hello", taken.local_addr().unwrap());
    let mut rig = RunningAction::start(prepared, gate(1, BootTime::NEVER));
    let failure = timeout(PATIENCE, rig.failures.recv()).await.expect("it fails").unwrap();
    assert!(failure.reason.contains("cannot listen"), "{failure}");
    let (all, absent) = ([Arc::clone(&rig.action)], parked(&rig));
    rig.running.set_with_inactive(&all, &absent);
    drop(taken);
    rig.running.set(&all);
    timeout(PATIENCE, rig.running.started()).await.expect("it starts").unwrap();
    answers(&rig, 200).await;
    rig.stop().await;
}
