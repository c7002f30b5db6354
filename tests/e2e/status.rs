//! The status that a host reports.

use reqwest::StatusCode;
use serde_json::Value;

use crate::harness::{
    cluster::{Cluster, Kind},
    process::{agrees, run, soloist, until_readiness},
};

crate::on_all_stores!(core: every_host_knows_the_cluster, the_command_prints_it, health_is_told,);

async fn every_host_knows_the_cluster(kind: Kind) {
    let mut cluster = Cluster::of_three(kind).await;
    let leader_url = format!("http://{}", cluster.host("a").api().await);
    for (name, role) in [("a", "leader"), ("b", "next"), ("c", "standby")] {
        let status = agrees(cluster.host(name), |status| {
            status["hosts"].as_array().is_some_and(|members| members.len() == 3)
                && status["groups"]["main"]["next_leader"] == "b"
                && status["groups"]["main"]["leading_since"].is_string()
        })
        .await;
        let group = &status["groups"]["main"];
        assert_eq!(status["cluster"], "test");
        assert_eq!(status["host"]["name"], name);
        assert_eq!(group["leader"], "a", "{status}");
        assert_eq!(group["leader_url"], leader_url.as_str(), "{status}");
        assert_eq!(group["role"], role, "{status}");
        assert!(
            group["fencing_token"].as_i64().is_some_and(|fencing_token| fencing_token > 0),
            "{status}"
        );
        assert_eq!(group["deadline_in_ms"].is_u64(), name == "a", "{status}");
        let members: Vec<_> =
            status["hosts"].as_array().expect("members").iter().map(|m| &m["name"]).collect();
        assert_eq!(members, ["a", "b", "c"], "{status}");
        let action = &status["actions"][0];
        assert_eq!((&action["name"], &action["kind"]), (&"web".into(), &"http".into()), "{status}");
        let state = if name == "a" { "running" } else { "standby" };
        assert_eq!(action["state"], state, "{status}");
        assert_eq!(action["sha256"].as_str().map(str::len), Some(64), "{status}");
    }
    cluster.terminate("a").await;
    agrees(cluster.host("c"), |status| status["groups"]["main"]["leader"] == "b").await;
}

async fn the_command_prints_it(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    cluster.start("a");
    cluster.leading("a").await;
    let url = format!("http://{}", cluster.host("a").api().await);
    let table = run(soloist().args(["status", "--url", &url])).await;
    assert!(table.status.success(), "{}", table.output);
    for word in ["main", "web", "leader"] {
        assert!(table.output.contains(word), "no {word:?} in:\n{}", table.output);
    }
    let json = run(soloist().args(["status", "--json", "--url", &url])).await;
    let status: Value = serde_json::from_str(&json.output).expect("JSON");
    assert_eq!(status["host"]["name"], "a");
}

async fn health_is_told(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    cluster.start("a");
    cluster.leading("a").await;
    // It leads before it has rehearsed a campaign.
    until_readiness(cluster.host("a"), true, "").await;
    let url = format!("http://{}/livez", cluster.host("a").api().await);
    assert_eq!(reqwest::get(url).await.expect("an answer").status(), StatusCode::OK);
}
