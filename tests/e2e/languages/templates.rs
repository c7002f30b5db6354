//! Projects of `soloist plugin new --template`: they do their job, and continue under the next
//! leader.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    routing::{get, post},
};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    time::{sleep, timeout},
};

use super::{
    Caller, Cluster, Kind, answers,
    projects::{Project, without_actions},
    stands,
};
use crate::harness::{PATIENCE, at, own_address};

/// A cluster whose host `a` leads with a new project. Texts of its settings are replaced; its
/// secret is in the file `secret`.
async fn leading(template: &str, secret: &str, replaced: &[(&str, &str)]) -> Cluster {
    let project = Project::of_template(template).await;
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    std::fs::write(cluster.folder.path().join("secret"), secret).expect("a file");
    project.put(&cluster, replaced);
    join(&mut cluster, "a").await;
    cluster.leading("a").await;
    cluster
}

async fn join(cluster: &mut Cluster, host: &'static str) {
    let settings = without_actions(cluster);
    cluster.start_from(host, &settings);
    stands(cluster, host).await;
}

/// Makes `b` the leader.
async fn change_leader(cluster: &mut Cluster) {
    join(cluster, "b").await;
    cluster.terminate("a").await;
    cluster.leading("b").await;
}

/// The state of a server that a plugin talks to.
#[derive(Clone, Default)]
struct FakeServer(Arc<Mutex<Papers>>);

#[derive(Default)]
struct Papers {
    /// What the plugin will fetch: updates for a bot, or a page.
    updates: Vec<Value>,
    page: String,
    /// What the plugin has sent.
    sent: Vec<Value>,
    polling: bool,
    conflicts: usize,
}

