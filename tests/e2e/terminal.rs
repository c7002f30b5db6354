//! Text of others cannot control the terminal, in any command's output or in the log.

use std::{fs, process::Stdio};

use axum::{
    Router,
    extract::Request,
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::Command,
    time::timeout,
};

use crate::harness::{
    PATIENCE,
    cluster::{Cluster, Kind},
    process::{Ended, run, soloist},
};

/// Text that would reverse the following text, clear the screen, beep, and set the window's title.
const HURT: &str = "\u{202e}eve\u{1b}[2J\u{7}\u{9b}1m\u{200f}\u{2066}\u{1b}]0;x\u{7}\u{2028}";

/// Whether a character controls a terminal, or changes how its neighbours are shown.
fn steers(c: char) -> bool {
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}');
    (c.is_control() && c != '\n') || turns || matches!(c, '\u{2066}'..='\u{2069}')
}

fn assert_tame(what: &str, text: &str) {
    let bad: Vec<_> = text.chars().filter(|c| steers(*c)).collect();
    assert!(bad.is_empty(), "{what} prints {bad:?}:\n{}", text.escape_debug());
}

/// The answer of a host in which every name is such a text.
async fn host(request: Request) -> Response {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let steps: Vec<_> = path.trim_matches('/').split('/').collect();
    let moment = "2026-11-22T08:06:10.123Z";
    let job = json!({ "name": HURT, "group": HURT, "schedule": HURT, "catch_up": HURT,
                      "next_run_at": moment, "last_run": null });
    let record = json!({ "id": HURT, "scheduled_at": moment, "by_hand": true, "missed_runs": 1,
        "host": HURT, "fencing_token": 7, "started_at": moment, "ended_at": moment, "attempt": 1,
        "outcome": "failed", "exit_code": 1, "error": HURT, "output": format!("{HURT}\n{HURT}") });
    let answer = match (method, &steps[1..]) {
        (Method::GET, ["status"]) => status(),
        (Method::GET, ["logs", _]) => {
            let line = json!({ "id": 1, "time": HURT, "action": HURT, "host": HURT, "group": HURT,
                               "fencing_token": 7, "stream": HURT, "text": HURT });
            return format!("{line}\n").into_response();
        }
        (Method::GET, ["state", _]) => json!({ "action": HURT, "keys": [HURT], "more": false }),
        (Method::GET, ["jobs"]) => json!({ "jobs": [job] }),
        (Method::GET, ["jobs", _]) => json!({ "job": job, "runs": [record] }),
        (Method::GET, ["jobs", _, "next"]) => {
            let run = json!({ "id": HURT, "scheduled_at": moment, "due_at": moment, "local_time": HURT,
                                 "remark": HURT });
            json!({ "name": HURT, "schedule": HURT, "time_zone": HURT, "runs": [run] })
        }
        (Method::POST, ["jobs", _, "run"]) => record,
        (Method::GET, ["tasks"]) => {
            json!([{ "name": HURT, "require_label": HURT, "idempotent": false,
                                             "call_timeout_ms": u64::MAX, "hosts": [HURT] }])
        }
        (Method::GET, ["tasks", _, "dead-letters"]) => {
            json!([{ "id": HURT, "attempts": HURT, "ended_at": HURT, "error": HURT }])
        }
        (Method::GET, ["tasks", ..]) => json!({ "id": HURT, "result": HURT }),
        (Method::POST, ["tasks", ..]) => json!({ "id": HURT, "task": HURT }),
        _ => {
            let refusal =
                json!({ "title": HURT, "status": 409, "detail": HURT, "help": HURT }).to_string();
            return (StatusCode::CONFLICT, refusal).into_response();
        }
    };
    ([(header::CONTENT_TYPE, "application/json")], answer.to_string()).into_response()
}

fn status() -> Value {
    let order = json!({ "by": HURT, "reason": HURT, "since": HURT });
    json!({
        "cluster": HURT,
        "host": { "name": HURT, "listen": HURT, "version": HURT, "warnings": [HURT] },
        "store": { "label": HURT, "state": "lost", "last_error": HURT },
        "groups": { HURT: {
            "leader": HURT, "leader_url": HURT, "fencing_token": 17, "next_leader": HURT,
            "standbys": [HURT], "role": "leader", "leading_since": HURT,
            "deadline_in_ms": u64::MAX, "obstacle": HURT, "strategy": HURT,
            "paused": { "by": HURT, "reason": HURT, "since": HURT, "keep_failover": false },
        } },
        "hosts": [{
            "name": HURT, "url": HURT, "labels": { HURT: HURT }, "joined_at": HURT, "live": true,
            "version": HURT, "first_seen_at": HURT, "last_seen_at": HURT, "drained": order,
        }],
        "removed": { HURT: order },
        "actions": [{
            "name": HURT, "kind": HURT, "group": HURT, "state": HURT, "plugin": HURT,
            "sha256": HURT, "restarts": 1, "listen": HURT, "path": HURT, "last_error": HURT,
        }],
    })
}

#[tokio::test]
async fn no_command_passes_it_on() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        axum::serve(listener, Router::new().fallback(host)).await.unwrap();
    });
    for words in [
        "status",
        "status --json",
        "logs web",
        "logs web --json",
        "state list web",
        "state delete web k",
        "job",
        "job --json",
        "job history j",
        "job next j",
        "job next j --json",
        "job run j",
        "job run j --json",
        "task",
        "task --json",
        "task show t i",
        "task dead-letters list t",
        "task dead-letters list t --json",
        "task enqueue t hi",
        "switchover",
        "pause",
        "resume",
        "drain a",
        "undrain a",
        "remove a",
    ] {
        let mut command = soloist();
        command.args(words.split(' ')).env("SOLOIST_URL", &url);
        let Ended { output, .. } = run(&mut command).await;
        // In JSON the letters are separated by escapes; everywhere else the name is readable.
        assert!(output.contains("eve"), "{words}: {output}");
        assert_tame(words, &output);
    }
    serving.abort();
}

/// The output of a command, until it contains the name or the command has ended.
async fn printed(command: &mut Command) -> String {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut text = String::new();
    let read = timeout(PATIENCE, async {
        while let Some(line) = lines.next_line().await.unwrap() {
            text += &format!("{line}\n");
            if line.contains("eve") {
                return;
            }
        }
    });
    read.await.expect("a line of the file, or an end");
    child.kill().await.unwrap();
    text
}

#[tokio::test]
async fn a_file_in_the_plugins_folder_does_not_steer_either() {
    for format in ["text", "json"] {
        let cluster = Cluster::new(Kind::Sqlite).await;
        let name = "\u{202e}eve\u{1b}[2J\u{9b}.wasm";
        fs::write(cluster.folder.path().join("plugins").join(name), "no component").unwrap();
        let file = cluster.folder.path().join("a.toml");
        fs::write(&file, cluster.configuration("")).unwrap();
        let mut command = soloist();
        command.current_dir(cluster.folder.path()).args(["run", "--listen", "127.0.0.1:0"]);
        command.args(["--log-format", format, "--config"]).arg(file);
        // The host starts and reports the problem, or reports why it does not start.
        let text = printed(&mut command).await;
        assert!(text.contains("eve"), "{text}");
        assert_tame(format, &text);
    }
}
