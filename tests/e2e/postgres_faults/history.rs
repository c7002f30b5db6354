//! PostgreSQL goes back, or loses rows: a host's lease is lost without its noticing. Each time there
//! is one leader in the end, under a higher fencing token.

use std::{fs, path::Path, process::Command};

use tokio::time::Instant;

use super::text;
use crate::{
    commands::done,
    harness::{
        CALM_TTL, TTL, at,
        cluster::Cluster,
        crowd::Crowd,
        own_address,
        postgres::{self, DATABASE, PORT},
        postgres_server::{PostgresServer, ROLE, output},
        process::{agrees, until_readiness},
    },
};

/// A cluster in which `a` leads and `b` stands by, and the fencing token.
async fn led_by_a(url: String, ttl: std::time::Duration) -> (Cluster, i64) {
    let mut cluster = Cluster::at(url, ttl);
    cluster.join("a").await;
    let leads = cluster.web.until("a", |answer| answer.host == "a").await;
    cluster.join("b").await;
    cluster.waiting("b", &["b"]).await;
    (cluster, leads.fencing_token)
}

/// Checks that another term follows long before a lease could run out, and that `a` stands again by
/// itself.
async fn is_replaced_at_once(cluster: &mut Cluster, before: i64, since: Instant) {
    let crowd = Crowd::gather(&cluster.web, 2);
    crowd.hears_newer_than(before).await;
    assert!(since.elapsed() < CALM_TTL / 2, "after {:?}", since.elapsed());
    let a = &cluster.host("a").log;
    a.event(0, "stopped").await;
    a.event(a.last("stopped"), "standby").await;
    crowd.disperse().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_deleted_ends_the_term_at_once() {
    let server = postgres::started();
    let (mut cluster, before) = led_by_a(postgres::url(&server), CALM_TTL).await;
    let since = Instant::now();
    let lease = "SELECT lease FROM soloist.candidates ORDER BY create_revision LIMIT 1";
    server.sql(DATABASE, &format!("DELETE FROM soloist.leases WHERE lease = ({lease})"));
    is_replaced_at_once(&mut cluster, before, since).await;
}

/// By the command that soloist shows for a stranger in the queue.
#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_that_is_deleted_ends_the_term_at_once() {
    let server = postgres::started();
    let (mut cluster, before) = led_by_a(postgres::url(&server), CALM_TTL).await;
    let since = Instant::now();
    let sql = format!("DELETE FROM soloist.candidates WHERE create_revision = {before}");
    server.sql(DATABASE, &sql);
    is_replaced_at_once(&mut cluster, before, since).await;
}

/// Checks that both hosts have noticed, and that one leads above all fencing tokens of before.
async fn goes_on_above(cluster: &Cluster, before: i64, words: &str) {
    for host in cluster.hosts.values() {
        let said = host.log.event(0, "store-changed").await;
        assert!(text(&said["message"]).contains(words), "{said}");
        host.log.event(0, "tokens-raised").await;
    }
    let next = cluster.web.until("a leader", |answer| answer.fencing_token > before).await;
    for host in cluster.hosts.values() {
        agrees(host, |status| status["groups"]["main"]["fencing_token"] == next.fencing_token)
            .await;
        until_readiness(host, true, "ok").await;
    }
}

/// Hands over twice, so that the store of before knows neither the last term nor its token.
async fn hand_over_twice(cluster: &Cluster) -> i64 {
    for (from, to) in [("a", "b"), ("b", "a")] {
        done(cluster, from, &["switchover"], &format!("{to} leads main now")).await;
        cluster.web.until(to, |answer| answer.host == to).await;
    }
    let leads = cluster.web.until("a", |answer| answer.host == "a").await.fencing_token;
    for host in cluster.hosts.values() {
        agrees(host, |status| status["groups"]["main"]["fencing_token"] == leads).await;
    }
    leads
}

fn copy(from: &Path, to: &Path) {
    output(Command::new("cp").arg("-a").arg(from).arg(to), "");
}

