//! What the PostgreSQL store promises besides the contract.

use std::time::Duration;

use soloist_config::StoreUrl;
use soloist_heart::{Group, clock::BootTime};
use soloist_stores::{self as store, Store, StoreError};
use soloist_text::with_causes;
use tokio::time::Instant;

use crate::{
    postgres_database::PostgresDatabase,
    world::{LONG, REQUEST_TIMEOUT, World, next, queue, soon},
};

fn open(url: &StoreUrl) -> std::sync::Arc<dyn Store> {
    store::open(url, "test", REQUEST_TIMEOUT).unwrap()
}

async fn check(database: &PostgresDatabase) -> Result<(), StoreError> {
    soon(open(&database.url()).check()).await
}

/// Hosts that start at the same moment make the tables once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_tables_are_made_once() {
    let database = PostgresDatabase::empty();
    let stores: Vec<_> = (0..6).map(|_| open(&database.url())).collect();
    let made = stores.iter().map(async |store| while store.check().await.is_err() {});
    soon(futures::future::join_all(made)).await;
    let identity = database.sql("SELECT identity FROM soloist.store");
    assert_eq!(identity.len(), 32, "{identity}");
    assert_eq!(database.sql("SELECT count(*) FROM soloist.clusters"), "1");
    for store in &stores {
        assert_eq!(*store.mismatches().borrow(), None);
    }
}

/// Each transaction has limits of its own, also the one that makes the tables.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_of_the_database_keep_no_tables_from_being_made() {
    let database = PostgresDatabase::empty();
    for setting in [
        "idle_in_transaction_session_timeout = '1ms'",
        "lock_timeout = '1ms'",
        "default_transaction_isolation = 'serializable'",
    ] {
        database.sql(&format!("ALTER DATABASE {} SET {setting}", database.name));
    }
    let stores: Vec<_> = (0..3).map(|_| open(&database.url())).collect();
    let made = stores.iter().map(async |store| store.check().await.unwrap());
    soon(futures::future::join_all(made)).await;
}

#[tokio::test]
async fn a_server_that_loses_what_it_confirmed_is_refused() {
    let database = PostgresDatabase::empty();
    let name = &database.name;
    database.sql(&format!("ALTER DATABASE {name} SET synchronous_commit = off"));
    let refused = check(&database).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused { .. }), "{refused:?}");
    assert!(refused.to_string().contains("SET synchronous_commit = on"), "{refused}");
    database.sql(&format!("ALTER DATABASE {name} SET synchronous_commit = local"));
    check(&database).await.unwrap();
}

#[tokio::test]
async fn a_database_that_is_read_only_is_waited_for() {
    let database = PostgresDatabase::empty();
    let name = &database.name;
    database.sql(&format!("ALTER DATABASE {name} SET default_transaction_read_only = on"));
    let told = check(&database).await.unwrap_err();
    assert!(told.is_transient() && with_causes(&told).contains("accepts no writes"), "{told:?}");
    let read_write = format!("SET default_transaction_read_only = off; ALTER DATABASE {name}");
    database.sql(&format!("{read_write} RESET default_transaction_read_only"));
    check(&database).await.unwrap();
}

#[tokio::test]
async fn a_role_that_may_not_make_tables_is_told_what_it_needs() {
    let database = PostgresDatabase::empty();
    let (role, StoreUrl::Postgres(url)) = (format!("r_{}", database.name), database.url()) else {
        unreachable!()
    };
    database.sql(&format!("CREATE ROLE {role} LOGIN"));
    let mut url = *url;
    url.user = Some(role.clone());
    let url = StoreUrl::Postgres(url.into());
    let refused = soon(open(&url).check()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Refused { .. }), "{refused:?}");
    assert!(refused.to_string().contains("CREATE SCHEMA soloist AUTHORIZATION"), "{refused}");
    // What it says helps.
    database.sql(&format!("CREATE SCHEMA soloist AUTHORIZATION {role}"));
    soon(open(&url).check()).await.unwrap();
}

