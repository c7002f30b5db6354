//! Keys in a queue that belong to no host, and hosts that head a queue and do not perform: nobody
//! leads, and all hosts report it.

use std::process::Stdio;

use etcd_client::PutOptions;
use rusqlite::Connection;
use serde_json::Value;

use crate::harness::{
    TTL,
    cluster::{Cluster, Kind},
    etcd::{etcdctl, etcdctl_in_a_shell},
    etcd_cluster::EtcdCluster,
    events::Events,
    exit::REFUSED,
    process::{Process, agrees, run, soloist, until_readiness},
};

const QUEUE: &str = "/soloist/test/election/main";

/// The group `main` in a status.
fn main(status: &Value) -> &Value {
    &status["groups"]["main"]
}

/// Waits until a host reports that nobody leads, and why.
async fn nobody_leads(host: &Process, why: &str) -> Value {
    let says = |status: &Value| {
        let told = main(status)["leaderless"]["why"].as_str();
        told.is_some_and(|told| told.contains(why)) && main(status)["leader"].is_null()
    };
    let status = agrees(host, says).await;
    let line = host.log.event(0, "nobody-leads").await;
    assert!(line["message"].as_str().is_some_and(|text| text.contains(why)), "{line}");
    main(&status).clone()
}

/// Waits until a host reports this leader without any doubt.
async fn is_led(host: &Process, leader: &str) {
    let says = |status: &Value| {
        let group = main(status);
        group["leader"] == leader && group["leaderless"].is_null() && group["strangers"].is_null()
    };
    agrees(host, says).await;
}

/// The host's metric for the time without a leader, in seconds.
async fn leaderless(host: &Process) -> f64 {
    let url = format!("http://{}/metrics", host.api().await);
    let text = reqwest::get(url).await.expect("an answer").text().await.expect("text");
    let name = "soloist_leaderless_seconds{group=\"main\"} ";
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("a sample");
    line.parse().expect("a number")
}

/// The output of `soloist` against a host.
async fn soloist_at(host: &Process, args: &[&str]) -> crate::harness::process::Ended {
    run(soloist().args(args).env("SOLOIST_URL", format!("http://{}", host.api().await))).await
}

