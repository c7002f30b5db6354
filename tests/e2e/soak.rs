//! The resources of a host: nothing grows with the changes of leadership, and a standby needs
//! almost nothing.

use std::time::Duration;

use reqwest::Client;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::harness::{
    cluster::{Cluster, Kind},
    guests,
    process::Process,
};

crate::on_all_stores!(changes_of_leadership_leave_nothing_behind, who_stands_by_takes_little);

/// How often the leadership changes; `SOLOIST_CHANGES` sets another number.
fn changes() -> usize {
    std::env::var("SOLOIST_CHANGES").map_or(60, |changes| changes.parse().expect("a number"))
}

/// The resources that a process holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holds {
    memory: u64,
    threads: u64,
    files: usize,
}

impl Holds {
    fn of(host: &Process) -> Self {
        Self { memory: host.memory(), threads: host.threads(), files: host.files() }
    }

    /// The maximum of each resource in `samples`.
    fn most(samples: &[Self]) -> Self {
        samples.iter().fold(samples[0], |most, it| Self {
            memory: most.memory.max(it.memory),
            threads: most.threads.max(it.threads),
            files: most.files.max(it.files),
        })
    }
}

/// Three small plugins: an `http` action, a service and a job.
fn settings() -> String {
    format!(
        "[action.beat]\nplugin = \"{}\"\n[action.tick]\nplugin = \"{}\"\nargs = [\"say\"]\n\
         schedule = \"every 1h\"\n",
        guests().join("service-loop.wasm").display(),
        guests().join("job.wasm").display(),
    )
}

async fn changes_of_leadership_leave_nothing_behind(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    cluster.join_with("a", &settings()).await;
    cluster.leading("a").await;
    cluster.join_with("b", &settings()).await;
    let client = Client::new();
    let (mut leader, mut next_leader) = ("a", "b");
    let mut samples = Vec::new();
    let began = Instant::now();
    for change in 0..changes() {
        cluster.waiting(leader, &[next_leader]).await;
        let url = format!("http://{}/v1/switchover", cluster.host(leader).api().await);
        let seen = cluster.host(next_leader).log.len();
        let order = json!({ "group": "main", "by": "soak" });
        let answer = client.post(url).json(&order).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{}", answer.text().await.expect("a text"));
        cluster.host(next_leader).log.event(seen, "leading").await;
        (leader, next_leader) = (next_leader, leader);
        if change % (changes() / 20).max(1) == 0 {
            samples.push(Holds::of(cluster.host("a")));
        }
    }
    let log = &cluster.host("a").log;
    println!("{} changes of leadership on {kind:?} in {:?}", changes(), began.elapsed());
    println!("at first {:?}, halfway {:?}", samples[0], samples[samples.len() / 2]);
    println!("at last {:?}", samples[samples.len() - 1]);
    // Permanent caches are full after a quarter of the changes.
    let (quarter, end) = (samples.len() / 4, samples.len() * 3 / 4);
    let (before, after) = (Holds::most(&samples[..=quarter]), Holds::most(&samples[end..]));
    // A blocking thread may be running, or a connection may exist twice for a moment.
    assert!(after.threads <= before.threads + 4, "threads grow: {samples:?}\n{log}");
    assert!(after.files <= before.files + 4, "files grow: {samples:?}\n{log}");
    let grown = after.memory.saturating_sub(before.memory);
    assert!(grown < before.memory / 8, "memory grows: {samples:?}\n{log}");
}

/// The highest private memory of a standby in bytes, and its highest share of a core.
const MEMORY: u64 = 20 << 20;
const OF_A_CORE: f64 = 0.01;

async fn who_stands_by_takes_little(kind: Kind) {
    // On a busy machine the same work takes more CPU time.
    let (watched, most) = if changes() > 1_000 { (60, OF_A_CORE) } else { (10, OF_A_CORE * 2.0) };
    let cluster = Cluster::new(kind).await.with_three_like(&settings()).await;
    let host = cluster.host("b");
    // There is no event for the end of everything that a start begins; it takes less than a second.
    sleep(Duration::from_secs(2)).await;
    let (began, before) = (Instant::now(), host.computed());
    sleep(Duration::from_secs(watched)).await;
    let computed = (host.computed() - before).as_secs_f64() / began.elapsed().as_secs_f64();
    let memory = host.own_memory();
    println!(
        "standing by on {kind:?}: {:.2} % of a core, {:.1} MiB, {} threads, {} files",
        computed * 100.0,
        memory as f64 / f64::from(1 << 20),
        host.threads(),
        host.files()
    );
    assert!(computed < most, "it takes {:.2} % of a core", computed * 100.0);
    assert!(memory < MEMORY, "it holds {memory} bytes");
}
