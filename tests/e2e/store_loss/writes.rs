//! A store that renews leases and refuses other writes: no host could campaign, and all hosts
//! report it.

use etcd_client::{
    AlarmAction, AlarmOptions, AlarmType, Client, CompactionOptions, ConnectOptions, Permission,
    PermissionType,
};
use rusqlite::Connection;
use serde_json::Value;

use super::auth::guarded;
use crate::{
    commands::done,
    harness::{
        TTL,
        cluster::{Cluster, Kind},
        etcd::Etcd,
        plugins,
        process::{Process, agrees, until_readiness},
    },
};

/// Checks that all hosts report an obstacle with these words, and that `a` continues to lead.
async fn all_say(cluster: &Cluster, words: &str) {
    for (name, host) in &cluster.hosts {
        until_readiness(host, false, words).await;
        let status = agrees(host, |status| status["store"]["state"] == "unwritable").await;
        let error = status["store"]["last_error"].as_str().unwrap_or_default();
        assert!(error.contains(words), "{name}: {status}");
        assert!(failures(host).await > 0, "{name}: no failure was counted");
        let told = host.log.event(0, "no-writes").await;
        assert!(told.to_string().contains(words), "{name}: {told}");
        assert_eq!(host.log.events("no-writes").len(), 1, "{name}: {}", host.log);
    }
    super::outlives_its_lease(cluster.host("a")).await;
    cluster.web.until("a", |answer| answer.host == "a").await;
}

async fn all_are_well(cluster: &Cluster) {
    for host in cluster.hosts.values() {
        until_readiness(host, true, "ok").await;
        host.log.event(0, "writes").await;
        agrees(host, |status| status["store"]["state"] == "ok").await;
    }
}

