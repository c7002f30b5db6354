//! The plugins folder: components that are added, changed and removed take effect on running hosts,
//! and cost neither a request nor the leadership.

mod addresses;
mod kinds;
mod litter;

use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use reqwest::StatusCode;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::{sleep, timeout};

use crate::harness::{
    PATIENCE, at,
    client::Answer,
    cluster::{Cluster, Kind},
    guests,
    log::Log,
    own_address, plugins,
};

/// How many times a plugin is replaced under load; `cargo xtask ci` sets a larger number.
fn reloads() -> usize {
    env::var("SOLOIST_RELOADS").map_or(20, |count| count.parse().expect("a number"))
}

/// A cluster whose actions all come from its plugins folder.
struct Folder(Cluster);

impl Folder {
    async fn new() -> Self {
        let cluster = Cluster::new(Kind::Sqlite).await;
        fs::create_dir_all(cluster.folder.path().join("plugins")).expect("a folder");
        Self(cluster)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.folder.path().join("plugins").join(name)
    }

    /// Writes `NAME.toml` for an `http` action at the address of the tests, with `more` settings.
    fn settle(&self, name: &str, more: &str) {
        let settings = format!("listen = \"{}\"\n{more}", self.0.web_at);
        fs::write(self.path(&format!("{name}.toml")), settings).expect("a file");
    }

    /// Puts a component into the folder as `name`, in one step.
    fn put(&self, component: &Path, name: &str) {
        let partial = self.path(&format!("{name}.partial"));
        fs::copy(component, &partial).expect("a copy");
        fs::rename(partial, self.path(&format!("{name}.wasm"))).expect("a file");
    }

    /// Starts a host whose settings contain no actions.
    async fn start(&mut self, name: &'static str) {
        let settings = self.0.configuration("");
        let (shared, _) = settings.split_once("[action.web]").expect("the web action");
        self.0.start_from(name, shared);
        self.0.host(name).api().await;
    }

    /// The status of the action `name` on `host`, once `wanted` accepts it. A change of the status
    /// causes no event, so it is polled.
    async fn action(&self, host: &str, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let found = timeout(PATIENCE, async {
            loop {
                let status = self.0.host(host).status().await;
                let actions = status["actions"].as_array().cloned().unwrap_or_default();
                match actions.into_iter().find(|action| action["name"] == name) {
                    Some(action) if wanted(&action) => return action,
                    _ => sleep(Duration::from_millis(20)).await,
                }
            }
        });
        found
            .await
            .unwrap_or_else(|_| panic!("no such {name} on {host}:\n{}", self.0.host(host).log))
    }

    /// A host `a` with a guest as the service `work`, once it has printed a line that begins with
    /// `word`.
    async fn with_service(service: &str, word: &'static str) -> (Self, Log) {
        let mut folder = Self::new().await;
        fs::write(folder.path("work.toml"), "state = true\n").expect("a file");
        folder.put(&guest(service), "work");
        folder.start("a").await;
        let log = folder.0.host("a").log.clone();
        log.find(0, word, says(word)).await;
        (folder, log)
    }

    async fn body(&self, path: &str, wanted: &str) {
        self.0.web.until_at(path, wanted, |answer| answer.body.trim() == wanted).await;
    }
}

fn server() -> PathBuf {
    plugins().join("i-am-server.wasm")
}

fn spin() -> PathBuf {
    guests().join("spin.wasm")
}