/// The copy knows the leader's lease, and not its term. Unless the machine is very busy, it is put
/// back within the TTL.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_put_back_ends_the_term() {
    let mut server = postgres::started();
    let (cluster, _) = led_by_a(postgres::url(&server), CALM_TTL).await;
    let (data, backup) = (server.folder().join("data"), server.folder().join("backup"));
    let mut take = server.tool("pg_basebackup");
    output(take.args(["--pgdata=backup", "--checkpoint=fast", "--wal-method=fetch"]), "");
    let before = hand_over_twice(&cluster).await;
    let crowd = Crowd::gather(&cluster.web, 2);
    server.kill();
    fs::remove_dir_all(&data).expect("data");
    copy(&backup, &data);
    assert!(server.start());
    let back = Instant::now();
    cluster.host("a").log.event(0, "store-changed").await;
    let took = back.elapsed();
    assert!(took < CALM_TTL / 5 + TTL, "noticed after {took:?}");
    crowd.hears_newer_than(before).await;
    assert!(back.elapsed() >= CALM_TTL, "it leads too early: {:?}", back.elapsed());
    goes_on_above(&cluster, before, "went back from").await;
    crowd.disperse().await;
}

/// A database that was made from a template, and from an earlier copy again, in place.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_replaced_by_an_earlier_one_ends_the_term() {
    let server = postgres::started();
    server.sql(DATABASE, "CREATE DATABASE cluster");
    let url = format!("postgres://{ROLE}@{}/cluster", server.address);
    let (cluster, _) = led_by_a(url, CALM_TTL).await;
    let alone = |name: &str| {
        format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
        )
    };
    // Nobody else may be connected meanwhile.
    let closed = |closed| format!("ALTER DATABASE cluster ALLOW_CONNECTIONS {closed}");
    server.sql(DATABASE, &closed(false));
    server.sql(DATABASE, &alone("cluster"));
    server.sql(DATABASE, "CREATE DATABASE earlier TEMPLATE cluster");
    server.sql(DATABASE, &closed(true));
    let before = hand_over_twice(&cluster).await;
    let crowd = Crowd::gather(&cluster.web, 2);
    server.sql(DATABASE, "DROP DATABASE cluster WITH (FORCE)");
    server.sql(DATABASE, "ALTER DATABASE earlier RENAME TO cluster");
    server.sql(DATABASE, &closed(true));
    crowd.hears_newer_than(before).await;
    goes_on_above(&cluster, before, "went back from").await;
    crowd.disperse().await;
}

/// A replica that receives what its primary commits, asynchronously.
fn replica_of(primary: &PostgresServer) -> PostgresServer {
    let mut replica = PostgresServer::without_data(at(own_address(), PORT));
    let mut take = primary.tool("pg_basebackup");
    take.current_dir(replica.folder());
    let slot = ["--pgdata=data", "--write-recovery-conf", "--checkpoint=fast", "--create-slot"];
    output(take.args(slot).args(["--slot=replica", "--wal-method=stream"]), "");
    assert!(replica.start());
    replica
}

/// The replica lacks the last terms. Hosts find it by their list of servers.
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_lagged_is_led_on_under_a_higher_fencing_token() {
    let mut primary = postgres::started();
    let replica = replica_of(&primary);
    let (one, other) = (primary.address, replica.address);
    let url = format!("postgres://{ROLE}@{one},{other}/{DATABASE}?target_session_attrs=read-write");
    let (mut cluster, _) = led_by_a(url, CALM_TTL).await;
    // All of this has arrived; what comes later never does.
    let sent = primary.sql(DATABASE, "SELECT pg_current_wal_lsn()");
    let replayed = format!("SELECT pg_last_wal_replay_lsn() >= '{sent}'");
    while replica.sql(DATABASE, &replayed) != "t" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    replica.sql(DATABASE, "ALTER SYSTEM SET primary_conninfo = ''");
    replica.sql(DATABASE, "SELECT pg_reload_conf()");
    while replica.sql(DATABASE, "SELECT count(*) FROM pg_stat_wal_receiver") != "0" {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let before = hand_over_twice(&cluster).await;
    let crowd = Crowd::gather(&cluster.web, 2);
    primary.kill();
    replica.sql(DATABASE, "SELECT pg_promote()");
    crowd.hears_newer_than(before).await;
    goes_on_above(&cluster, before, "went back from").await;
    crowd.disperse().await;
    // A host that has seen nothing of this finds the same leader.
    cluster.join("c").await;
    let leader = cluster.web.until("a leader", |_| true).await;
    agrees(cluster.host("c"), |it| it["groups"]["main"]["leader"] == leader.host.as_str()).await;
}
