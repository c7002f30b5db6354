//! What the control API answers over HTTP.

use std::{path::Path, sync::Mutex};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};

use super::*;
use crate::{
    api::{Status, status::tests::example},
    relay::test_relay,
};
use soloist_config::StoreUrl;
use soloist_stores::StateQuota;

/// The TTL of leases in these tests, and of the store's requests.
pub(in crate::api) const TTL: std::time::Duration = REQUEST_TIME;

/// How much state each action may keep, in bytes.
pub(in crate::api) const STATE_QUOTA: u64 = 1 << 20;

struct Fake(Mutex<Result<(), String>>);

impl StatusSource for Fake {
    fn status(&self) -> Status {
        example()
    }

    fn metrics(&self) -> String {
        "soloist_is_leader 1\n".into()
    }

    fn ready(&self) -> Result<(), String> {
        self.0.lock().unwrap().clone()
    }
}

/// The services of a host that has no actions, and keeps its store in `folder`.
pub(in crate::api) fn services(
    source: SharedStatusSource,
    folder: &Path,
    access_control: AccessControl,
) -> ApiServices {
    let file = StoreUrl::Sqlite(folder.join("soloist.db"));
    let store = store::open(&file, "test", REQUEST_TIME).unwrap();
    let state = StateQuota::new(store.state().unwrap(), Box::new(|_| STATE_QUOTA)).into();
    let jobs = Arc::new(jobs::tests::none(&*store));
    let tasks = tasks::tests::nothing(&store);
    let commands = Arc::new(commands::tests::nobody(store));
    let (journal, logs) = (Journal::default(), Arc::new(logs::tests::none()));
    let (relay, access_control) = (test_relay(), Arc::new(access_control));
    let clients = soloist_resources::budget::ClientBudget::alone();
    ApiServices {
        source,
        state,
        journal,
        commands,
        jobs,
        logs,
        tasks,
        relay,
        access_control,
        clients,
    }
}

/// Streams that nothing closes.
pub(in crate::api) fn idle() -> LiveStreams {
    LiveStreams::new(TaskScope::new(), CancellationToken::new())
}

/// A host that reports that all is well.
pub(in crate::api) fn fake() -> SharedStatusSource {
    Arc::new(Fake(Mutex::new(Ok(()))))
}

/// A control API and the source of its status.
struct Server {
    url: String,
    source: Arc<Fake>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    _folder: TempDir,
}

impl Server {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let source = Arc::new(Fake(Mutex::new(Ok(()))));
        let (stop, folder) = (CancellationToken::new(), tempfile::tempdir().unwrap());
        let services = services(source.clone(), folder.path(), AccessControl::open());
        let task = tokio::spawn(serve(listener, services, stop.clone()));
        Self { url, source, stop, task, _folder: folder }
    }

    async fn ask(&self, method: Method, path: &str) -> (u16, String) {
        let request = reqwest::Client::new().request(method, format!("{}{path}", self.url));
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.ask(Method::GET, path).await
    }
}

#[tokio::test]
async fn says_what_it_knows() {
    let server = Server::start().await;
    let (code, body) = server.get("/v1/status").await;
    assert_eq!((code, serde_json::from_str::<Status>(&body).unwrap()), (200, example()));
    assert_eq!(server.get("/").await, (200, INDEX.to_owned()));
    let page = reqwest::Client::new().get(&server.url).header("accept", "text/html,*/*");
    let page = page.send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"), "{policy}");
    assert!(page.text().await.unwrap().starts_with("<!doctype html>"));
    assert_eq!(server.get("/metrics").await, (200, "soloist_is_leader 1\n".to_owned()));
}

#[tokio::test]
async fn is_alive_while_it_is_not_ready_and_says_why() {
    let server = Server::start().await;
    assert_eq!(server.get("/readyz").await, (200, "ok\n".into()));
    *server.source.0.lock().unwrap() = Err("no session: etcd is unavailable".into());
    assert_eq!(server.get("/readyz").await, (503, "no session: etcd is unavailable\n".into()));
    assert_eq!(server.get("/livez").await, (200, "ok\n".into()));
}

#[tokio::test]
async fn refuses_with_a_hint() {
    let server = Server::start().await;
    let (code, body) = server.get("/status").await;
    assert_eq!(code, 404);
    let expected = json!({
        "title": "Not Found", "status": 404, "detail": "there is nothing at /status",
        "help": "GET / lists all routes",
    });
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);
    assert_eq!(server.ask(Method::HEAD, "/status").await, (404, String::new()));
    let (code, body) = server.ask(Method::POST, "/v1/status").await;
    assert_eq!(code, 405);
    assert!(body.contains("/v1/status does not take POST"), "{body}");
}

#[tokio::test]
async fn there_may_be_no_job() {
    let server = Server::start().await;
    assert_eq!(server.get("/v1/jobs").await, (200, r#"{"jobs":[]}"#.to_owned()));
    for (method, path) in [(Method::GET, "/v1/jobs/report"), (Method::POST, "/v1/jobs/report/run")]
    {
        let (code, body) = server.ask(method, path).await;
        assert_eq!(code, 404);
        assert!(body.contains("there is no job `report`") && body.contains("`schedule`"), "{body}");
    }
    for (query, told) in
        [("count=0", "ask for 1 to 1000"), ("count=x", "GET / lists"), ("", "no job")]
    {
        let (_, body) = server.get(&format!("/v1/jobs/report/next?{query}")).await;
        assert!(body.contains(told), "{query}: {body}");
    }
    let (code, body) = server.ask(Method::POST, "/v1/jobs/report/run?wait=soon").await;
    assert_eq!(code, 400, "{body}");
}

#[tokio::test]
async fn an_order_that_is_not_understood_changes_nothing() {
    let server = Server::start().await;
    for (body, words) in [
        (r#"{"grup": "main"}"#, "unknown field `grup`"),
        (r#"{"group": 7}"#, "invalid type"),
        ("switch!", "no order"),
    ] {
        let request = reqwest::Client::new().post(format!("{}/v1/switchover", server.url));
        let answer = request.body(body).send().await.unwrap();
        assert_eq!(answer.status(), 400, "{body}");
        let text = answer.text().await.unwrap();
        assert!(text.contains(words) && text.contains("help"), "{text}");
    }
    // This command is understood, but the host has not seen its cluster yet.
    assert_eq!(server.ask(Method::POST, "/v1/switchover").await.0, 503);
    let page = reqwest::Client::new().post(format!("{}/v1/switchover", server.url));
    let page = page.header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(page.status(), 403);
}

#[tokio::test]
async fn stops_although_a_client_holds_a_connection() {
    let server = Server::start().await;
    let address = server.url.trim_start_matches("http://");
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n").await.unwrap();
    server.get("/livez").await;
    server.stop.cancel();
    server.task.await.unwrap();
    let mut rest = Vec::new();
    // Reset or ended: closed either way.
    let _ = client.read_to_end(&mut rest).await;
    assert_eq!(rest, b"");
}
