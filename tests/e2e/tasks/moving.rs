//! A cluster with queued calls moves to another store while it runs.

use reqwest::Client;
use serde_json::Value;

use super::{
    Caller,
    call_queue::{enqueue_all, until},
    control, three, work,
};
use crate::harness::{
    PATIENCE,
    cluster::{Cluster, Kind},
    process::{readiness, run_within, soloist},
};

crate::on_all_stores!(core: a_running_cluster_moves_to_another_store);

/// Another kind of store: together, the tests move to each and from each.
const fn another(kind: Kind) -> Kind {
    match kind {
        Kind::Sqlite => Kind::Postgres,
        Kind::Postgres | Kind::PgBouncer => Kind::Etcd,
        Kind::Etcd => Kind::Sqlite,
    }
}

async fn a_running_cluster_moves_to_another_store(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    let settings = format!("state = true\n{}", work("max_concurrent_requests = 8"));
    three(&mut cluster, &settings).await;
    let before = cluster.web.until("anybody", |_| true).await.fencing_token;
    let url = format!("{}/v1/state/web/visits", control(&cluster, "b").await);
    assert!(Client::new().put(&url).body("twelve").send().await.unwrap().status().is_success());
    let a = Caller::of(&cluster, "a").await;
    // Some are under way when the cluster is closed, and some wait.
    let ids = enqueue_all(&a, 60, "sleep 1000").await;

    let target = Cluster::new(another(kind)).await;
    let to = target.store_url();
    let (from, file) = (cluster.store_url(), cluster.folder.path().join("operator.toml"));
    std::fs::write(&file, cluster.configuration("")).unwrap();
    let mut copy = soloist();
    copy.args(["store", "copy", &from, &to, "--json", "--config"]).arg(&file);
    let copied = run_within(PATIENCE * 4, &mut copy).await;
    assert!(copied.status.success(), "{}", copied.output);
    let json = &copied.output[copied.output.find('{').unwrap()..=copied.output.rfind('}').unwrap()];
    let told: Value = serde_json::from_str(json).unwrap();
    assert_eq!(told["records"]["state"], 1, "{told}");
    assert!(told["highest_token"].as_i64().unwrap() >= before, "{told}");
    for (name, mut host) in std::mem::take(&mut cluster.hosts) {
        let status = host.ended().await;
        assert!(status.success(), "{name}: {}", host.log);
    }
    // With the old settings a host neither joins nor leads.
    cluster.start("a");
    cluster.host("a").log.event(0, "not-joined").await;
    let (ready, why) = readiness(cluster.host("a")).await;
    assert!(!ready && why.contains("the cluster moves to"), "{why}");
    cluster.terminate("a").await;

    cluster.use_store(to);
    three(&mut cluster, &settings).await;
    cluster.web.until("a higher token", |answer| answer.fencing_token > before).await;
    let url = format!("{}/v1/state/web/visits", control(&cluster, "c").await);
    assert_eq!(reqwest::get(&url).await.unwrap().text().await.unwrap(), "twelve");
    let b = Caller::of(&cluster, "b").await;
    for id in &ids {
        let done = until(&b, id, "done").await;
        assert_eq!(done["attempts"], 1, "{done}");
    }
}
