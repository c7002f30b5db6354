//! Sessions of others hold locks on soloist's rows and tables, or lock them in another order.

use super::Rig;
use crate::{
    commands::done,
    harness::{
        at, own_address,
        postgres::{self, DATABASE, PORT},
        postgres_server::PostgresServer,
        process::{agrees, until_readiness},
    },
};

/// Renewals wait for the lock until they have taken too long.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_locked_ends_the_term_in_time() {
    let rig = Rig::start().await;
    let held = rig.server.hold(DATABASE, "LOCK TABLE soloist.leases IN ACCESS EXCLUSIVE MODE");
    rig.is_lost("others hold a lock on what this needs").await;
    drop(held);
    rig.leads_again().await;
}

/// Nothing changes but leases: the leader leads on, and nobody could follow it.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_all_changes_need_is_told_and_ends_nothing() {
    let rig = Rig::start().await;
    let held = rig.server.hold(DATABASE, "SELECT FROM soloist.rosters FOR UPDATE");
    let words = "others hold a lock on what this needs";
    for host in rig.cluster.hosts.values() {
        until_readiness(host, false, words).await;
        agrees(host, |status| status["store"]["state"] == "unwritable").await;
    }
    drop(held);
    for host in rig.cluster.hosts.values() {
        until_readiness(host, true, "ok").await;
    }
    rig.leads_on().await;
}

/// Others lock rows in the opposite order, again and again, so that PostgreSQL has to give up one
/// of those that wait for each other: the hosts, since it looks for deadlocks in the name of who
/// has waited for that long. Hand-overs succeed all the same.
#[tokio::test(flavor = "multi_thread")]
async fn deadlocks_are_survived() {
    let server = PostgresServer::stopped(at(own_address(), PORT));
    let mut server = server.with(&["deadlock_timeout=50ms"]);
    assert!(server.start());
    let url = postgres::url(&server);
    let rig = Rig::on(server, url).await;
    let _foreign = rig.server.begin(DATABASE, OTHER_WAY_ROUND);
    let mut leader = "a";
    while rig.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = 'postgres'") == "0" {
        let next = if leader == "a" { "b" } else { "a" };
        done(&rig.cluster, leader, &["switchover"], &format!("{next} leads main now")).await;
        leader = next;
    }
    rig.leads_again().await;
}

/// Locks the hosts' rows in another order than hosts do, and leaves them some time in between.
const OTHER_WAY_ROUND: &str = "
    SET deadlock_timeout = '60s';
    DO $$ BEGIN
        FOR i IN 1..400 LOOP
            PERFORM FROM soloist.leases FOR UPDATE;
            PERFORM FROM soloist.candidates FOR UPDATE;
            PERFORM pg_sleep(0.01);
            PERFORM FROM soloist.rosters FOR UPDATE;
            COMMIT;
            PERFORM pg_sleep(0.02);
            COMMIT;
        END LOOP;
    END $$;";
