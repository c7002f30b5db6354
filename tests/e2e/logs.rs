//! The output of actions, read at any host.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::Value;
use tokio::time::timeout;

use crate::harness::{
    PATIENCE,
    client::Answer,
    cluster::{Cluster, Kind},
    exit::{MISSING, REFUSED},
    guests, plugins,
    process::{agrees, run, soloist},
};

crate::on_all_stores!(
    what_the_leader_prints_is_had_from_any_host,
    who_follows_is_led_from_leader_to_leader,
);

/// Three hosts, of which `a` leads; its action prints a line every second.
async fn of_three(kind: Kind) -> Cluster {
    let plugin = plugins().join("job-runner.wasm");
    let count = format!("[action.count]\nplugin = \"{}\"\n", plugin.display());
    Cluster::new(kind).await.with_three_like(&count).await
}

async fn what_the_leader_prints_is_had_from_any_host(kind: Kind) {
    let mut cluster = of_three(kind).await;
    let printed = |line: &Value| line["stream"] == "stdout" && line["action"] == "count";
    let log = &cluster.host("a").log;
    let line = log.find(0, "a line of the plugin", printed).await;
    // Each line of the host's own log names its host and group, too.
    assert_eq!((&line["host"], &line["group"]), (&"a".into(), &"main".into()), "{line}");
    let leads = agrees(cluster.host("b"), |status| status["groups"]["main"]["leader"] == "a");
    let fencing_token = leads.await["groups"]["main"]["fencing_token"].clone();
    for name in ["a", "b"] {
        let url = format!("http://{}", cluster.host(name).api().await);
        let told = run(soloist().args(["logs", "count", "--url", &url])).await;
        assert!(told.status.success(), "{}", told.output);
        assert!(
            told.output.contains(&format!(" a/{fencing_token} unit 1: 9592 primes")),
            "{}",
            told.output
        );
        let told = run(soloist().args(["logs", "count", "-n", "1", "--json", "--url", &url])).await;
        let line: Value = serde_json::from_str(told.output.trim()).expect("one line of JSON");
        assert_eq!(
            (&line["host"], &line["fencing_token"]),
            (&"a".into(), &fencing_token),
            "{line}"
        );
        assert_eq!((&line["action"], &line["stream"]), (&"count".into(), &"stdout".into()));

        let refused = run(soloist().args(["logs", "cuont", "--url", &url])).await;
        assert_eq!(refused.status.code(), Some(MISSING), "{}", refused.output);
        for words in ["there is no action `cuont`", "the actions are count, web"] {
            assert!(refused.output.contains(words), "no {words:?} in {}", refused.output);
        }
    }
    // Output of one host is read at that host, whoever leads.
    let url = format!("http://{}/v1/logs/count", cluster.host("a").api().await);
    let of_c = reqwest::get(format!("{url}?host=c")).await.expect("an answer");
    assert_eq!(of_c.text().await.expect("text"), "");
    let of_nobody = reqwest::get(format!("{url}?host=z")).await.expect("an answer");
    assert_eq!(of_nobody.status(), 404);
    let reason = of_nobody.text().await.expect("text");
    assert!(reason.contains("no host `z`") && reason.contains("a, b, c"), "{reason}");
    // For a known host that is gone, the answer says where its lines are.
    agrees(cluster.host("a"), |status| status["hosts"][2]["first_seen_at"].is_string()).await;
    cluster.kill("c").await;
    agrees(cluster.host("a"), |status| status["hosts"][2]["live"] == false).await;
    let url = format!("http://{}", cluster.host("a").api().await);
    let gone = run(soloist().args(["logs", "count", "--host", "c", "--url", &url])).await;
    assert_eq!(gone.status.code(), Some(REFUSED), "{}", gone.output);
    for words in
        ["c is not alive; it was seen last at", "are alive and keep lines: a, b", "of its process"]
    {
        assert!(gone.output.contains(words), "no {words:?} in {}", gone.output);
    }
}

/// A client that follows a log as JSON; heartbeats are skipped.
struct Follower {
    answer: reqwest::Response,
    unread: Vec<u8>,
    seen: Vec<Value>,
}

impl Follower {
    async fn at(cluster: &Cluster, host: &str) -> Self {
        let api = cluster.host(host).api().await;
        let url = format!("http://{api}/v1/logs/count?follow=true&format=json");
        let answer = reqwest::get(url).await.expect("an answer");
        Self { answer, unread: Vec::new(), seen: Vec::new() }
    }

    async fn until(&mut self, host: &str, words: &str) {
        let found = timeout(PATIENCE, async {
            loop {
                while let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = self.unread.drain(..=end).collect();
                    let Ok(line) = serde_json::from_slice::<Value>(&line) else { continue };
                    self.seen.push(line.clone());
                    if line["host"] == host && line["text"].as_str().expect("text").contains(words)
                    {
                        return;
                    }
                }
                let piece = self.answer.chunk().await.expect("it goes on").expect("it goes on");
                self.unread.extend_from_slice(&piece);
            }
        });
        found.await.unwrap_or_else(|_| panic!("no {words:?} of {host}: {:#?}", self.seen));
    }
}

async fn who_follows_is_led_from_leader_to_leader(kind: Kind) {
    let mut cluster = of_three(kind).await;
    agrees(cluster.host("c"), |status| status["groups"]["main"]["leader"] == "a").await;
    let mut follower = Follower::at(&cluster, "c").await;
    follower.until("a", "unit 2").await;
    let url = format!("http://{}", cluster.host("a").api().await);
    let resigned = run(soloist().args(["switchover", "--url", &url])).await;
    assert!(resigned.status.success(), "{}", resigned.output);
    // The last lines of a leader come before the first lines of the next.
    follower.until("a", "the term is ending").await;
    follower.until("b", "unit 2").await;
    cluster.kill("b").await;
    // The next leader may be the host that is asked, or another one.
    let next = agrees(cluster.host("c"), |status| {
        status["groups"]["main"]["role"] != "out" && status["groups"]["main"]["leader"] == "c"
    });
    next.await;
    follower.until("c", "unit 2").await;
    let lines: BTreeSet<_> = follower
        .seen
        .iter()
        .map(|line| (line["fencing_token"].as_i64(), line["id"].as_u64()))
        .collect();
    assert_eq!(lines.len(), follower.seen.len(), "a line came twice: {:#?}", follower.seen);
    let fencing_tokens: Vec<_> =
        follower.seen.iter().map(|line| line["fencing_token"].as_i64()).collect();
    assert!(fencing_tokens.is_sorted(), "{fencing_tokens:?}");
}

/// A capability that a plugin lacks is reported in its log, with the setting that would grant it.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_denied_stands_among_the_lines() {
    let mut cluster = Cluster::with_plugin(Kind::Sqlite, guests().join("reach.wasm")).await;
    cluster.join("a").await;
    let denied = |answer: &Answer| answer.status == StatusCode::BAD_GATEWAY;
    for to in ["http://denied.example/x", "http://10.1.2.3:81/"] {
        cluster.web.until_any_at(&format!("/fetch?{to}"), "a denial", denied).await;
    }
    let url = format!("http://{}", cluster.host("a").api().await);
    let told = run(soloist().args(["logs", "web", "--url", &url])).await;
    assert!(told.status.success(), "{}", told.output);
    for grant in ["http://denied.example", "http://10.1.2.3:81"] {
        let line = format!("request denied: `outbound = [\"{grant}\"]` in [action.web]");
        assert!(told.output.contains(&line), "no {line} in:\n{}", told.output);
    }
}
