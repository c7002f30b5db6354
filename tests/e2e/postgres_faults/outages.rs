//! The server stops, freezes, crashes or is restarted, and so does the pooler in front of it.

use super::{Rig, outlives_its_lease};
use crate::harness::{
    at, own_address,
    pgbouncer::PgBouncer,
    postgres::{self, DATABASE},
    postgres_server::ROLE,
};
use rustix::process::Signal;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_stopped_ends_the_term_in_time() {
    let mut rig = Rig::start().await;
    rig.server.stop();
    rig.is_lost("does not answer").await;
    assert!(rig.server.start());
    rig.leads_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_crashes_ends_the_term_in_time() {
    let mut rig = Rig::start().await;
    rig.server.kill();
    rig.is_lost("does not answer").await;
    assert!(rig.server.start());
    rig.leads_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_freezes_ends_the_term_in_time() {
    let rig = Rig::start().await;
    rig.server.freeze();
    rig.is_lost("no answer in time").await;
    rig.server.thaw();
    rig.leads_again().await;
}

/// Connections stay, and new ones are made to a frozen server: the kernel accepts them.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_first_process_is_frozen_ends_nothing() {
    let rig = Rig::start().await;
    rig.server.signal(Signal::STOP);
    outlives_its_lease(rig.cluster.host("a")).await;
    rig.server.signal(Signal::CONT);
    rig.leads_on().await;
}

/// It is back long before the deadline.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_restarted_is_used_again() {
    let mut rig = Rig::start().await;
    rig.server.stop();
    assert!(rig.server.start());
    // On a busy machine the restart may take longer than the term has.
    rig.leads_on_or_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_one_of_its_processes_is_survived() {
    let rig = Rig::start().await;
    // The server then ends all others and recovers, as if it had been killed.
    let one = rig.sql("SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() LIMIT 1");
    let one = rustix::process::Pid::from_raw(one.parse().expect("a pid")).expect("a pid");
    rustix::process::kill_process(one, Signal::KILL).expect("it runs");
    rig.leads_on_or_again().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pooler_that_is_restarted_is_used_again() {
    let server = postgres::started();
    let address = at(own_address(), 6432);
    let pooler = PgBouncer::start(&server, address);
    let rig = Rig::on(server, format!("postgres://{ROLE}@{address}/{DATABASE}")).await;
    drop(pooler);
    rig.is_lost("does not answer").await;
    let _pooler = PgBouncer::start(&rig.server, address);
    rig.leads_again().await;
}
