//! The cost of many candidates and of many groups. Run by `cargo xtask bench crowd`.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use soloist_config::StoreUrl;
use soloist_heart::{Group, LeaderKey};
use soloist_stores::StoreError;
use tokio::{
    sync::mpsc::unbounded_channel,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::world::{TestHost, World};

/// How often a leadership is passed on.
const TURNS: usize = 40;
/// A new watch may report up to 100 ms late: etcd brings new watchers up to date ten times a
/// second.
const SETTLE: Duration = Duration::from_millis(300);

/// A separate host, with its own connections.
async fn host(world: &World, name: String) -> Arc<TestHost> {
    Arc::new(world.host_with(&name, Duration::from_secs(600)).await)
}

/// Lets the host follow the roster, as real hosts do.
async fn follow(host: &TestHost, tasks: &mut JoinSet<()>) {
    let mut rosters = host.store.watch().await.unwrap();
    tasks.spawn(async move { while rosters.next().await.is_some_and(|it| it.is_ok()) {} });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark: `cargo xtask bench crowd`"]
async fn take_over_among_many_candidates() {
    println!("one etcd, all hosts in one process; from resigning to the next one's win:");
    println!("(where all follow the roster, one process reads each change so many times)");
    let sizes = [2, 10, 100, 500];
    for (size, follows) in sizes.map(|size| [(size, false), (size, true)]).concat() {
        let world = World::etcd().await;
        let mut tasks = JoinSet::new();
        let (won_to, mut won) = unbounded_channel();
        for number in 0..size {
            let host = host(&world, format!("h{number:03}")).await;
            if follows {
                follow(&host, &mut tasks).await;
            }
            let won_to = won_to.clone();
            tasks.spawn(async move {
                while let Ok(key) = campaign(&host, &Group::main()).await {
                    let (given_up, wait) = tokio::sync::oneshot::channel();
                    let _ = won_to.send((Instant::now(), Arc::clone(&host), key, given_up));
                    let _ = wait.await;
                }
            });
        }
        let (_, mut leader, mut key, mut given_up) = won.recv().await.unwrap();
        let mut times = Vec::new();
        for _ in 0..TURNS {
            sleep(SETTLE).await;
            let before = Instant::now();
            leader.store.resign(&key).await.unwrap();
            let (at, next, its, gone) = won.recv().await.unwrap();
            assert!(its.fencing_token > key.fencing_token);
            times.push(at.duration_since(before));
            // The former leader stands again, in last place.
            let _ = given_up.send(());
            (leader, key, given_up) = (next, its, gone);
        }
        times.sort();
        let at = |percent: usize| times[(TURNS - 1) * percent / 100].as_secs_f64() * 1e3;
        let who = if follows { "all follow" } else { "none does " };
        println!(
            "{size:4} candidates, {who}  p50 {:6.2} ms  p90 {:6.2}  max {:6.2}",
            at(50),
            at(90),
            at(100)
        );
    }
}

async fn campaign(host: &TestHost, group: &Group) -> Result<LeaderKey, StoreError> {
    host.store.campaign(group, host.lease, &host.candidate()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a benchmark: `cargo xtask bench crowd`"]
async fn many_groups_over_five_hosts() {
    println!("one etcd, five hosts that stand in every group:");
    for count in [1, 10, 100, 1000] {
        let world = World::etcd().await;
        let mut tasks = JoinSet::new();
        let (won_to, mut won) = unbounded_channel();
        let began = Instant::now();
        for name in ["a", "b", "c", "d", "e"] {
            let host = host(&world, name.to_owned()).await;
            follow(&host, &mut tasks).await;
            for number in 0..count {
                let (host, won_to) = (Arc::clone(&host), won_to.clone());
                let group = Group::from(format!("g{number:04}").as_str());
                tasks.spawn(async move {
                    let _ = won_to.send(campaign(&host, &group).await.is_ok());
                });
            }
        }
        for _ in 0..count {
            assert!(won.recv().await.unwrap());
        }
        let took = began.elapsed();
        sleep(SETTLE).await;
        let StoreUrl::Etcd { endpoints, .. } = &world.url else { unreachable!() };
        let mut etcd = etcd_client::Client::connect(endpoints, None).await.unwrap();
        let leases = etcd.leases().await.unwrap().leases().len();
        let metrics = reqwest::get(format!("http://{}/metrics", endpoints[0])).await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let metric = |name: &str| {
            let line = metrics.lines().find(|line| line.starts_with(name)).expect("a metric");
            line.rsplit(' ').next().unwrap().to_owned()
        };
        println!(
            "{count:4} groups  all led after {:7.1} ms  {leases} leases  {} watch streams  {} watches",
            took.as_secs_f64() * 1e3,
            metric("etcd_debugging_mvcc_watch_stream_total"),
            metric("etcd_debugging_mvcc_watcher_total"),
        );
        assert_eq!(leases, 5);
    }
}
