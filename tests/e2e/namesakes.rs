//! Two hosts with the same name, or at the same address.

use serde_json::{Value, json};

use crate::harness::{
    cluster::{Cluster, Kind},
    exit::REFUSED,
    process::{Process, agrees, readiness, run, soloist},
};

crate::on_all_stores!(
    core:
    a_namesake_stands_for_nothing_until_the_name_is_free,
    a_namesake_is_not_taken_for_the_leader_of_its_name,
    a_host_that_comes_back_after_a_crash_is_no_namesake,
    two_hosts_at_one_address_are_told,
);

/// The name, the address and the liveness of each member in a status.
fn members(status: &Value) -> Vec<(&str, &str, bool)> {
    let members = status["hosts"].as_array().expect("members").iter();
    members.map(|it| (text(&it["name"]), text(&it["url"]), it["live"] == true)).collect()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

async fn url(host: &Process) -> String {
    format!("http://{}", host.api().await)
}

async fn a_namesake_stands_for_nothing_until_the_name_is_free(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    cluster.join("a").await;
    let before = cluster.web.until("a", |_| true).await;
    let first = url(cluster.host("a")).await;
    let second = Process::start(&mut cluster.command("a", ""));
    let told = second.log.event(0, "not-joined").await;
    let said = text(&told["message"]);
    for words in ["another live host is also called a", &first, "--name"] {
        assert!(said.contains(words), "no {words:?} in {said}");
    }
    let (ready, why) = readiness(&second).await;
    assert!(!ready && why.contains("another live host is also called a"), "{why}");
    let status = agrees(&second, |status| status["host"]["obstacle"].is_string()).await;
    assert_eq!(status["groups"]["main"]["role"], "out", "{status}");
    // The refused host has no entry, and the first one's entry is unchanged.
    let seen = |status: &Value| members(status) == [("a", first.as_str(), true)];
    agrees(cluster.host("a"), seen).await;
    agrees(&second, seen).await;
    assert_eq!(readiness(cluster.host("a")).await, (true, "ok\n".to_owned()));
    for event in ["standby", "ready"] {
        assert!(second.log.events(event).is_empty(), "{event}: {}", second.log);
    }
    cluster.terminate("a").await;
    second.log.event(0, "ready").await;
    second.log.event(0, "leading").await;
    let own = url(&second).await;
    agrees(&second, |status| members(status) == [("a", own.as_str(), true)]).await;
    let after =
        cluster.web.until("the second", |answer| answer.fencing_token > before.fencing_token).await;
    assert_eq!(after.host, "a");
    assert_eq!(second.log.events("not-joined").len(), 1, "it is said once: {}", second.log);
    assert!(readiness(&second).await.0);
}

async fn a_namesake_is_not_taken_for_the_leader_of_its_name(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    cluster.join("a").await;
    cluster.web.until("a", |_| true).await;
    let second = Process::start(&mut cluster.command("a", ""));
    second.log.event(0, "not-joined").await;
    cluster.join("b").await;
    let first = url(cluster.host("a")).await;
    agrees(&second, |status| status["groups"]["main"]["leader_url"] == first.as_str()).await;
    let at_second = url(&second).await;
    // It forwards what the leader is to answer.
    let answer = reqwest::get(format!("{at_second}/leader/web/")).await.expect("an answer");
    assert_eq!(answer.status(), 200, "{}", second.log);
    assert_eq!(answer.headers()["soloist-host"], "a");
    let mut tell = soloist();
    // Without a name, a command would concern the host that has the name.
    let drained = run(tell.args(["drain"]).env("SOLOIST_URL", &at_second)).await;
    assert_eq!(drained.status.code(), Some(REFUSED), "{}", drained.output);
    assert!(drained.output.contains(&first), "{}", drained.output);
    let mut tell = soloist();
    let switched = run(tell.args(["switchover"]).env("SOLOIST_URL", &at_second)).await;
    assert!(switched.output.contains("b leads main now"), "{}", switched.output);
    cluster.web.until("b", |answer| answer.host == "b").await;
}

async fn a_host_that_comes_back_after_a_crash_is_no_namesake(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    cluster.join("a").await;
    cluster.join("b").await;
    cluster.kill("a").await;
    cluster.start("a");
    let own = url(cluster.host("a")).await;
    agrees(cluster.host("b"), |status| members(status).contains(&("a", own.as_str(), true))).await;
    let log = &cluster.host("a").log;
    assert!(log.events("not-joined").is_empty(), "{log}");
}

async fn two_hosts_at_one_address_are_told(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    let more = "[host]\nadvertise = \"http://10.9.8.7:4000\"\n";
    cluster.join_with("a", more).await;
    cluster.join_with("b", more).await;
    let both = "a and b both advertise http://10.9.8.7:4000: set `host.advertise` on one of them";
    for name in ["a", "b"] {
        let host = cluster.host(name);
        host.log.event(0, "same-address").await;
        agrees(host, |status| status["host"]["warnings"] == json!([both])).await;
        assert_eq!(host.log.events("same-address").len(), 1, "it is said once: {}", host.log);
    }
    cluster.terminate("b").await;
    cluster.host("a").log.event(0, "addresses-right").await;
    agrees(cluster.host("a"), |status| status["host"]["warnings"].is_null()).await;
}
