//! While the store is lost, no host claims to know the leader.

use serde_json::Value;

use crate::harness::exit::UNAVAILABLE;
use crate::{
    commands::refused,
    harness::{
        cluster::{Cluster, Kind},
        guests,
        process::{Process, agrees, run, soloist},
    },
};

crate::on_all_stores!(core: who_leads_is_not_known_without_the_store);

async fn fencing_token(host: &Process) -> String {
    let url = format!("http://{}/metrics", host.api().await);
    let text = reqwest::get(url).await.expect("an answer").text().await.expect("text");
    let line = text.lines().find(|line| line.starts_with("soloist_fencing_token{group=\"main\"}"));
    line.expect("a fencing token").rsplit_once(' ').expect("a value").1.to_owned()
}

async fn who_leads_is_not_known_without_the_store(kind: Kind) {
    let job = guests().join("job.wasm");
    let job =
        format!("[action.report]\nplugin = \"{}\"\nschedule = \"0 3 * * *\"\n", job.display());
    let cluster = Cluster::new(kind).await.brief().with_three_like(&job).await;
    let seen = |status: &Value| {
        status["store"]["current"] == true && status["groups"]["main"]["leader"] == "a"
    };
    agrees(cluster.host("b"), seen).await;
    assert_ne!(fencing_token(cluster.host("b")).await, "0");
    let held = cluster.hold_store();
    for name in ["a", "b"] {
        let host = cluster.host(name);
        let unknown = agrees(host, |status| status["store"]["current"] == false).await;
        let group = &unknown["groups"]["main"];
        for key in ["leader", "leader_url", "fencing_token", "next_leader", "since"] {
            assert!(group[key].is_null(), "{key}: {unknown}");
        }
        assert_eq!(group["last_known_leader"], "a", "{unknown}");
        assert!(unknown["store"]["seen_at"].is_string(), "{unknown}");
        let members = unknown["hosts"].as_array().expect("members");
        assert!(members.len() == 3 && members.iter().all(|it| it["live"].is_null()), "{unknown}");
        assert_eq!(fencing_token(host).await, "0");
        let url = format!("http://{}", host.api().await);
        let table = run(soloist().args(["status", "--url", &url])).await.output;
        assert!(table.contains("unknown (last seen: a, "), "{table}");
        assert!(
            table.lines().any(|line| line.starts_with("b ") && line.contains(" ? ")),
            "{table}"
        );
    }
    let words = "has not heard of the store since";
    for command in [&["drain", "c"][..], &["switchover"]] {
        refused(&cluster, "b", command, UNAVAILABLE, words).await;
    }
    let url = format!("http://{}", cluster.host("b").api().await);
    let ran = run(soloist().args(["job", "run", "report", "--url", &url])).await;
    assert_eq!(ran.status.code(), Some(UNAVAILABLE), "{}", ran.output);
    assert!(ran.output.contains(words), "{}", ran.output);
    cluster.release_store(held);
    let known = |status: &Value| {
        status["store"]["current"] == true && status["groups"]["main"]["leader"].is_string()
    };
    let status = agrees(cluster.host("b"), known).await;
    assert!(status["groups"]["main"]["last_known_leader"].is_null(), "{status}");
}