impl FakeServer {
    /// Starts the server; returns its address.
    async fn open(&self) -> String {
        let address: SocketAddr = at(own_address(), 5000);
        let listener = TcpListener::bind(address).await.expect("an address of its own");
        let router = Router::new()
            .route("/page", get(async |State(server): State<Self>| server.papers().page.clone()))
            .route("/hook", post(take))
            .route("/{bot}/{method}", post(telegram))
            .with_state(self.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    fn papers(&self) -> MutexGuard<'_, Papers> {
        self.0.lock().expect("nobody panics with it")
    }

    fn say(&self, text: &str) {
        let mut papers = self.papers();
        let id = papers.updates.len() + 1;
        papers
            .updates
            .push(json!({ "update_id": id, "message": { "chat": { "id": 7 }, "text": text } }));
    }

    /// The texts that were sent, once there are `count` of them.
    async fn sent(&self, count: usize) -> Vec<String> {
        let arrived = async {
            while self.papers().sent.len() < count {
                sleep(Duration::from_millis(20)).await;
            }
        };
        let done = timeout(PATIENCE, arrived).await;
        let sent = self.papers().sent.clone();
        assert!(done.is_ok(), "{count} texts were to come: {sent:?}");
        sent.iter().map(|sent| sent["text"].as_str().expect("a text").to_owned()).collect()
    }
}

async fn take(State(server): State<FakeServer>, Json(body): Json<Value>) {
    server.papers().sent.push(body);
}

/// A poll in progress. When it is dropped, the poll has ended, even if the client has gone.
struct Poll(FakeServer);

impl Drop for Poll {
    fn drop(&mut self) {
        self.0.papers().polling = false;
    }
}

/// The bot's token.
const TOKEN: &str = "7:secret";

/// The part of Telegram's API that the bot needs.
async fn telegram(
    State(server): State<FakeServer>,
    Path((bot, method)): Path<(String, String)>,
    Json(body): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let refused = |status: StatusCode, why| {
        (status, Json(json!({ "ok": false, "error_code": status.as_u16(), "description": why })))
    };
    if bot != format!("bot{TOKEN}") {
        return refused(StatusCode::UNAUTHORIZED, "Unauthorized");
    }
    if method == "sendMessage" {
        server.papers().sent.push(body);
        return (StatusCode::OK, Json(json!({ "ok": true, "result": {} })));
    }
    {
        let mut papers = server.papers();
        if papers.polling {
            papers.conflicts += 1;
            return refused(
                StatusCode::CONFLICT,
                "Conflict: terminated by other getUpdates request",
            );
        }
        papers.polling = true;
    }
    let poll = Poll(server);
    loop {
        let news: Vec<_> = {
            let papers = poll.0.papers();
            let new = |update: &&Value| update["update_id"].as_i64() >= body["offset"].as_i64();
            papers.updates.iter().filter(new).cloned().collect()
        };
        if !news.is_empty() {
            return (StatusCode::OK, Json(json!({ "ok": true, "result": news })));
        }
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow, or its compiler is not at hand: `cargo xtask ci`"]
async fn a_bot_answers_each_message_once_whoever_leads() {
    let telegram = FakeServer::default();
    let url = telegram.open().await;
    let replaced = [("https://api.telegram.org", &*url), ("env:TELEGRAM_TOKEN", "file:../secret")];
    let mut cluster = leading("telegram-bot", TOKEN, &replaced).await;
    telegram.say("/start");
    telegram.say("good morning");
    let sent = telegram.sent(2).await;
    assert!(sent[0].starts_with("Hello!"), "{sent:?}");
    assert_eq!(sent[1], "good morning");
    join(&mut cluster, "b").await;
    assert_eq!(telegram.papers().conflicts, 0, "only the leader polls");
    cluster.terminate("a").await;
    telegram.say("good night");
    assert_eq!(telegram.sent(3).await, [sent[0].as_str(), "good morning", "good night"]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow, or its compiler is not at hand: `cargo xtask ci`"]
async fn a_report_tells_what_has_changed_since_the_last_leader_looked() {
    let server = FakeServer::default();
    server.papers().page = "one 1.0\ntwo 2.0\n".to_owned();
    let url = server.open().await;
    let replaced = [
        ("\"0 7 * * 1-5\"", "\"* * * * * *\""),
        ("https://example.com/versions.txt", &format!("{url}/page")),
        ("https://hooks.example.com/report", &format!("{url}/hook")),
        ("\"https://example.com\", \"https://hooks.example.com\"", &format!("\"{url}\"")),
    ];
    let mut cluster = leading("cron-report", "", &replaced).await;
    let log = cluster.host("a").log.clone();
    let says = |line: &Value| line["message"].as_str() == Some("first look: 2 lines");
    log.find(0, "its first look", says).await;
    change_leader(&mut cluster).await;
    server.papers().page = "one 1.1\ntwo 2.0\n".to_owned();
    assert_eq!(server.sent(1).await, ["- one 1.0\n+ one 1.1\n"]);
    server.papers().page = "one 1.1\n".to_owned();
    assert_eq!(server.sent(2).await[1], "- two 2.0\n");
}

/// A body, and its signature with this secret, from GitHub's documentation.
const SECRET: &str = "It's a Secret to Everybody";
const BODY: &str = "Hello, World!";
const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow, or its compiler is not at hand: `cargo xtask ci`"]
async fn a_signed_webhook_is_taken_once_whoever_leads() {
    let listen = at(own_address(), 3000);
    let listening = format!("state = true\nlisten = \"{listen}\"");
    let replaced = [("state = true", &*listening), ("env:WEBHOOK_SECRET", "file:../secret")];
    let mut cluster = leading("webhook-receiver", SECRET, &replaced).await;
    let client = Client::builder().pool_max_idle_per_host(0).timeout(PATIENCE).build().unwrap();
    let deliver = async |id: &str, signature: &str| loop {
        let request = client.post(format!("http://{listen}/")).body(BODY);
        let request = request.header("x-github-delivery", id).header("x-github-event", "push");
        // For a moment no host listens while the leader changes.
        match request.header("x-hub-signature-256", signature).send().await {
            Ok(answer) => return answer.status().as_u16(),
            Err(_) => sleep(Duration::from_millis(20)).await,
        }
    };
    assert_eq!(deliver("1-a", SIGNATURE).await, 202);
    assert_eq!(deliver("1-a", SIGNATURE).await, 409);
    for forged in ["", "sha256=", "sha256=00", &SIGNATURE.replace('7', "8"), &SIGNATURE[7..]] {
        assert_eq!(deliver("2-b", forged).await, 401, "{forged}");
    }
    for bad in ["", "a/b", &"x".repeat(65)] {
        assert_eq!(deliver(bad, SIGNATURE).await, 400, "{bad}");
    }
    change_leader(&mut cluster).await;
    assert_eq!(deliver("1-a", SIGNATURE).await, 409, "the next leader knows it");
    assert_eq!(deliver("2-b", SIGNATURE).await, 202, "a forgery has not used it up");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow, or its compiler is not at hand: `cargo xtask ci`"]
async fn an_app_of_axum_keeps_its_notes_under_the_next_leader() {
    let mut cluster = Cluster::new(Kind::Sqlite).await;
    let project = Project::of_template("axum").await;
    let listening = format!("state = true\nlisten = \"{}\"", cluster.web_at);
    project.put(&cluster, &[("state = true", &listening)]);
    join(&mut cluster, "a").await;
    answers(&cluster, "a").await;
    let web = Caller::of(&cluster);
    let home = web.get("/").await.json();
    assert_eq!((&home["name"], &home["host"]), (&json!("my-axum"), &json!("a")));
    assert_eq!(web.get("/notes/shopping").await.status, 404);
    assert_eq!(web.call(Method::PUT, "/notes/shopping", "milk").await.status, 204);
    assert_eq!(web.call(Method::POST, "/notes/shopping", "").await.status, 405);
    change_leader(&mut cluster).await;
    answers(&cluster, "b").await;
    assert_eq!(web.get("/notes/shopping").await.body, "milk");
    assert!(web.get("/").await.json()["token"].as_i64() > home["token"].as_i64());
    assert_eq!(web.call(Method::DELETE, "/notes/shopping", "").await.status, 204);
    assert_eq!(web.get("/notes/shopping").await.status, 404);
}
