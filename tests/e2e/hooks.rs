//! Hooks: code that belongs to the change of leader itself, on the new leader and on standbys.

use serde_json::Value;

use crate::harness::{
    cluster::{Cluster, Kind},
    guests,
    process::agrees,
};

crate::on_all_stores!(
    core:
    a_hook_has_done_its_work_before_the_first_answer,
    a_failing_hook_hands_over,
    a_hook_that_takes_too_long_hands_over,
    standbys_hear_of_every_change,
    what_a_standby_does_ends_before_it_leads,
    a_newer_version_is_not_called_again,
);

/// The action `hook`, which has hooks only; they do what the parameters say.
fn hook(on_leader: &str, on_standby: &str, more: &str) -> String {
    let plugin = guests().join("hooks.wasm");
    format!(
        "[action.hook]\nplugin = \"{}\"\nconfig = {{ on-leader = \"{on_leader}\", on-standby = \"{on_standby}\" }}\n{more}",
        plugin.display()
    )
}

/// Matches a log line that a guest printed with this text.
fn says(text: impl Into<String>) -> impl Fn(&Value) -> bool {
    let text = text.into();
    move |line| line["stream"] == "stdout" && line["message"] == text.as_str()
}

async fn a_hook_has_done_its_work_before_the_first_answer(kind: Kind) {
    let mut cluster = Cluster::with_plugin(kind, guests().join("hooked.wasm")).await.brief();
    cluster.start_with("a", "state = true\n");
    cluster.leading("a").await;
    cluster.start_with("b", "state = true\n");
    cluster.stands("b").await;
    // The hook is called before any answer, once for each term.
    let first = cluster.web.until("a", |_| true).await;
    assert_eq!((first.host.as_str(), first.body.trim()), ("a", "called 1"));
    cluster.kill("a").await;
    let second = cluster.web.until("b", |_| true).await;
    assert_eq!((second.host.as_str(), second.body.trim()), ("b", "called 2"));
}

async fn a_failing_hook_hands_over(kind: Kind) {
    hands_over(kind, &hook("fail no route", "", ""), "its hook on-leader failed: no route").await;
}

async fn a_hook_that_takes_too_long_hands_over(kind: Kind) {
    let endless = hook("spin", "", "hook_timeout = \"500ms\"\n");
    hands_over(kind, &endless, "it took longer than 500ms").await;
}

/// With these settings `a` fails at the start of a term; the others do not.
async fn hands_over(kind: Kind, settings: &str, reason: &str) {
    let mut cluster = Cluster::new(kind).await;
    cluster.start_with("b", &hook("", "", ""));
    cluster.leading("b").await;
    cluster.start_with("a", settings);
    agrees(cluster.host("b"), |status| status["groups"]["main"]["next_leader"] == "a").await;
    // Another host must stand when the hook fails, or the action would be parked.
    cluster.start_with("c", &hook("", "", ""));
    let third = |status: &Value| status["groups"]["main"]["role"] == "standby";
    agrees(cluster.host("c"), third).await;
    agrees(cluster.host("a"), |status| status["hosts"].as_array().map(Vec::len) == Some(3)).await;
    let url = format!("http://{}/v1/switchover", cluster.host("b").api().await);
    assert_eq!(reqwest::Client::new().post(url).send().await.unwrap().status(), 200);
    let end = cluster.host("a").log.event(0, "draining").await;
    let cause = end["cause"].as_str().unwrap_or_default();
    assert!(cause.contains("action hook") && cause.contains(reason), "{end}");
    cluster.leading("c").await;
    cluster.host("c").log.find(0, "the hook of c", says("on-leader: done")).await;
    cluster.web.until("c", |answer| answer.host == "c").await;
    let status = cluster.host("a").status().await;
    let actions = status["actions"].as_array().expect("actions");
    let hook = actions.iter().find(|action| action["name"] == "hook").expect("the action");
    let error = hook["last_error"].as_str().unwrap_or_default();
    assert!(error.contains(reason), "{hook}");
    assert_eq!(hook["kind"], "hooks");
}

