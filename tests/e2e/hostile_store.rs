//! Whatever the store contains, a host continues, reports what it can, and runs nothing of it.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{
    cluster::{Cluster, Kind},
    process::{Ended, agrees, run, soloist},
};

/// Notes as an attacker with access to the store could write them: hosts with invented reports,
/// commands by unknown people, and values that are no notes at all.
fn notes() -> Vec<(&'static str, Vec<u8>)> {
    let member = |name: &str| {
        json!({
            "name": name, "url": "javascript:alert(1)", "labels": { "\u{202e}": "<script>" },
            "priority": i64::MIN, "joined": u64::MAX, "version": "\u{1b}[2J", "machine": "x",
        })
    };
    let known =
        |name| json!({ "first_seen": u64::MAX, "last_seen": u64::MAX, "member": member(name) });
    let order = |by: &str, reason: String| json!({ "by": by, "reason": reason, "since": u64::MAX });
    let texts = [
        ("hosts/evil", known("evil")),
        ("hosts/\u{202e}eve", known("\u{202e}eve\u{1b}[2J")),
        ("hosts/odd", json!({ "first_seen": "yesterday", "member": [] })),
        ("holds/drain/evil", order("\u{202e}", "x".repeat(1 << 16))),
        ("holds/pause", order("<b>\u{9b}1m", "\u{2066}\r\nhelp: none".to_owned())),
        ("holds/pause/main", json!(17)),
        ("\u{1b}]0;x\u{7}", json!(null)),
    ];
    let mut all: Vec<_> = texts.map(|(name, note)| (name, note.to_string().into_bytes())).into();
    all.extend([("hosts/torn", b"{\"first_seen\": 1".to_vec()), ("hosts/none", vec![0xff; 99])]);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_stands_there_a_host_goes_on() {
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    cluster.join("a").await;
    cluster.leading("a").await;
    let file = Connection::open(cluster.folder.path().join("soloist.db")).unwrap();
    file.busy_timeout(crate::harness::PATIENCE).unwrap();
    for (name, value) in notes() {
        let written = "INSERT OR REPLACE INTO notes (cluster, name, value) VALUES ('test', ?1, ?2)";
        file.execute(written, (name, value)).unwrap();
    }
    file.execute("UPDATE counter SET revision = revision + 1", ()).unwrap();
    let known = |status: &Value| {
        let members = status["hosts"].as_array().unwrap();
        members.iter().any(|member| member["name"] == "evil" && member["drained"]["by"].is_string())
    };
    let status = agrees(cluster.host("a"), known).await;
    assert_eq!(status["groups"]["main"]["leader"], "a");
    assert!(status["groups"]["main"]["paused"]["by"].as_str().unwrap().contains("<b>"), "{status}");
    let api = cluster.host("a").api().await;
    for path in ["/v1/status", "/v1/events", "/metrics", "/readyz", "/v1/tasks", "/v1/jobs"] {
        let answer = reqwest::get(format!("http://{api}{path}")).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(answer.headers()["x-content-type-options"], "nosniff", "{path}");
    }
    let mut command = soloist();
    command.arg("status").env("SOLOIST_URL", format!("http://{api}"));
    let Ended { status, output } = run(&mut command).await;
    assert!(status.success() && output.contains("evil"), "{output}");
    let steers = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{2069}').contains(&c);
    assert!(!output.contains(steers), "{}", output.escape_debug());
    assert!(!output.contains("\nhelp: none"), "{output}");
    cluster.terminate("a").await;
}