#[tokio::test]
async fn the_first_server_that_accepts_writes_is_used() {
    let database = PostgresDatabase::empty();
    let StoreUrl::Postgres(url) = database.url() else { unreachable!() };
    let mut url = *url;
    // Nobody listens there.
    let dead = soloist_config::PostgresHost::Tcp { host: "127.0.0.1".into(), port: 9 };
    url.hosts.insert(0, dead.clone());
    soon(open(&StoreUrl::Postgres(url.clone().into())).check()).await.unwrap();
    url.hosts =
        vec![dead.clone(), soloist_config::PostgresHost::Tcp { host: "localhost".into(), port: 9 }];
    let told = soon(open(&StoreUrl::Postgres(url.into())).check()).await.unwrap_err();
    let told = with_causes(&told);
    assert!(told.contains("127.0.0.1:9: ") && told.contains("localhost:9: "), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_ended_are_made_anew() {
    let world = World::postgres();
    let (leader, standby) = (world.host("a").await, world.host("b").await);
    let key = leader.win().await;
    let campaign = standby.stand().await;
    let mut rosters = soon(standby.store.watch()).await.unwrap();
    next(&mut rosters, |roster| queue(roster).len() == 2).await;
    let others = "pid <> pg_backend_pid() AND datname = current_database()";
    world.sql(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}"));
    // Each call may meet a connection that has ended; the next one makes another.
    while soon(leader.store.renew(leader.lease)).await.is_err() {}
    while soon(leader.store.resign(&key)).await.is_err() {}
    let won = soon(campaign).await.unwrap().unwrap();
    assert!(soon(standby.store.verify(&won)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_that_were_dropped_are_another_store() {
    let world = World::postgres();
    let host = world.host("a").await;
    let mut told = host.store.mismatches();
    world.sql("DROP SCHEMA soloist CASCADE");
    let renewed = async {
        loop {
            match host.store.renew(host.lease).await {
                Err(error) if error.is_transient() => {}
                done => return done,
            }
        }
    };
    assert!(matches!(soon(renewed).await, Err(StoreError::LeaseGone)));
    let mismatch = told.borrow_and_update().clone().expect("a mismatch");
    assert!(mismatch.seen.contains("another identity"), "{mismatch:?}");
    soon(host.store.grant(LONG)).await.unwrap();
}

/// Somebody who holds what all changes need holds them up no longer than a call may take, and
/// renewals not at all.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_held_holds_up_no_renewal() {
    let world = World::postgres();
    let timeout = Duration::from_millis(500);
    let store = store::open(&world.url, "test", timeout).unwrap();
    let lease = soon(async {
        loop {
            // On a busy machine it takes several calls to open a connection.
            if let Ok(lease) = store.grant(LONG).await {
                return lease.id;
            }
        }
    });
    let lease = lease.await;
    let holder = world.hold("SELECT FROM soloist.rosters FOR UPDATE");
    let member = soloist_stores::Member::named("a");
    let asked = Instant::now();
    let joined = soon(store.join(lease, &member)).await.unwrap_err();
    assert!(joined.is_transient(), "{joined:?}");
    assert!(with_causes(&joined).contains("others hold a lock"), "{joined:?}");
    assert!(asked.elapsed() < timeout * 4, "{:?}", asked.elapsed());
    while let Err(error) = soon(store.renew(lease)).await {
        assert!(error.is_transient(), "{error:?}");
    }
    drop(holder);
    while let Err(error) = soon(store.join(lease, &member)).await {
        assert!(error.is_transient(), "{error:?}");
    }
}

/// Nothing tells of it, but the next look shows it: a leader that is deleted does not lead on for
/// long beside its successor.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_candidate_that_is_deleted_by_hand_is_missed_at_the_next_look() {
    const TIMES: u32 = 6;
    let world = World::postgres();
    let (mut leader, mut standby) = (world.host("a").await, world.host("b").await);
    let mut key = leader.win().await;
    let mut took = Duration::ZERO;
    for _ in 0..TIMES {
        let campaign = standby.stand().await;
        let mut rosters = soon(leader.store.watch()).await.unwrap();
        next(&mut rosters, |roster| queue(roster).len() == 2).await;
        let began = BootTime::now();
        world.delete(&key).await;
        next(&mut rosters, |roster| queue(roster).len() == 1).await;
        key = soon(campaign).await.unwrap().unwrap();
        took += BootTime::now().since(began);
        std::mem::swap(&mut leader, &mut standby);
    }
    assert!(took < Duration::from_millis(300) * TIMES, "{took:?}");
}

/// Somebody locks rows in the other order, and PostgreSQL gives up the host's transaction, since it
/// has waited for long enough to look for deadlocks. What was given up is done again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_costs_no_call() {
    let world = World::postgres();
    let database = world.sql("SELECT current_database()");
    world.sql(&format!("ALTER DATABASE {database} SET deadlock_timeout = '50ms'"));
    let host = world.host("a").await;
    host.win().await;
    let _foreign = world.begin(
        "SET deadlock_timeout = '60s';
         DO $$ BEGIN
             FOR i IN 1..1000 LOOP
                 PERFORM FROM soloist.leases FOR UPDATE;
                 PERFORM pg_sleep(0.01);
                 PERFORM FROM soloist.rosters FOR UPDATE;
                 COMMIT;
                 PERFORM pg_sleep(0.02);
                 COMMIT;
             END LOOP;
         END $$;",
    );
    let sql = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    while world.sql(sql) == "0" {
        soon(host.store.rehearse(&Group::main(), host.lease)).await.unwrap();
    }
}

#[tokio::test]
async fn nobody_sees_the_password() {
    let url = "postgres://me:s3cret@127.0.0.1:9/db?application_name=x";
    let url: StoreUrl = url.parse().unwrap();
    let store = open(&url);
    let told = soon(store.check()).await.unwrap_err();
    let all = format!("{url:?} {url} {} {told:?} {}", store.label(), with_causes(&told));
    assert!(!all.contains("s3cret") && !all.contains("me:"), "{all}");
}

/// Passes a leadership on between two hosts; returns the times from resigning to the other's win, in
/// order.
async fn hand_overs(world: &World) -> Vec<Duration> {
    const TIMES: usize = 100;
    let (mut leader, mut standby) = (world.host("a").await, world.host("b").await);
    let mut key = leader.win().await;
    // Until notifications have proved that they arrive.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let campaign = standby.stand().await;
        let began = BootTime::now();
        soon(leader.store.resign(&key)).await.unwrap();
        let won = soon(campaign).await.unwrap().unwrap();
        assert!(soon(standby.store.verify(&won)).await.unwrap());
        times.push(BootTime::now().since(began));
        assert!(won.fencing_token > key.fencing_token);
        key = won;
        std::mem::swap(&mut leader, &mut standby);
    }
    times.sort();
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures: run it alone, with --nocapture"]
async fn what_a_hand_over_costs() {
    for (how, world) in [("directly", World::postgres()), ("by PgBouncer", World::pgbouncer())] {
        let times = hand_overs(&world).await;
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        println!("{how}: p50 {:?}  p90 {:?}  max {:?}", at(50), at(90), at(100));
    }
}

/// Renewals replace a row's versions within its page: the table stays as small as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it takes minutes: `cargo xtask ci` runs it"]
async fn a_hundred_thousand_renewals_leave_the_tables_small() {
    let world = World::postgres();
    let began = BootTime::now();
    let mut renewing = tokio::task::JoinSet::new();
    for i in 0..5 {
        let host = world.host(&format!("h{i}")).await;
        renewing.spawn(async move {
            for _ in 0..20_000 {
                soon(host.store.renew(host.lease)).await.unwrap();
            }
        });
    }
    renewing.join_all().await;
    let took = BootTime::now().since(began);
    let size = world.sql("SELECT pg_total_relation_size('soloist.leases') / 1024");
    println!("100,000 renewals in {took:?}; the table of leases has {size} KiB");
    assert!(size.parse::<u64>().unwrap() <= 1024, "{size} KiB");
}
