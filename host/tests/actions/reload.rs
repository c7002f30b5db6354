//! One version after another on a stage: requests move over, and nothing of the old one stays.

use std::sync::Arc;

use soloist::{action::Action, clock::BootTime, config::ActionConfig, plugin::PoolUsage};

use crate::rig::{
    Prepared, Rig, config, free_address, gate, guest_file, prepare, read_until, rest_of, until,
};

/// `guest` as another version of what `rig` runs.
fn version(rig: &Rig, guest: &str) -> Arc<Action> {
    let config = ActionConfig {
        name: rig.action.name().clone(),
        ..config(guest_file(guest), rig.action.listen().unwrap())
    };
    Action::prepare(&config, &rig.engine).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_old_version_has_begun_it_finishes_and_then_it_is_gone() {
    let mut rig = Rig::up("spin").await;
    let mut kept_open = rig.send("GET /sleep?ms=0 HTTP/1.1\r\nhost: a\r\n\r\n").await;
    read_until(&mut kept_open, "slept").await;
    let begun =
        rig.send("GET /sleep?ms=300 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    rig.instances(1).await;

    let new = version(&rig, "i-am-server");
    rig.running.set(std::slice::from_ref(&new));
    // The new one answers at once, on the very connection that the old one answered on.
    until("the new version", || new.status().state == soloist::action::State::Running).await;
    tokio::io::AsyncWriteExt::write_all(&mut kept_open, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    read_until(&mut kept_open, "I am server a").await;
    let (finished, in_order) = rest_of(begun).await;
    assert!(in_order && finished.contains("slept"), "{finished}");

    // Whoever holds the old version, it is not the host.
    let old = Arc::downgrade(&std::mem::replace(&mut rig.action, new));
    until("the old version is dropped", || old.upgrade().is_none()).await;
    assert_eq!(rig.engine.pool_usage().unwrap(), PoolUsage::default());
    rig.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_in_the_midst_of_a_replacement_leaves_nothing() {
    let (engine, action): Prepared = prepare("spin", free_address());
    let mut rig = Rig::start((engine, action), gate(1, BootTime::NEVER));
    rig.running.started().await.unwrap();
    let _streams = rig.begin("GET /spin HTTP/1.1\r\nhost: a\r\n\r\n", 4).await;
    let new = version(&rig, "i-am-server");
    rig.running.set(std::slice::from_ref(&new));
    rig.stop().await;
    assert_eq!(new.status().state, soloist::action::State::Ready);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_is_taken_away_lets_go_of_its_address() {
    let mut rig = Rig::up("i-am-server").await;
    rig.running.set(&[]);
    until("the address is let go", || rig.action.preflight().is_ok()).await;
    rig.running.set(std::slice::from_ref(&rig.action));
    rig.running.started().await.unwrap();
    assert_eq!(rig.ask("/").await.0, 200);
    rig.stop().await;
}