/// The number of failed calls to the store.
async fn failures(host: &Process) -> u64 {
    let url = format!("http://{}/metrics", host.api().await);
    let text = reqwest::get(url).await.expect("an answer").text().await.expect("text");
    let line = text.lines().find(|line| line.starts_with("soloist_store_errors_total "));
    line.expect("a counter").rsplit_once(' ').expect("a value").1.parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_etcd_that_is_full_is_told_by_all() {
    let quota = "--quota-backend-bytes=2000000".to_owned();
    let server = Etcd::started_with(&[quota]).await;
    let mut etcd = server.connect().await;
    let mut cluster = Cluster::on(Some(server), plugins().join("i-am-server.wasm")).brief();
    cluster.join("a").await;
    cluster.web.until("a", |_| true).await;
    cluster.join("b").await;
    for host in cluster.hosts.values() {
        until_readiness(host, true, "ok").await;
    }
    let filler = vec![b'x'; 200_000];
    while etcd.put("filler", filler.clone(), None).await.is_ok() {}
    all_say(&cluster, "etcdctl alarm disarm").await;
    // As the error message suggests.
    let deleted = etcd.delete("filler", None).await.expect("deletions pass");
    let revision = deleted.header().expect("a header").revision();
    let physical = CompactionOptions::new().with_physical();
    etcd.compact(revision, Some(physical)).await.expect("compacted");
    etcd.defragment().await.expect("defragmented");
    let raised = etcd.alarm(AlarmAction::Get, AlarmType::None, None).await.expect("a list");
    for alarm in raised.alarms() {
        let mut of = AlarmOptions::new();
        of.with_member(alarm.member_id());
        etcd.alarm(AlarmAction::Deactivate, AlarmType::Nospace, Some(of)).await.expect("disarmed");
    }
    all_are_well(&cluster).await;
    cluster.terminate("a").await;
    cluster.web.until("b", |answer| answer.host == "b").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permission_that_was_taken_back_is_told_by_all() {
    let (server, _key) = guarded().await;
    let mut cluster = Cluster::at(format!("etcd://soloist:secret@{}", server.endpoint()), TTL);
    cluster.join("a").await;
    cluster.web.until("a", |_| true).await;
    cluster.join("b").await;
    for host in cluster.hosts.values() {
        until_readiness(host, true, "ok").await;
    }
    let root = ConnectOptions::new().with_user("root", "secret");
    let mut root = Client::connect([server.endpoint()], Some(root)).await.expect("root");
    let prefix = |kind| Permission::new(kind, "/soloist/test/").with_prefix();
    root.role_grant_permission("soloist", prefix(PermissionType::Read)).await.expect("less");
    all_say(&cluster, "etcdctl role grant-permission").await;
    // The administrator's login expires as well.
    let again = ConnectOptions::new().with_user("root", "secret");
    let mut root = Client::connect([server.endpoint()], Some(again)).await.expect("root");
    root.role_grant_permission("soloist", prefix(PermissionType::Readwrite)).await.expect("all");
    all_are_well(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_takes_no_candidates_is_told_by_all() {
    let mut cluster = Cluster::new(Kind::Sqlite).await.brief();
    cluster.join("a").await;
    cluster.web.until("a", |_| true).await;
    cluster.join("b").await;
    let file = Connection::open(cluster.folder.path().join("soloist.db")).expect("a store");
    file.busy_timeout(TTL).expect("a setting");
    let full = "CREATE TRIGGER full BEFORE INSERT ON candidates
                BEGIN SELECT RAISE(ABORT, 'there is no room'); END";
    file.execute_batch(full).expect("a trigger");
    all_say(&cluster, "there is no room").await;
    file.execute_batch("DROP TRIGGER full").expect("none");
    all_are_well(&cluster).await;
}

/// A leader that a full store keeps from writing that it leads.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_a_full_etcd_knows_nothing_of_is_shown() {
    let server = Etcd::started().await;
    let mut etcd = server.connect().await;
    let mut cluster = Cluster::on(Some(server), plugins().join("i-am-server.wasm")).brief();
    cluster.join("a").await;
    cluster.web.until("a", |_| true).await;
    cluster.join("b").await;
    etcd.alarm(AlarmAction::Activate, AlarmType::Nospace, None).await.expect("raised");
    done(&cluster, "a", &["switchover"], "b leads main now, and cannot write so").await;
    cluster.web.until("b", |answer| answer.host == "b").await;
    for name in ["a", "b"] {
        let shown = |status: &Value| {
            let group = &status["groups"]["main"];
            let why = group["unproclaimed"].as_str().unwrap_or_default();
            group["leader"] == "b" && group["leading_since"].is_null() && why.contains("is full")
        };
        agrees(cluster.host(name), shown).await;
    }
    // Longer than after which a gap is shown.
    super::outlives_its_lease(cluster.host("b")).await;
    super::outlives_its_lease(cluster.host("b")).await;
    for host in cluster.hosts.values() {
        let status = host.status().await;
        let group = &status["groups"]["main"];
        assert!(group["leader"] == "b" && group["leaderless"].is_null(), "{status}");
        assert!(host.log.events("nobody-leads").is_empty(), "{}", host.log);
    }
    etcd.alarm(AlarmAction::Deactivate, AlarmType::Nospace, None).await.expect("disarmed");
    let written = |status: &Value| {
        let group = &status["groups"]["main"];
        group["leading_since"].is_string() && group["unproclaimed"].is_null()
    };
    agrees(cluster.host("a"), written).await;
}

/// A host that can do nothing in the store from its start.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_etcd_at_the_start_is_told() {
    let server = Etcd::started().await;
    let mut etcd = server.connect().await;
    etcd.alarm(AlarmAction::Activate, AlarmType::Nospace, None).await.expect("raised");
    let mut cluster = Cluster::on(Some(server), plugins().join("i-am-server.wasm"));
    cluster.start("a");
    until_readiness(cluster.host("a"), false, "etcdctl alarm disarm").await;
    let lost = cluster.host("a").log.event(0, "store-lost").await;
    assert!(lost.to_string().contains("is full"), "{lost}");
    etcd.alarm(AlarmAction::Deactivate, AlarmType::Nospace, None).await.expect("disarmed");
    cluster.leading("a").await;
    let status: Value = cluster.host("a").status().await;
    assert_eq!(status["store"]["last_error"], Value::Null, "{status}");
}
