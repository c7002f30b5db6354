//! Files in the plugins folder that are no plugins: a host starts and runs without them, and
//! reports them.

use std::{fs, os::unix::fs::symlink, path::Path};

use reqwest::StatusCode;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::Value;

use super::{Folder, guest, server};
use crate::harness::{
    cluster::{Cluster, Kind},
    exit::{CONFIG, REFUSED},
    plugins,
    process::{Ended, Process, run},
};

/// Files that are refused because of their content, and part of the reason.
const BAD: [(&str, &str); 9] = [
    ("half", "half.wasm"),
    ("empty", "not WebAssembly"),
    ("text", "not WebAssembly"),
    ("odd", "exports nothing that can be run"),
    ("wants", "example:unknown/thing"),
    ("settled", "unknown key"),
    ("directory", "is not a file"),
    ("pipe", "is not a file"),
    ("dangling", "cannot read"),
];

/// Puts all of [`BAD`] into the folder, and files that are no plugins at all.
fn litter(folder: &Path) {
    let put = |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).expect("a file");
    let whole = fs::read(server()).expect("a plugin");
    put("half.wasm", &whole[..whole.len() / 2]);
    put("empty.wasm", b"");
    put("text.wasm", b"not wasm");
    fs::copy(guest("exports-nothing"), folder.join("odd.wasm")).expect("a copy");
    fs::copy(guest("needs-unknown"), folder.join("wants.wasm")).expect("a copy");
    put("settled.wasm", &whole);
    put("settled.toml", b"stat = true");
    fs::create_dir(folder.join("directory.wasm")).expect("a folder");
    mknodat(CWD, folder.join("pipe.wasm"), FileType::Fifo, Mode::RWXU, 0).expect("a pipe");
    symlink("nowhere", folder.join("dangling.wasm")).expect("a link");
    for name in ["日本.wasm", "a\u{1b}[31mb.wasm"] {
        put(name, &whole);
    }
    for name in ["._web.wasm", ".web.wasm.Xa3", "web.wasm~", "web.wasm.tmp", "web.wasm.part"] {
        put(name, b"\0\x05\x16\x07");
    }
}

fn state<'a>(actions: &'a Value, name: &str) -> &'a Value {
    let actions = actions.as_array().expect("a list");
    actions.iter().find(|action| action["name"] == name).unwrap_or(&Value::Null)
}

async fn ready(host: &Process) -> (StatusCode, String) {
    let url = format!("http://{}/readyz", host.api().await);
    let answer = reqwest::get(url).await.expect("an answer");
    (answer.status(), answer.text().await.expect("a text"))
}

#[tokio::test(flavor = "multi_thread")]
async fn litter_ends_no_start() {
    let mut folder = Folder::new().await;
    folder.settle("web", "");
    folder.put(&server(), "web");
    litter(&folder.path(""));
    folder.start("a").await;
    folder.body("/", "I am server a").await;
    // The same happens after a crash.
    folder.0.kill("a").await;
    folder.start("a").await;
    folder.body("/", "I am server a").await;
    assert_eq!(ready(folder.0.host("a")).await.0, StatusCode::OK);
    let status = folder.0.host("a").status().await;
    for (name, reason) in BAD {
        let action = state(&status["actions"], name);
        assert_eq!(action["state"], "refused", "{name}: {action}");
        let told = action["last_error"].as_str().unwrap_or_default();
        assert!(told.contains(reason), "{name} is refused by {told:?}, not {reason:?}");
    }
    for name in ["日本", "a\\u{1b}[31mb"] {
        assert_eq!(state(&status["actions"], name)["state"], "refused", "{status}");
    }
    let count = status["actions"].as_array().expect("a list").len();
    assert_eq!(count, BAD.len() + 3, "what is no plugin at all is not spoken of: {status}");
    let url = format!("http://{}/metrics", folder.0.host("a").api().await);
    let metrics = reqwest::get(url).await.expect("an answer").text().await.expect("a text");
    let refused = format!("soloist_refused_actions {}\n", BAD.len() + 2);
    assert!(metrics.contains(&refused), "{metrics}");
}

