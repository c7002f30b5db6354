//! `soloist demo`, the first command that most people run.

use std::{net::TcpListener, time::Duration};

use rustix::process::Signal;
use serde_json::Value;
use tokio::{
    sync::Mutex,
    time::{sleep, timeout},
};

use crate::harness::{
    PATIENCE,
    browser::{Browser, keep},
    client::Web,
    plugins,
    process::{Process, run, soloist},
};

/// Two demos that start at the same time would choose the same free ports.
static PORTS: Mutex<()> = Mutex::const_new(());

/// Waits for a line of the demo's output with this text.
async fn says(demo: &Process, text: &str) -> String {
    let line = demo.log.find(0, text, |line| line.as_str().is_some_and(|l| l.contains(text))).await;
    line.as_str().expect("text").to_owned()
}

/// The first URL in the line with this text.
async fn url(demo: &Process, text: &str) -> String {
    let line = says(demo, text).await;
    let url = line.split_whitespace().find(|word| word.starts_with("http://"));
    url.expect("a URL").to_owned()
}

/// Waits until the page at `url` is as wanted.
async fn page(url: &str, wanted: impl Fn(&str) -> bool) -> String {
    let mut last = String::new();
    let found = timeout(PATIENCE, async {
        loop {
            if let Ok(answer) = reqwest::get(url).await {
                last = answer.text().await.unwrap_or_default();
                if wanted(&last) {
                    return;
                }
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    let found = found.await;
    assert!(found.is_ok(), "{url} is not as wanted: {last}");
    last
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_shows_a_leader_kills_it_and_leaves_nothing_behind() {
    let _ports = PORTS.lock().await;
    let temporary = tempfile::TempDir::new().expect("a folder");
    let mut command = soloist();
    command
        .args(["demo", "--kill-leader-every", "2s", "--plugins"])
        .arg(plugins())
        .env("TMPDIR", temporary.path());
    let mut demo = Process::start(&mut command);
    let address = url(&demo, "the leader says who it is").await;
    let address: std::net::SocketAddr =
        address.trim_start_matches("http://").trim_end_matches('/').parse().expect("an address");
    let web = Web::new(address);
    let first = web.until("a leader", |_| true).await;
    assert_eq!(first.body.trim(), format!("I am server {}", first.host));
    let of_first = format!("{} leads: kill -9 ", first.host);
    says(&demo, &of_first).await;
    web.until("another leader", |answer| answer.fencing_token > first.fencing_token).await;
    let of_next = |line: &Value| {
        line.as_str().is_some_and(|it| it.contains(" leads: kill -9 ") && !it.contains(&of_first))
    };
    demo.log.find(0, "the next leader", of_next).await;
    demo.signal(Signal::INT);
    let status = demo.ended().await;
    assert!(status.success(), "{status}:\n{}", demo.log);
    assert_eq!(web.get("/").await, None, "somebody still serves");
    let dashboard = url(&demo, "the dashboard of host a").await;
    let control = dashboard.trim_start_matches("http://").trim_end_matches('/').to_owned();
    assert!(TcpListener::bind(&control).is_ok(), "somebody still listens on {control}");
    let left: Vec<_> = std::fs::read_dir(temporary.path()).expect("a folder").collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// In an empty folder, as where a release was unpacked.
#[tokio::test(flavor = "multi_thread")]
async fn the_program_alone_is_enough_for_the_demo() {
    let _ports = PORTS.lock().await;
    let empty = tempfile::TempDir::new().expect("a folder");
    let mut demo = Process::start(soloist().arg("demo").current_dir(empty.path()));
    says(&demo, "part of this program: i-am-server").await;
    let address = url(&demo, "the leader says who it is").await;
    page(&address, |page| page.starts_with("I am server ")).await;
    assert!(demo.terminate().await.success(), "{}", demo.log);
    let left: Vec<_> = std::fs::read_dir(empty.path()).expect("a folder").collect();
    assert!(left.is_empty(), "left behind: {left:?}");
}

/// The plugin in the program is what the source builds to, unless it was built by another compiler
/// than the one here: that makes other bytes of the same source.
#[test]
fn the_plugin_of_the_program_is_built_from_its_source() {
    let embedded = include_bytes!("../../host/src/cli/i-am-server.wasm");
    let built = std::fs::read(plugins().join("i-am-server.wasm")).expect("it is built");
    let compiler = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.split_once("/rustc/").map(|(_, rest)| rest.chars().take(40).collect::<String>())
    };
    if compiler(embedded) == compiler(&built) {
        assert!(*embedded == built[..], "run `cargo xtask plugins`, and commit what it changed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_plugin_of_the_demo_has_something_to_do() {
    let _ports = PORTS.lock().await;
    // The demo must start although its usual port is taken.
    let _held = TcpListener::bind("127.0.0.1:3000");
    let mut demo = Process::start(soloist().args(["demo", "--plugins"]).arg(plugins()));
    let taken = says(&demo, "port 3000 is taken").await;
    assert!(taken.contains("the leader's actions answer at http://127.0.0.1:"), "{taken}");
    let neighbour = url(&demo, "a page that shows which webhooks arrived").await;
    page(&neighbour, |page| page.contains("main: ") && page.contains("{\"hello\":1}")).await;
    let uptime = url(&demo, "it checks the three hosts").await;
    page(&format!("{uptime}/api"), |page| {
        let Ok(api) = serde_json::from_str::<Value>(page) else { return false };
        let checks = api["checks"].as_object();
        checks.is_some_and(|it| it.len() == 3 && it.values().all(|check| check["up"] == true))
    })
    .await;
    let dashboard = url(&demo, "the dashboard of host a").await;
    let call = ["task", "call", "factor", "600851475143", "--url", &dashboard];
    let told = run(soloist().args(call)).await;
    assert!(told.output.contains("71 × 839 × 1471 × 6857"), "{}", told.output);
    says(&demo, "12 of 12 done").await;
    assert!(demo.terminate().await.success(), "{}", demo.log);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Chromium: `cargo xtask ci` runs it"]
async fn the_dashboard_of_the_demo_is_a_picture() {
    let _ports = PORTS.lock().await;
    let mut demo = Process::start(soloist().args(["demo", "--plugins"]).arg(plugins()));
    let browser = Browser::start().await;
    browser.screen(1000, 1340, "light").await;
    browser.go(&url(&demo, "the dashboard of host a").await).await;
    browser.until("document.querySelector('[data-job=fan-out] .state.up')").await;
    browser.until("document.querySelectorAll('#tasks .chip').length === 3").await;
    keep("demo.png", &browser.picture().await);
    browser.end().await;
    assert!(demo.terminate().await.success(), "{}", demo.log);
}