/// Runs the command from the status that removes the first stranger.
async fn remove(group: &Value) {
    let command = group["strangers"][0]["remove"].as_str().expect("a command");
    let done = etcdctl_in_a_shell(command).output().await.expect("a shell");
    assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), "1", "{command}: {done:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_that_was_elected_is_named_and_can_be_removed() {
    let etcd = EtcdCluster::started().await;
    let mut elect = etcdctl(&etcd.members[1].endpoint());
    let elect = elect.args(["elect", QUEUE, "x"]).stdout(Stdio::piped()).spawn();
    let _elect = elect.expect("etcdctl runs");
    let mut hand = etcd.members[0].connect().await;
    while hand.leader(QUEUE).await.is_err() {}

    let mut cluster = Cluster::at(etcd.url(), TTL);
    for name in ["a", "b"] {
        cluster.start(name);
    }
    for name in ["a", "b"] {
        let group = nobody_leads(cluster.host(name), "which soloist did not write").await;
        assert!(group["next_leader"].is_null() && group["fencing_token"].is_null(), "{group}");
        assert_eq!(group["strangers"][0]["key"], group["leaderless"]["key"], "{group}");
        assert!(group["leaderless"]["lease"].is_string(), "{group}");
        assert!(leaderless(cluster.host(name)).await >= TTL.as_secs_f64() * 2.0);
        assert_eq!(cluster.host(name).log.events("stranger").len(), 1);
        let told = Events::of(cluster.host(name).api().await).await.transition("stranger").await;
        assert!(told["cause"].as_str().is_some_and(|cause| cause.contains(" del ")), "{told}");
        until_readiness(cluster.host(name), false, "nobody can lead main now: the entry").await;
    }
    let a = cluster.host("a");
    let group = main(&a.status().await).clone();
    let shown = soloist_at(a, &["status"]).await.output;
    let command = group["strangers"][0]["remove"].as_str().expect("a command");
    assert!(shown.contains(command) && shown.contains("nobody has led main"), "{shown}");
    let resign = soloist_at(a, &["switchover"]).await;
    assert_eq!(resign.status.code(), Some(REFUSED), "{}", resign.output);
    assert!(resign.output.contains(&format!("help: run `{command}`")), "{}", resign.output);

    remove(&group).await;
    let leader = cluster.web.until("anybody", |_| true).await.host;
    for name in ["a", "b"] {
        is_led(cluster.host(name), &leader).await;
        cluster.host(name).log.event(0, "led-again").await;
        assert_eq!(leaderless(cluster.host(name)).await, 0.0);
        until_readiness(cluster.host(name), true, "").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_in_the_queue_is_no_next_leader() {
    let etcd = EtcdCluster::started().await;
    let mut cluster = Cluster::at(etcd.url(), TTL);
    cluster.join("a").await;
    cluster.leading("a").await;
    // Without a lease, and with a name that no terminal can show but that etcd counts to the queue.
    let mut hand = etcd.members[1].connect().await;
    hand.put([QUEUE.as_bytes(), b"/x/\xff"].concat(), "x", None).await.expect("put");
    cluster.join("c").await;
    let a = cluster.host("a");
    let behind = |status: &Value| main(status)["standbys"][0] == "c";
    let group = main(&agrees(a, behind).await).clone();
    assert_eq!((&group["leader"], &group["next_leader"]), (&"a".into(), &Value::Null), "{group}");
    assert!(group["strangers"][0]["lease"].is_null(), "{group}");
    let warning = a.log.event(0, "stranger").await;
    assert_eq!(warning["remove"], group["strangers"][0]["remove"], "{warning}");
    for order in [&["switchover"][..], &["switchover", "--to", "c"], &["drain", "a"]] {
        let refused = soloist_at(cluster.host("c"), order).await;
        assert_eq!(refused.status.code(), Some(REFUSED), "{order:?}: {}", refused.output);
        assert!(refused.output.contains("nobody would lead main then"), "{}", refused.output);
    }
    cluster.terminate("a").await;
    let group = nobody_leads(cluster.host("c"), "which belongs to no session").await;
    // As a shell would run it.
    let command = group["strangers"][0]["remove"].as_str().expect("a command");
    assert!(command.ends_with(&format!(r"del $'{QUEUE}/x/\xff'")), "{command}");
    remove(&group).await;
    cluster.web.until("c", |answer| answer.host == "c").await;
    is_led(cluster.host("c"), "c").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_heads_the_queue_and_does_not_say_that_it_leads_is_named() {
    let etcd = EtcdCluster::started().await;
    let mut hand = etcd.members[0].connect().await;
    let lease = hand.lease_grant(120, None).await.expect("a lease").id();
    let ghost = r#"{"host":"ghost","url":"http://127.0.0.1:1"}"#;
    let under = PutOptions::new().with_lease(lease);
    hand.put(format!("{QUEUE}/{lease:x}"), ghost, Some(under)).await.expect("put");
    let mut cluster = Cluster::at(etcd.url(), TTL);
    cluster.start("a");
    let group = nobody_leads(cluster.host("a"), "ghost heads its queue").await;
    assert_eq!(group["leaderless"]["lease"], format!("{lease:x}"), "{group}");
    assert_eq!(group["leaderless"]["key"], format!("{QUEUE}/{lease:x}"), "{group}");
    hand.lease_revoke(lease).await.expect("revoked");
    cluster.web.until("a", |answer| answer.host == "a").await;
    is_led(cluster.host("a"), "a").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_by_hand_is_a_stranger_as_well() {
    let mut cluster = Cluster::new(Kind::Sqlite).await.brief();
    cluster.join("a").await;
    cluster.leading("a").await;
    let file = Connection::open(cluster.folder.path().join("soloist.db")).expect("a store");
    let said = r#"{"host":"a","url":"http://127.0.0.1:1","since":1}"#;
    let row = "INSERT INTO candidates VALUES (7, 'test', 'main', 999, ?1)";
    file.pragma_update(None, "foreign_keys", false).expect("as the command line has it");
    // In front of all hosts, where only a manual change can put it.
    file.execute(row, [said]).expect("a row");
    cluster.terminate("a").await;
    cluster.start("b");
    let group = nobody_leads(cluster.host("b"), "which belongs to no session").await;
    let command = group["strangers"][0]["remove"].as_str().expect("a command");
    let (_, sql) = command.split_once('\'').expect("a statement");
    file.execute(sql.trim_end_matches('\''), []).expect("it is right");
    cluster.web.until("b", |answer| answer.host == "b").await;
    is_led(cluster.host("b"), "b").await;
}