/// A plugin that the settings name is missing: the host runs, reports it, and leaves the group to
/// others.
#[tokio::test(flavor = "multi_thread")]
async fn an_action_that_the_settings_name_is_an_obstacle_of_its_group() {
    let mut cluster = Cluster::new(Kind::Sqlite).await.brief();
    let late = cluster.folder.path().join("plugins/late.wasm");
    for bytes in [None, Some(&b"not wasm"[..])] {
        if let Some(bytes) = bytes {
            fs::write(&late, bytes).expect("a file");
        }
        cluster.start_with("a", "[action.late]\nplugin = \"late.wasm\"\ngroup = \"side\"\n");
        cluster.leading("a").await;
        let log = cluster.host("a").log.clone();
        let missed = |line: &Value| line["event"] == "not-ready" && line["group"] == "side";
        let told = log.find(0, "what is missed", missed).await;
        assert!(told.to_string().contains("late.wasm"), "{told}");
        let (code, text) = ready(cluster.host("a")).await;
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE);
        assert!(text.contains("not ready to lead side") && text.contains("late.wasm"), "{text}");
        let status = cluster.host("a").status().await;
        let obstacle = status["groups"]["side"]["obstacle"].as_str().unwrap_or_default();
        assert!(obstacle.contains("late.wasm"), "{status}");
        cluster.kill("a").await;
    }
    cluster.start_with("a", "[action.late]\nplugin = \"late.wasm\"\ngroup = \"side\"\n");
    let log = cluster.host("a").log.clone();
    log.event(0, "not-ready").await;
    // Once the file is there, everything works.
    let partial = late.with_extension("partial");
    fs::copy(plugins().join("job-runner.wasm"), &partial).expect("a copy");
    fs::rename(partial, late).expect("a file");
    cluster.leads("a", "side").await;
}

/// A client of an unavailable plugin gets the reason, and not "not found".
#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_says_why_when_it_is_asked_for() {
    let mut folder = Folder::new().await;
    folder.put(&guest("job"), "report");
    fs::write(folder.path("report.toml"), "schedule = \"none\"\nmax_attempts = 1001\n")
        .expect("a file");
    folder.start("a").await;
    folder.0.host("a").log.event(0, "session").await;
    let url = format!("http://{}", folder.0.host("a").api().await);
    for args in
        [&["job", "run", "report"][..], &["job", "next", "report"], &["task", "call", "report"]]
    {
        let mut command = crate::harness::process::soloist();
        let Ended { status, output } = run(command.args(args).env("SOLOIST_URL", &url)).await;
        assert_eq!(status.code(), Some(REFUSED), "{args:?}: {output}");
        for part in ["the action report is refused: 1001 is out of range", "help: correct that"] {
            assert!(output.contains(part), "{args:?}: no {part:?} in:\n{output}");
        }
    }
}

#[tokio::test]
async fn whoever_checks_is_told_of_all() {
    let cluster = Cluster::new(Kind::Sqlite).await;
    litter(&cluster.folder.path().join("plugins"));
    let file = cluster.folder.path().join("soloist.toml");
    fs::write(&file, cluster.configuration("")).expect("a file");
    let mut command = crate::harness::process::soloist();
    let Ended { status, output } = run(command.args(["config", "check"]).arg(&file)).await;
    assert_eq!(status.code(), Some(CONFIG), "{output}");
    for part in ["settled.toml:1", "`stat`", "directory.wasm", "dangling.wasm", "日本"] {
        assert!(output.contains(part), "no {part:?} in:\n{output}");
    }
    assert!(!output.contains('\u{1b}'), "{output:?}");
}

/// Settings without a plugin are reported, after a while in which the plugin could have followed.
#[tokio::test(flavor = "multi_thread")]
async fn settings_of_no_plugin_are_told_of() {
    let mut folder = Folder::new().await;
    folder.put(&guest("service-loop"), "fan-job");
    let write = |name: &str, text: &str| fs::write(folder.path(name), text).expect("a file");
    write("fan_job.toml", "schedule = \"every 30s\"\n");
    write("Cargo.toml", "[package]\nname = \"x\"\n");
    let plugins = folder.path("");
    folder.start("a").await;
    let stray = folder.action("a", "fan_job", |action| action["state"] == "refused").await;
    let told = stray["last_error"].as_str().unwrap_or_default();
    for part in ["`fan_job.toml` has no plugin", "to `fan-job.toml`"] {
        assert!(told.contains(part), "no {part:?} in {told}");
    }
    let status = folder.0.host("a").status().await;
    assert_eq!(state(&status["actions"], "Cargo"), &Value::Null);
    // While the host runs, the same is reported a little later, and withdrawn once it is corrected.
    fs::rename(plugins.join("fan_job.toml"), plugins.join("fan-job.toml")).expect("a name");
    folder.action("a", "fan-job", |action| action["kind"] == "job").await;
    fs::write(plugins.join("fan-jobs.toml"), "state = true\n").expect("a file");
    folder.action("a", "fan-jobs", |action| action["state"] == "refused").await;
    assert_eq!(folder.0.host("a").log.events("refused").len(), 2);
}
