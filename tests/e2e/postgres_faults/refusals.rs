//! PostgreSQL refuses: it is read-only, the password is another one, the role has too many
//! connections, or statements have too little time.

use super::{Rig, outlives_its_lease};
use crate::harness::{
    postgres::{self, DATABASE},
    postgres_server::PostgresServer,
};

/// A server that asks the role `hosts` for its password, `s3cret`.
fn guarded() -> PostgresServer {
    let server = postgres::started();
    let rules = server.folder().join("data/pg_hba.conf");
    let trust = std::fs::read_to_string(&rules).expect("rules");
    let asks = format!("host all hosts 127.0.0.1/32 scram-sha-256\n{trust}");
    std::fs::write(&rules, asks).expect("its folder");
    server.sql(DATABASE, "SELECT pg_reload_conf()");
    server.sql(DATABASE, "CREATE ROLE hosts LOGIN PASSWORD 's3cret'");
    server.sql(DATABASE, "CREATE SCHEMA soloist AUTHORIZATION hosts");
    server
}

fn url(server: &PostgresServer) -> String {
    format!("postgres://hosts:s3cret@{}/{DATABASE}", server.address)
}

/// Ends all connections of hosts.
const DISCONNECT: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                          WHERE usename = 'hosts'";

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_becomes_read_only_ends_the_term_in_time() {
    let rig = Rig::start().await;
    rig.sql("ALTER SYSTEM SET default_transaction_read_only = on");
    rig.sql("SELECT pg_reload_conf()");
    rig.is_lost("accepts no writes").await;
    rig.sql("ALTER SYSTEM RESET default_transaction_read_only");
    rig.sql("SELECT pg_reload_conf()");
    rig.leads_again().await;
}

/// The hosts go on with the connections that they have. Once these are gone, they say what helps,
/// and it does.
#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_is_changed_is_told() {
    let server = guarded();
    let url = url(&server);
    let rig = Rig::on(server, url).await;
    rig.sql("ALTER ROLE hosts PASSWORD 'other'");
    outlives_its_lease(rig.cluster.host("a")).await;
    assert!(
        rig.cluster.host("a").log.events("stopping").is_empty(),
        "{}",
        rig.cluster.host("a").log
    );
    rig.sql(DISCONNECT);
    rig.is_lost("check user and password").await;
    rig.sql("ALTER ROLE hosts PASSWORD 's3cret'");
    rig.leads_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_connections_is_told() {
    let server = guarded();
    let url = url(&server);
    let rig = Rig::on(server, url).await;
    rig.sql("ALTER ROLE hosts CONNECTION LIMIT 0");
    outlives_its_lease(rig.cluster.host("a")).await;
    rig.sql(DISCONNECT);
    rig.is_lost("raise `max_connections` or the role's limit").await;
    rig.sql("ALTER ROLE hosts CONNECTION LIMIT -1");
    rig.leads_again().await;
}

/// Connections of before keep the setting that they began with.
#[tokio::test(flavor = "multi_thread")]
async fn statements_without_time_are_told() {
    let server = guarded();
    let url = url(&server);
    let rig = Rig::on(server, url).await;
    // Somebody else's statements are held up, so that none of the hosts' ends within its time.
    rig.sql("ALTER ROLE hosts SET statement_timeout = '50ms'");
    let held = rig.server.hold(DATABASE, "LOCK TABLE soloist.store IN ACCESS EXCLUSIVE MODE");
    rig.sql(DISCONNECT);
    rig.is_lost("it took too long").await;
    drop(held);
    rig.leads_again().await;
}

/// What a role or database sets of its own changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_role_do_not_matter() {
    let server = guarded();
    for setting in [
        "default_transaction_isolation = 'serializable'",
        "search_path = 'nowhere'",
        "lock_timeout = '1ms'",
        "idle_in_transaction_session_timeout = '1ms'",
        "datestyle = 'German'",
    ] {
        server.sql(DATABASE, &format!("ALTER ROLE hosts SET {setting}"));
    }
    let url = url(&server);
    let mut rig = Rig::on(server, url).await;
    rig.cluster.terminate("a").await;
    rig.crowd.hears_newer_than(rig.first).await;
    rig.cluster.join_with("a", "state = true\n").await;
    rig.leads_again().await;
}
