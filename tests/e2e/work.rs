//! What actions do, and what happens when they cannot.

use std::net::TcpListener;

use crate::harness::{
    at,
    cluster::{Cluster, Kind},
    guests, own_address, plugins,
};

crate::on_all_stores!(
    core:
    a_service_works_where_its_host_leads,
    a_failing_action_hands_over,
    a_taken_address_keeps_a_host_out,
    groups_lead_apart,
    spinning_guests_cost_no_lease,
    a_plugin_hands_the_leadership_over,
    a_service_leaves_its_state_to_the_next_leader,
);

/// Adds the service `job-runner` to the group `main`.
fn job_runner() -> String {
    format!("[action.jobs]\nplugin = \"{}\"\n", plugins().join("job-runner.wasm").display())
}

async fn a_service_works_where_its_host_leads(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    cluster.start_with("a", &job_runner());
    cluster.leading("a").await;
    cluster.start_with("b", &job_runner());
    cluster.stands("b").await;
    let b = cluster.host("b").log.clone();
    let works = |line: &serde_json::Value| line["action"] == "jobs" && line["stream"] == "stdout";
    let a = cluster.host("a").log.clone();
    let first = a.find(0, "unit of work", works).await;
    assert!(first["message"].as_str().is_some_and(|text| !text.is_empty()), "{first}");
    let after_first = a.len();
    a.find(after_first, "second unit of work", works).await;
    assert!(b.events("leading").is_empty(), "{b}");
    cluster.terminate("a").await;
    b.find(0, "unit of work on b", works).await;
}

async fn a_failing_action_hands_over(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    let exits =
        format!("[action.exits]\nplugin = \"{}\"\n", guests().join("service-exit.wasm").display());
    cluster.start_with("a", &exits);
    let fencing_token = cluster.leading("a").await["fencing_token"].clone();
    cluster.start_with("b", &job_runner());
    cluster.host("b").log.event(0, "leading").await;
    let end = cluster.host("a").log.event(0, "draining").await;
    let cause = end["cause"].as_str().unwrap_or_default();
    assert!(cause.contains("exits"), "the cause names the action: {end}");
    assert_eq!(end["fencing_token"], fencing_token);
}

async fn a_taken_address_keeps_a_host_out(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    let taken = TcpListener::bind(cluster.web_at).expect("a free address");
    cluster.start("a");
    let log = cluster.host("a").log.clone();
    let told = log.event(0, "not-ready").await;
    let text = told["message"].as_str().unwrap_or_default();
    assert!(text.contains(&cluster.web_at.to_string()), "it names the address: {told}");
    assert!(log.events("leading").is_empty(), "{log}");
    drop(taken);
    log.event(0, "leading").await;
    cluster.web.until("a", |answer| answer.host == "a").await;
}

async fn groups_lead_apart(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    let side = format!(
        "[action.side]\nplugin = \"{}\"\nlisten = \"{}\"\ngroup = \"side\"\n",
        plugins().join("i-am-server.wasm").display(),
        at(own_address(), 3000),
    );
    // `b` leads `side` before `a` joins, which can run both groups and leads `main`.
    let both = cluster.configuration(&side);
    let (shared, _) = both.split_once("[action.web]").expect("the web action");
    cluster.start_from("b", &format!("{shared}{side}"));
    cluster.leads("b", "side").await;
    cluster.start_with("a", &side);
    cluster.leads("a", "main").await;
    let a = cluster.host("a").log.clone();
    a.find(0, "following b", |line| line["event"] == "following" && line["group"] == "side").await;
    cluster.terminate("b").await;
    cluster.leads("a", "side").await;
}

async fn spinning_guests_cost_no_lease(kind: Kind) {
    let mut cluster = Cluster::with_plugin(kind, guests().join("spin.wasm")).await;
    cluster.start("a");
    cluster.web.until("a", |_| true).await;
    let log = cluster.host("a").log.clone();
    let spinning: Vec<_> = (0..16)
        .map(|_| {
            let web = cluster.web.clone();
            tokio::spawn(async move { web.get("/spin").await })
        })
        .collect();
    // As many renewals as two TTLs have.
    for _ in 0..10 {
        log.event(log.len(), "renewed").await;
    }
    assert!(log.events("stopping").is_empty(), "{log}");
    spinning.iter().for_each(tokio::task::JoinHandle::abort);
    cluster.terminate("a").await;
}

async fn a_plugin_hands_the_leadership_over(kind: Kind) {
    let mut cluster = Cluster::with_plugin(kind, guests().join("spin.wasm")).await;
    cluster.join("a").await;
    let before = cluster.web.until("a", |_| true).await;
    cluster.join("b").await;
    let log = cluster.host("a").log.clone();
    cluster.web.get("/resign?the-disk-is-full").await.expect("an answer");
    let end = log.event(0, "draining").await;
    assert_eq!(end["cause"], "action web asked for it: the-disk-is-full", "{end}");
    let after = cluster.web.until("b", |answer| answer.host == "b").await;
    assert!(after.fencing_token > before.fencing_token, "{before:?} then {after:?}");
    cluster.terminate("a").await;
    // A host that is alone leads again by itself.
    let b = cluster.host("b").log.clone();
    cluster.web.get("/resign?still-full").await.expect("an answer");
    b.event(0, "resigning").await;
    b.event(b.len(), "leading").await;
    let again = cluster.web.until("b", |answer| answer.fencing_token > after.fencing_token).await;
    assert_eq!(again.host, "b");
}

async fn a_service_leaves_its_state_to_the_next_leader(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    let plugin = guests().join("service-farewell.wasm");
    let farewell = format!("[action.farewell]\nplugin = \"{}\"\nstate = true\n", plugin.display());
    cluster.start_with("a", &farewell);
    let fencing_token = cluster.leading("a").await["fencing_token"].to_string();
    let says = |text: String| move |line: &serde_json::Value| line["message"] == text.as_str();
    let a = cluster.host("a").log.clone();
    a.find(0, "the first word", says("before: nobody".to_owned())).await;
    cluster.start_with("b", &farewell);
    cluster.stands("b").await;
    let a = cluster.terminate("a").await;
    a.find(0, "a farewell", says(format!("farewell: {fencing_token}"))).await;
    cluster
        .host("b")
        .log
        .find(0, "a's fencing token", says(format!("before: {fencing_token}")))
        .await;
}