async fn standbys_hear_of_every_change(kind: Kind) {
    let mut cluster = Cluster::with_plugin(kind, guests().join("spin.wasm")).await;
    let hook = hook("", "", "");
    cluster.start_with("a", &hook);
    let first = cluster.leading("a").await["fencing_token"].clone();
    // TEST-NET-1 belongs to no machine, so this host cannot lead. Its hook is called all the same.
    let shared = cluster.configuration(&hook);
    let elsewhere = shared.replace(&cluster.web_at.to_string(), "192.0.2.1:3000");
    cluster.start_from("c", &elsewhere);
    cluster.start_with("b", &hook);
    let [a, b, c] = ["a", "b", "c"].map(|name| cluster.host(name).log.clone());
    let leads = |host: &str, fencing_token: &Value| {
        format!("on-standby: {host} leads main, fencing token {fencing_token}")
    };
    b.find(0, "a leads, for b", says(leads("a", &first))).await;
    c.find(0, "a leads, for c", says(leads("a", &first))).await;
    cluster.stands("b").await;
    assert!(!a.lines().iter().any(|line| line.to_string().contains("on-standby")), "{a}");

    cluster.web.get("/resign?enough").await.expect("an answer");
    let second = cluster.leading("b").await["fencing_token"].clone();
    a.find(0, "b leads, for a", says(leads("b", &second))).await;
    c.find(0, "b leads, for c", says(leads("b", &second))).await;
    b.find(0, "b leads, for b", says(format!("on-leader: b of main, fencing token {second}")))
        .await;

    cluster.kill("a").await;
    cluster.terminate("b").await;
    c.find(0, "nobody leads, for c", says("on-standby: nobody leads main")).await;
}

async fn what_a_standby_does_ends_before_it_leads(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    let endless = hook("", "spin", "hook_timeout = \"1h\"\n");
    cluster.start_with("a", &endless);
    let fencing_token = cluster.leading("a").await["fencing_token"].clone();
    cluster.start_with("b", &endless);
    cluster.start_with("c", &endless);
    let [b, c] = ["b", "c"].map(|name| cluster.host(name).log.clone());
    for (name, log) in [("b", &b), ("c", &c)] {
        let told = format!("on-standby: a leads main, fencing token {fencing_token}");
        log.find(0, "a leads", says(told)).await;
        cluster.stands(name).await;
    }
    let seen = cluster.lengths();
    cluster.terminate("a").await;
    cluster.another_leads("a", &seen).await;
    let leader = if b.events("leading").is_empty() { "c" } else { "b" };
    let other = if leader == "b" { "c" } else { "b" };
    let log = cluster.host(leader).log.clone();
    log.find(0, "its hook", says("on-leader: done")).await;
    cluster.web.until(leader, |answer| answer.host == leader).await;
    let api = cluster.host(leader).api().await;
    let metrics = reqwest::get(format!("http://{api}/metrics")).await.expect("an answer");
    let metrics = metrics.text().await.expect("a text");
    assert!(metrics.contains("soloist_instances 0"), "something is left:\n{metrics}");
    // A stop does not wait for the hook either.
    cluster.terminate(other).await;
    for log in [&b, &c] {
        let ended = |line: &Value| line["message"] == "on-standby: done";
        assert!(!log.lines().iter().any(ended), "it cannot end by itself:\n{log}");
        assert!(log.events("hook-failed").is_empty(), "it was interrupted, not failed:\n{log}");
    }
}

async fn a_newer_version_is_not_called_again(kind: Kind) {
    let mut cluster = Cluster::new(kind).await;
    let place = cluster.folder.path().join("plugins/hook.wasm");
    std::fs::copy(guests().join("hooks.wasm"), &place).expect("a copy");
    cluster.start("a");
    let log = cluster.host("a").log.clone();
    log.find(0, "its hook", says("on-leader: done")).await;
    // The same component with an additional section is another version.
    let mut bytes = std::fs::read(&place).expect("a guest");
    bytes.extend([0, 2, 1, b'x']);
    std::fs::write(&place, bytes).expect("a file");
    log.event(0, "loaded").await;
    cluster.web.until("a", |_| true).await;
    let told = || log.lines().iter().filter(|line| says("on-leader: done")(line)).count();
    assert_eq!(told(), 1, "{log}");
    cluster.terminate("a").await;
    assert_eq!(told(), 1, "{log}");
}
