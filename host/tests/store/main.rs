//! What both stores promise, checked against both by one suite; and what each
//! promises besides. etcd is the real one: `SOLOIST_TEST_ETCD`, or `etcd` on the PATH.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and a child process talks to its parent by stdout"
)]

mod contract;
mod etcd;
mod etcd_server;
mod sqlite;
mod world;

/// Makes a test of each property for each store.
macro_rules! properties {
    ($($property:ident),+ $(,)?) => {
        mod on_etcd {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                crate::contract::$property(&crate::world::World::etcd().await).await;
            })+
        }
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $property() {
                crate::contract::$property(&crate::world::World::sqlite()).await;
            })+
        }
    };
}

properties! {
    a_renewed_lease_lives_and_an_unrenewed_one_ends,
    a_revoked_lease_is_gone,
    the_queue_is_first_come_first_served,
    a_candidate_wins_when_the_leader_resigns,
    a_candidate_wins_when_the_leader_s_lease_is_revoked,
    a_candidate_wins_when_the_leader_s_lease_runs_out,
    a_dropped_campaign_is_withdrawn,
    a_dropped_campaign_never_hits_the_next,
    a_campaign_dropped_at_once_leaves_nobody_behind,
    a_leadership_is_verified,
    a_proclamation_is_guarded,
    a_resignation_never_hits_a_successor,
    a_leader_that_stands_again_keeps_its_key,
    members_come_and_go,
    a_watch_begins_with_the_present,
    groups_and_clusters_are_apart,
}