fn guest(name: &str) -> PathBuf {
    guests().join(format!("{name}.wasm"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_into_an_empty_folder_is_performed() {
    let mut folder = Folder::new().await;
    folder.start("a").await;
    folder.settle("web", "");
    folder.put(&server(), "web");
    folder.body("/", "I am server a").await;
    let action = folder.action("a", "web", |action| action["state"] == "running").await;
    assert_eq!((&action["kind"], &action["path"]), (&"http".into(), &"/".into()));
}

/// Without a restart, and without a change of leadership.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_whose_file_is_replaced_reaches_the_plugin() {
    let mut folder = Folder::new().await;
    let secrets = tempfile::tempdir().expect("a folder");
    let key = secrets.path().join("key");
    fs::write(&key, "old").expect("a file");
    folder.settle("web", &format!("secrets = {{ KEY = \"file:{}\" }}", key.display()));
    folder.put(&guest("escape"), "web");
    folder.start("a").await;
    folder.body("/env?KEY", "old").await;
    // As people and Kubernetes do it: the new file takes the old one's name.
    let next = secrets.path().join("next");
    fs::write(&next, "new").expect("a file");
    fs::rename(&next, &key).expect("a file");
    folder.body("/env?KEY", "new").await;
    // What is gone for a moment changes nothing.
    fs::remove_file(&key).expect("a file");
    let told = |action: &Value| action["last_error"].as_str().is_some_and(|it| it.contains("key"));
    folder.action("a", "web", told).await;
    folder.body("/env?KEY", "new").await;
    assert_eq!(folder.0.host("a").log.events("leading").len(), 1, "no change of leadership");
}

#[tokio::test(flavor = "multi_thread")]
async fn several_share_an_address_under_their_names() {
    let mut folder = Folder::new().await;
    folder.settle("one", "");
    folder.put(&spin(), "one");
    folder.start("a").await;
    folder.body("/where", "/where under").await;
    folder.settle("two", "");
    folder.put(&server(), "two");
    folder.body("/two", "I am server a").await;
    folder.body("/one/where?x=1", "/where?x=1 under /one").await;
    folder.settle("root", "path = \"/\"");
    folder.put(&spin(), "root");
    folder.body("/where", "/where under").await;
    let leading = folder.0.host("a").log.events("leading").len();
    assert_eq!(leading, 1, "no change of leadership");
    fs::remove_file(folder.path("root.wasm")).expect("a file");
    let refusal = |answer: &Answer| answer.status != StatusCode::OK;
    let lost = folder.0.web.until_any_at("/where", "a refusal", refusal).await;
    assert_eq!(lost.status, StatusCode::NOT_FOUND);
    assert!(lost.body.contains("/one, /two"), "{lost:?}");
}

/// Matches a log line that a guest printed and that begins with `word`.
fn says(word: &'static str) -> impl Fn(&Value) -> bool {
    move |line| line["message"].as_str().is_some_and(|text| text.starts_with(word))
}

/// Sends requests without a pause, over a connection that is kept open, until `end` is set. Counts
/// the answers, and compares each with the version that it must come from.
async fn load(at: std::net::SocketAddr, end: Arc<AtomicBool>, answers: Arc<AtomicUsize>) {
    let client = reqwest::Client::new();
    while !end.load(Ordering::Relaxed) {
        let answer = client.get(format!("http://{at}/")).send().await.expect("an answer");
        let status = answer.status();
        let body = answer.text().await.expect("a body");
        assert_eq!(status, StatusCode::OK, "{body}");
        assert!(["ok", "I am server a"].contains(&body.trim()), "{body}");
        answers.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout, reason = "the figures of the documentation come from here")]
async fn a_plugin_is_replaced_under_load_and_no_request_fails() {
    let mut folder = Folder::new().await;
    folder.settle("web", "");
    folder.put(&server(), "web");
    folder.start("a").await;
    folder.body("/", "I am server a").await;
    let (end, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let clients: Vec<_> =
        (0..4).map(|_| tokio::spawn(load(folder.0.web_at, end.clone(), answers.clone()))).collect();
    let mut memory = Vec::new();
    for reload in 0..reloads() {
        let (component, says) =
            if reload % 2 == 0 { (spin(), "ok") } else { (server(), "I am server a") };
        folder.put(&component, "web");
        folder.body("/", says).await;
        memory.push(folder.0.host("a").memory());
    }
    end.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.expect("no request fails");
    }
    let log = &folder.0.host("a").log;
    assert_eq!(log.events("leading").len(), 1, "no change of leadership");
    println!("{} reloads, {} answers", reloads(), answers.load(Ordering::Relaxed));
    // Memory that the compiler and the allocator keep is in use after some reloads.
    if let (Some(settled), Some(last)) = (memory.get(reloads() / 2), memory.last()) {
        println!(
            "resident: {} MiB at the start, {} MiB halfway, {} MiB at the end",
            memory[0] >> 20,
            settled >> 20,
            last >> 20
        );
        assert!(*last < settled + settled / 4, "memory grows: {memory:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_that_is_pinned_is_replaced_by_no_other() {
    let sum = |file: &Path| -> String {
        let sum = Sha256::digest(fs::read(file).expect("a plugin"));
        sum.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let pin = |file: &Path| format!("sha256 = \"{}\"\n", sum(file));
    let mut folder = Folder::new().await;
    folder.settle("web", &pin(&server()));
    folder.put(&server(), "web");
    folder.start("a").await;
    folder.body("/", "I am server a").await;

    folder.put(&spin(), "web");
    let refused = folder.action("a", "web", |action| !action["last_error"].is_null()).await;
    let error = refused["last_error"].as_str().expect("an error");
    for part in [sum(&spin()), sum(&server()), "not the expected one".to_owned()] {
        assert!(error.contains(&part), "no {part} in {error}");
    }
    assert_eq!(
        (&refused["sha256"], &refused["state"]),
        (&sum(&server()).into(), &"running".into())
    );
    folder.body("/", "I am server a").await;
    // A host that starts does not accept the plugin either.
    folder.start("b").await;
    let refused = folder.action("b", "web", |action| action["state"] == "refused").await;
    assert!(refused["last_error"].as_str().is_some_and(|it| it.contains("not the expected one")));

    // It is accepted once the settings allow it.
    folder.settle("web", &pin(&spin()));
    folder.body("/", "ok").await;
    folder.action("a", "web", |action| action["last_error"].is_null()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_version_changes_nothing_but_the_status() {
    let mut folder = Folder::new().await;
    folder.settle("web", "");
    folder.put(&server(), "web");
    folder.start("a").await;
    folder.body("/", "I am server a").await;
    let good = folder.action("a", "web", |action| action["state"] == "running").await;

    let bytes = fs::read(spin()).expect("a guest");
    fs::write(folder.path("web.wasm"), &bytes[..bytes.len() / 2]).expect("a file");
    let refused = folder.action("a", "web", |action| !action["last_error"].is_null()).await;
    assert_eq!((&refused["sha256"], &refused["state"]), (&good["sha256"], &good["state"]));
    folder.body("/", "I am server a").await;

    // The rest of the file arrives.
    fs::write(folder.path("web.wasm"), &bytes).expect("a file");
    folder.body("/", "ok").await;
    let taken = folder.action("a", "web", |action| action["last_error"].is_null()).await;
    assert_ne!(taken["sha256"], good["sha256"]);

    // Broken settings are treated like broken components.
    folder.settle("web", "max_concurrent_requests = 0");
    let refused = folder.action("a", "web", |action| !action["last_error"].is_null()).await;
    assert!(
        refused["last_error"].as_str().is_some_and(|text| text.contains("from 1 to 1000")),
        "{refused}"
    );
    folder.body("/", "ok").await;
    assert_eq!(folder.0.host("a").log.events("leading").len(), 1, "no change of leadership");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_at_once_gives_way_to_the_one_before() {
    let (folder, log) = Folder::with_service("service-beat", "beat").await;
    let good = folder.action("a", "work", |action| action["state"] == "running").await;
    folder.put(&guest("service-trap"), "work");
    let back = |action: &Value| {
        let error = action["last_error"].as_str().unwrap_or_default();
        error.contains("did not run well") && action["sha256"] == good["sha256"]
    };
    folder.action("a", "work", back).await;
    log.find(log.len(), "another beat", says("beat")).await;
    assert!(log.events("draining").is_empty(), "the leadership was handed over:\n{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_only_written_anew_disturbs_nobody() {
    let (folder, log) = Folder::with_service("service-beat", "beat").await;
    folder.put(&guest("service-beat"), "work");
    // The later file is accepted, so the earlier one was looked at.
    folder.settle("web", "");
    folder.put(&server(), "web");
    folder.body("/", "I am server a").await;
    log.find(log.len(), "another beat", says("beat")).await;
    let runs = |line: &&Value| line["message"] == "action work is running";
    assert_eq!(log.lines().iter().filter(runs).count(), 1, "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_service_begins_when_the_old_one_has_taken_leave() {
    let (folder, log) = Folder::with_service("service-farewell", "before: nobody").await;
    folder.put(&guest("service-beat"), "work");
    log.find(0, "a beat", says("beat")).await;
    let lines = log.lines();
    let place = |start| lines.iter().position(says(start));
    assert!(place("farewell").is_some_and(|it| Some(it) < place("beat")), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standby_takes_changes_and_leads_with_them() {
    let mut folder = Folder::new().await;
    folder.settle("web", "");
    folder.put(&server(), "web");
    folder.start("a").await;
    folder.body("/", "I am server a").await;
    folder.start("b").await;
    folder.0.host("b").log.event(0, "standby").await;
    let old = folder.action("b", "web", |_| true).await;
    folder.put(&spin(), "web");
    folder.action("b", "web", |action| action["sha256"] != old["sha256"]).await;
    folder.0.kill("a").await;
    folder
        .0
        .web
        .until("b with the new version", |answer| answer.host == "b" && answer.body == "ok")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_removed_ends_and_an_empty_group_is_left() {
    let mut folder = Folder::new().await;
    folder.settle("web", "");
    folder.put(&server(), "web");
    folder.start("a").await;
    folder.body("/", "I am server a").await;
    fs::remove_file(folder.path("web.toml")).expect("a file");
    fs::remove_file(folder.path("web.wasm")).expect("a file");
    let log = folder.0.host("a").log.clone();
    log.event(0, "stopped").await;
    assert!(std::net::TcpListener::bind(folder.0.web_at).is_ok(), "the address is still held");
    log.event(0, "not-ready").await;
    let status = folder.0.host("a").status().await;
    assert_eq!(status["actions"], serde_json::json!([]));
    // The plugin comes back like a new one.
    folder.settle("web", "");
    folder.put(&spin(), "web");
    folder.body("/", "ok").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_may_come_with_a_plugin() {
    let mut folder = Folder::new().await;
    folder.settle("web", "");
    folder.put(&server(), "web");
    folder.start("a").await;
    folder.0.leads("a", "main").await;
    let side = at(own_address(), 3000);
    let settings = format!("group = \"side\"\nlisten = \"{side}\"\n");
    fs::write(folder.path("side.toml"), settings).expect("a file");
    folder.put(&server(), "side");
    folder.0.leads("a", "side").await;
    folder.action("a", "side", |action| action["state"] == "running").await;
    assert!(
        reqwest::get(format!("http://{side}/")).await.is_ok_and(|answer| answer.status() == 200)
    );
}

/// A copy that pauses for longer than the host waits: each pause leaves another file that is no
/// component.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_copy_is_told_of_once_and_taken_when_it_is_whole() {
    let mut folder = Folder::new().await;
    folder.start("a").await;
    let log = folder.0.host("a").log.clone();
    let whole = fs::read(server()).expect("a component");
    let mut copy = fs::File::create(folder.path("slow")).expect("a file");
    folder.settle("slow", "");
    fs::rename(folder.path("slow"), folder.path("slow.wasm")).expect("a name");
    for piece in whole.chunks(whole.len() / 20 + 1) {
        copy.write_all(piece).expect("a write");
        // Longer than the host waits for a file to stop changing.
        sleep(Duration::from_millis(300)).await;
    }
    log.event(0, "loaded").await;
    let told = log.events("refused").len();
    assert_eq!(told, 1, "it is told {told} times:\n{log}");
    let told = &log.events("refused")[0];
    assert!(told["message"].as_str().is_some_and(|text| text.contains("slow")), "{told}");
    let [begun, done] = ["compiling", "compiled"].map(|event| log.events(event));
    assert_eq!((begun.len(), done.len()), (1, 1), "{log}");
    let done = done[0]["message"].as_str().unwrap_or_default();
    assert!(done.contains("slow.wasm (") && done.contains(" times in "), "{done}");
}
